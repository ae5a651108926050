"""Triton's own clients, by HTTP and gRPC: answers, and errors as they show them."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from .conftest import running

tritonclient = pytest.importorskip("tritonclient")
import tritonclient.grpc as by_grpc  # noqa: E402
import tritonclient.http as by_http  # noqa: E402
from tritonclient.utils import InferenceServerException  # noqa: E402

CROPS = np.full((3, 48, 48, 1), 130, np.uint8)


@pytest.fixture(scope="module", params=["http", "grpc"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """A module of the client, and a client of it."""
    with running(grpc_port=0) as server:
        if request.param == "http":
            client = by_http.InferenceServerClient(server.url.removeprefix("http://"))
            yield by_http, client
        else:
            client = by_grpc.InferenceServerClient(f"127.0.0.1:{server.server.grpc_port}")
            yield by_grpc, client
        client.close()


def crops_input(module: Any, crops: np.ndarray = CROPS, **changes: Any) -> Any:
    tensor = module.InferInput(
        changes.get("name", "crops"), changes.get("shape", list(crops.shape)), "UINT8"
    )
    tensor.set_data_from_numpy(crops)
    return tensor


def test_health_and_metadata(both: tuple[Any, Any]) -> None:
    module, client = both
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("fake")
    assert client.is_model_ready("fake", "1")
    metadata = client.get_model_metadata("fake")
    inputs = metadata["inputs"] if module is by_http else metadata.inputs
    assert len(inputs) == 1
    server = client.get_server_metadata()
    assert (server["name"] if module is by_http else server.name) == "mien"


def test_all_outputs_come_when_none_is_named(both: tuple[Any, Any]) -> None:
    module, client = both
    answer = client.infer("fake", [crops_input(module)], request_id="7")
    np.testing.assert_allclose(answer.as_numpy("probabilities").sum(axis=1), 1, atol=1e-5)
    assert answer.as_numpy("logits").shape == (3, 7)


def test_named_outputs_come_alone(both: tuple[Any, Any]) -> None:
    module, client = both
    wanted = [module.InferRequestedOutput("logits")]
    answer = client.infer("fake", [crops_input(module)], outputs=wanted, model_version="1")
    assert answer.as_numpy("logits").shape == (3, 7)
    assert answer.as_numpy("probabilities") is None


@pytest.mark.parametrize(
    ("model", "version", "changes", "part"),
    [
        ("other", "", {}, "not_found"),
        ("fake", "9", {}, "not_found"),
        ("fake", "", {"name": "other"}, "expected one input"),
        ("fake", "", {"crops": np.zeros((2, 10, 48, 1), np.uint8)}, "expected shape"),
        ("fake", "", {"crops": np.zeros((129, 48, 48, 1), np.uint8)}, "128 crops"),
    ],
)
def test_errors_are_strings(
    both: tuple[Any, Any], model: str, version: str, changes: dict[str, Any], part: str
) -> None:
    module, client = both
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, [crops_input(module, **changes)], model_version=version)
    assert part in str(caught.value)


def test_unknown_extensions_are_refused(both: tuple[Any, Any]) -> None:
    module, client = both
    for asked in ({"sequence_id": 3}, {"priority": 1}, {"parameters": {"own": 1}}):
        with pytest.raises(InferenceServerException, match=r"own|sequence|priority"):
            client.infer("fake", [crops_input(module)], **asked)


def test_a_stream_answers_in_order_and_survives_errors() -> None:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with running(grpc_port=0) as server:
        client = by_grpc.InferenceServerClient(f"127.0.0.1:{server.server.grpc_port}")
        client.start_stream(lambda result, error: answers.put((result, error)))
        client.async_stream_infer("fake", [crops_input(by_grpc)], request_id="1")
        client.async_stream_infer("other", [crops_input(by_grpc)], request_id="2")
        client.async_stream_infer("fake", [crops_input(by_grpc)], request_id="3")
        found = [answers.get(timeout=20) for _ in range(3)]
        client.stop_stream()
        client.close()
    assert found[0][0].get_response().id == "1"
    assert "not_found" in str(found[1][1])
    assert found[2][0].as_numpy("logits").shape == (3, 7)


def test_grpc_asks_for_keys_and_has_the_limits_of_rest() -> None:
    with running(grpc_port=0, api_keys=("k",), rate_per_s=0.01, rate_burst=1) as server:
        client = by_grpc.InferenceServerClient(f"127.0.0.1:{server.server.grpc_port}")
        assert client.is_server_ready()
        with pytest.raises(InferenceServerException, match="unauthorised"):
            client.infer("fake", [crops_input(by_grpc)])
        key = {"authorization": "Bearer k"}
        client.infer("fake", [crops_input(by_grpc)], headers=key)
        with pytest.raises(InferenceServerException, match="rate_limited"):
            client.infer("fake", [crops_input(by_grpc)], headers=key)
        large = np.zeros((1200, 48, 48, 1), np.uint8)
        with pytest.raises(InferenceServerException, match=r"(?i)larger than max"):
            client.infer("fake", [crops_input(by_grpc, large)], headers=key)
        client.close()
