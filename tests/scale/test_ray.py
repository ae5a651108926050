"""Readings and the service on a Ray cluster: two nodes of this machine, one of which is lost."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.ports import free_port

from mien.errors import ConfigError, ModelError
from mien.scale import Job, Options

ray = pytest.importorskip("ray", reason="the extra 'scale' is not installed")

from ray.cluster_utils import Cluster  # noqa: E402

from mien.scale.cluster import _Actor, connect, read_on_cluster  # noqa: E402

# Ray's own, and not ours to mend
pytestmark = pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.")

# Slow machines need more time to start a node or a process than Ray gives them.
_PATIENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "300",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _PATIENCE.items():
            patch.setenv(name, value)
        found = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False}
        )
        ray.init(address=found.address, log_to_driver=False, logging_level="error")
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "none.invalid:{}"])
@pytest.mark.parametrize("from_environment", [False, True])
def test_an_address_where_nobody_listens_is_told_at_once(
    address: str, from_environment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unheard:  # bound, so that nobody else takes it, and not listening
        unheard.bind(("127.0.0.1", 0))
        address = address.format(unheard.getsockname()[1])
        monkeypatch.setenv("RAY_ADDRESS", address)
        begin = time.monotonic()

        with pytest.raises(ConfigError, match=rf"no Ray cluster can be used \({address}\): .+"):
            connect(None if from_environment else address)

    assert time.monotonic() - begin < 30
    assert not ray.is_initialized()


def test_the_service_answers_behind_ray_serve(cluster: Cluster, face: bytes) -> None:
    from ray import serve

    from mien.scale.serve import Replicas, application

    port = free_port()
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    try:
        # as the command  serve run mien.scale.serve:application cpus=1  does it
        assert inspect.signature(application).parameters["replicas"].annotation is Replicas
        serve.run(application(Replicas.model_validate({"cpus": "1"})), route_prefix="/")
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60
        ) as client:
            _wait_until_ready(client)
            answer = client.post("/predict", files={"image": ("face.jpg", face, "image/jpeg")})
            wrong = client.post("/predict", files={"image": ("a.jpg", b"hello", "image/jpeg")})
    finally:
        serve.shutdown()

    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["faces"]
    assert abs(sum(found["probabilities"].values()) - 1) < 1e-6
    assert wrong.json()["error"]["code"] == "unsupported_image"


def _wait_until_ready(client: httpx.Client) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if client.get("/health/ready").status_code == 200:
            return
        time.sleep(0.1)
    raise AssertionError("the service did not become ready")


def test_what_is_wrong_for_all_parts_ends_the_run(
    cluster: Cluster, tmp_path: Path, photos: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job.open(str(tmp_path / "out"), [str(photos)], Options(model=model))
    manifest = tmp_path / "out" / "_manifest.json"
    manifest.write_text(manifest.read_text().replace(job.model_sha256, "0" * 64))

    class InThisProcess:
        def iter_rows(self) -> Iterator[dict[str, bytes]]:
            for number in job.missing():
                (outcome,) = _Actor(job.folder)({"number": [number]})["outcome"]
                yield {"outcome": outcome}

    monkeypatch.setattr("mien.scale.cluster._reports", lambda *_: InThisProcess())

    with pytest.raises(ModelError, match="not the model"):
        list(read_on_cluster(job.folder, job.missing(), workers=1))


def test_one_actor_and_three_of_which_two_are_lost_write_the_same_bytes(
    cluster: Cluster, tmp_path: Path, face: bytes, model: str
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for number in range(40):
        (source / f"{number:02}.jpg").write_bytes(face)
    options = Options(model=model, part_images=2)
    expected, job = (
        Job.open(str(tmp_path / name), [str(source)], options) for name in ("expected", "out")
    )
    assert len(list(read_on_cluster(expected.folder, expected.missing(), workers=1))) == 20
    doomed = cluster.add_node(num_cpus=1)

    seen, lost = [], False
    with contextlib.closing(read_on_cluster(job.folder, job.missing(), workers=3)) as reports:
        for report in reports:
            seen.append(report)
            if len(seen) == 2:
                os.kill(_actors_on(cluster.head_node)[0], signal.SIGKILL)
            if len(seen) >= 4 and not lost and _actors_on(doomed) and job.missing():
                cluster.remove_node(doomed, allow_graceful=False)
                lost = True

    assert lost, "all was done before the node had an actor"
    assert sorted(report.number for report in seen) == list(range(20))
    assert sum(report.images for report in seen) == 40
    assert job.missing() == []
    for number in range(20):
        assert (
            Path(job.place_of(number)).read_bytes() == Path(expected.place_of(number)).read_bytes()
        )


def _actors_on(node: Any) -> list[int]:
    """Return the processes of a node that read."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = [
        child
        for task in Path(f"/proc/{raylet}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [
        int(child)
        for child in children
        if b"MapWorker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
