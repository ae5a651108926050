"""Starting and stopping as a process: signals, status, readiness, and work in flight."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.ports import free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .conftest import ROOT, wait_until_ready, write_random_model

SERVE_FAKE = Path(__file__).with_name("serve_fake.py")


@contextmanager
def process(*command: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a service of its own; it is killed at the end, if it has not stopped."""
    port = free_port()
    variables = {"MIEN_PORT": str(port), "MIEN_RATE_PER_S": "0", "MIEN_THREADS": "2", **environment}
    running = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, **variables},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running, f"http://127.0.0.1:{port}"
    finally:
        running.kill()
        running.communicate()


def test_every_accepted_request_is_answered(jpeg: bytes) -> None:
    with process(str(SERVE_FAKE), "0.3") as (service, url):
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            wait_until_ready(client)
            statuses: list[int] = []

            def ask(_: int) -> None:
                statuses.append(client.post("/predict", content=jpeg).status_code)

            with ThreadPoolExecutor(8) as pool:
                asked = pool.map(ask, range(8))
                time.sleep(0.5)
                service.send_signal(signal.SIGTERM)
                ready = client.get("/health/ready")
                assert ready.status_code == 503
                assert ready.json()["error"]["code"] == "not_ready"
                list(asked)
        assert statuses == [200] * 8
        assert service.wait(timeout=20) == 0
        assert service.stderr is not None
        lines = [json.loads(line) for line in service.stderr.read().splitlines()]
    messages = [line["message"] for line in lines]
    assert messages[-1] == "stopped"
    answered = [line for line in lines if line.get("route") == "/predict"]
    assert len(answered) == 8
    assert {"request_id", "method", "status", "duration_ms"} <= set(answered[0])


def test_logs_tell_nothing_of_what_was_sent(jpeg: bytes) -> None:
    with process(str(SERVE_FAKE), "0", MIEN_API_KEYS="open-sesame") as (service, url):
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            wait_until_ready(client)
            for key in ("open-sesame", "wrong-word"):
                client.post(
                    "/predict?note=private-query",
                    files={"image": ("private-name.jpg", jpeg)},
                    headers={"x-api-key": key, "x-request-id": f"ours-{key[:4]}"},
                )
            client.post("/private-path", content=jpeg)
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=20) == 0
        assert service.stderr is not None
        lines = [json.loads(line) for line in service.stderr.read().splitlines()]
    statuses = [(line["request_id"], line["status"]) for line in lines if "status" in line]
    assert {("ours-open", 200), ("ours-wron", 401)} <= set(statuses)
    told = json.dumps([{**line, "request_id": ""} for line in lines])
    for secret in ("sesame", "wrong-word", "private", "JFIF"):
        assert secret not in told


def test_sockets_are_told_that_the_service_goes(jpeg: bytes) -> None:
    with process(str(SERVE_FAKE), "0.05") as (service, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            wait_until_ready(client)
        with connect(url.replace("http", "ws") + "/ws") as talk:
            talk.send(jpeg)
            talk.recv(timeout=10)
            threading.Timer(0.2, lambda: service.send_signal(signal.SIGTERM)).start()
            with pytest.raises(ConnectionClosed) as caught:
                talk.recv(timeout=10)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1001
        assert service.wait(timeout=20) == 0


def test_work_that_takes_too_long_is_cut_off() -> None:
    with process(str(SERVE_FAKE), "0", MIEN_DRAIN_S="1") as (service, url):
        with httpx.Client(base_url=url, trust_env=False) as client:
            wait_until_ready(client)
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            half.sendall(
                b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nabc"
            )
            time.sleep(0.3)
            service.send_signal(signal.SIGTERM)
            assert service.wait(timeout=15) == 0


@pytest.mark.parametrize("launcher", [["-m", "mien", "serve"], ["api/api.py"]])
def test_launchers_serve_a_real_model(launcher: list[str], tmp_path: Path, jpeg: bytes) -> None:
    model = str(write_random_model(tmp_path))
    with process(*launcher, MIEN_MODEL=model) as (service, url):
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            wait_until_ready(client, timeout_s=60)
            assert client.post("/predict", content=jpeg).json()["model"]["name"] == "random"
        service.send_signal(signal.SIGINT)
        assert service.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("options", "variables", "message"),
    [
        (["--host", "0.0.0.0"], {}, "no keys are set"),
        ([], {"MIEN_QUEUE": "many"}, "MIEN_QUEUE"),
        (["--model", "none.onnx", "--host", "127.0.0.1"], {}, "none.onnx"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    options: list[str], variables: dict[str, str], message: str
) -> None:
    with process("-m", "mien", "serve", *options, **variables) as (service, _):
        assert service.wait(timeout=60) == 2
        assert service.stderr is not None
        text = service.stderr.read()
    assert message in text
    assert len(text.strip().splitlines()) == 1
