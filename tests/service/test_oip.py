"""The Open Inference Protocol v2 on raw crops."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from .conftest import Running

INFER = "/v2/models/fake/infer"


def tensor(count: int = 1, **changes: Any) -> dict[str, Any]:
    shape = [count, 48, 48, 1]
    plain = {"name": "crops", "datatype": "UINT8", "shape": shape, "data": [9] * (count * 2304)}
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/fake/ready", {"name": "fake", "ready": True}),
    ],
)
def test_health(service: Running, path: str, expected: dict[str, Any]) -> None:
    assert service.client.get(path).json() == expected


def test_metadata(service: Running) -> None:
    content = service.client.get("/v2/models/fake").json()
    assert content["inputs"] == [{"name": "crops", "datatype": "UINT8", "shape": [-1, 48, 48, 1]}]
    assert {each["name"] for each in content["outputs"]} == {"probabilities", "logits"}
    for path in ("/v2/models/other", "/v2/models/other/ready"):
        assert service.client.get(path).json()["error"].startswith("not_found: ")


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_crops_are_read(service: Running, count: int) -> None:
    content = service.client.post(INFER, json={"id": "7", "inputs": [tensor(count)]}).json()
    output, logits = content["outputs"]
    assert (logits["name"], logits["shape"]) == ("logits", [count, 7])
    assert (content["id"], content["model_name"]) == ("7", "fake")
    assert (output["name"], output["shape"]) == ("probabilities", [count, 7])
    values = np.reshape(output["data"], (count, 7))
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)


def test_more_crops_than_allowed_are_refused(service: Running) -> None:
    for count in (129, 10**30):
        described = tensor(shape=[count, 48, 48, 1])
        answer = service.client.post(INFER, json={"inputs": [described]})
        assert answer.status_code == 413
        assert "128" in answer.json()["error"]


def test_versions_are_those_of_the_metadata(service: Running) -> None:
    path = "/v2/models/fake"
    (version,) = service.client.get(path).json()["versions"]
    for below in ("", "/ready"):
        url = f"{path}/versions/{version}{below}"
        assert service.client.get(url).json() == service.client.get(path + below).json()
        assert service.client.get(f"{path}/versions/9{below}").status_code == 404
    body = {"inputs": [tensor()]}
    assert service.client.post(f"{path}/versions/{version}/infer", json=body).status_code == 200
    assert service.client.post(f"{path}/versions/9/infer", json=body).status_code == 404


def test_nested_numbers_and_named_outputs(service: Running) -> None:
    nested = np.full((2, 48, 48, 1), 200).tolist()
    outputs = [{"name": "logits"}, {"name": "probabilities"}]
    content = service.client.post(
        INFER, json={"inputs": [tensor(2, data=nested)], "outputs": outputs}
    ).json()
    assert [each["name"] for each in content["outputs"]] == ["logits", "probabilities"]


def test_binary_tensors_both_ways(service: Running) -> None:
    crops = np.full((3, 48, 48, 1), 130, np.uint8).tobytes()
    described = tensor(3, parameters={"binary_data_size": len(crops)})
    del described["data"]
    head = json.dumps(
        {
            "inputs": [described],
            "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}],
        }
    ).encode()
    response = service.client.post(
        INFER,
        content=head + crops,
        headers={"inference-header-content-length": str(len(head))},
    )
    length = int(response.headers["inference-header-content-length"])
    (output,) = json.loads(response.content[:length])["outputs"]
    values = np.frombuffer(response.content[length:], "<f4").reshape(output["shape"])
    np.testing.assert_allclose(values.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"[]",
        b"[" * 50_000,
        {},
        {"inputs": []},
        {"inputs": [1]},
        {"inputs": [tensor(), tensor()]},
        {"inputs": [tensor(name="other")]},
        {"inputs": [tensor(datatype="FP32")]},
        {"inputs": [tensor(shape=[1, 48, 48])]},
        {"inputs": [tensor(shape=[-1, 48, 48, 1])]},
        {"inputs": [tensor(shape=[1.0, 48, 48, 1])]},
        {"inputs": [tensor(shape=["1", 48, 48, 1])]},
        {"inputs": [tensor(shape=[True, 48, 48, 1])]},
        {"inputs": [tensor(data=[True] * 2304)]},
        {"inputs": [tensor(data=[[1] * 2304])]},
        {"inputs": [tensor(parameters={"shared_memory_region": "a"})]},
        {
            "inputs": [tensor()],
            "outputs": [{"name": "logits", "parameters": {"classification": 3}}],
        },
        {"inputs": [tensor()], "parameters": {"sequence_id": 1}},
        {"inputs": [tensor()], "priority": 1},
        {"inputs": [tensor()], "id": 7},
        {"inputs": [tensor(data=[1])]},
        {"inputs": [tensor(data=[256] * 2304)]},
        {"inputs": [tensor(data=[-1] * 2304)]},
        {"inputs": [tensor(data=[0.5] * 2304)]},
        {"inputs": [tensor(data=["x"] * 2304)]},
        {"inputs": [tensor(data=[10**30] * 2304)]},
        {"inputs": [tensor(data=[[1, 2], [3]])]},
        {"inputs": [tensor(data=None)]},
        {"inputs": [tensor()], "outputs": [{"name": "other"}]},
        {"inputs": [tensor()], "outputs": 1},
        {"inputs": [tensor()], "parameters": 1},
        {"inputs": [tensor(parameters={"binary_data_size": 5})]},
    ],
)
def test_what_is_no_request_is_refused(service: Running, content: Any) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = service.client.post(INFER, content=data)
    assert response.status_code == 400, response.text
    assert response.json()["error"].startswith("bad_request: ")
    for length in ("-1", "x", "9" * 30):
        headers = {"inference-header-content-length": length}
        assert service.client.post(INFER, content=data, headers=headers).status_code == 400
