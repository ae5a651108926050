"""The Open Inference Protocol v2 on raw crops, so that KServe and Triton clients work.

One input, ``crops``: UINT8 (N, h, w, 1), grey, 0-255, of the size in the metadata (48 x 48
for mien's own model). Two outputs: ``probabilities``,
calibrated, and ``logits``: FP32 (N, C), columns in the order of ``/model_info``'s labels.
The binary tensor extension, which Triton's client uses by default, is understood.

Source: kserve.github.io, "Open Inference Protocol" (V2); triton-inference-server/server,
docs/protocol/extension_binary_data.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray

import mien
from mien.card import ModelCard
from mien.faces import stretch_contrast
from mien.service.body import read_body
from mien.service.deps import check_access, services_of, unless_gone, within
from mien.service.engine import Engine
from mien.service.errors import ServiceError
from mien.service.health import require_ready
from mien.service.rest import answers
from mien.types import Crops

__all__ = ["router"]

_HEADER_LENGTH = "inference-header-content-length"
_OUTPUTS = ("probabilities", "logits")

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])


@router.get("", summary="Return the server's name and version.")
async def server() -> dict[str, Any]:
    """Name the server."""
    return {"name": "mien", "version": mien.__version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live", summary="Say that the server lives.")
async def live() -> dict[str, bool]:
    """Answer as long as the process does."""
    return {"live": True}


@router.get("/health/ready", summary="Say whether the server takes requests.", responses=answers())
async def ready(request: Request) -> dict[str, bool]:
    """Answer 200 when readings can be made."""
    require_ready(request)
    return {"ready": True}


@router.get(
    "/models/{name}",
    summary="Return the model's inputs and outputs.",
    responses=answers(404),
    dependencies=[Depends(check_access)],
)
async def model(request: Request, name: str) -> dict[str, Any]:
    """Describe the model's tensors."""
    engine = _engine(request, name)
    card = engine.card
    height, width = card.framing.size_hw
    columns = len(engine.predictor.labels)
    return {
        "name": card.name,
        "versions": [card.version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "crops", "datatype": "UINT8", "shape": [-1, height, width, 1]}],
        "outputs": [
            {"name": each, "datatype": "FP32", "shape": [-1, columns]} for each in _OUTPUTS
        ],
    }


@router.get(
    "/models/{name}/ready", summary="Say whether the model is loaded.", responses=answers(404)
)
async def model_ready(request: Request, name: str) -> dict[str, Any]:
    """Answer 200 when the model can be asked."""
    _engine(request, name)
    require_ready(request)
    return {"name": name, "ready": True}


_NUMBERS = {"type": "array", "items": {}}
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string", "enum": ["UINT8"]},
        "data": _NUMBERS,
    },
}
_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 1},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "enum": list(_OUTPUTS)}},
            },
        },
    },
}


@router.post(
    "/models/{name}/infer",
    summary="Classify ready-made crops.",
    responses=answers(400, 404, 408, 413, 422, 504),
    dependencies=[Depends(check_access)],
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}
    },
)
async def infer(request: Request, name: str) -> Response:
    """Read crops: as JSON numbers, nested or flat, or as binary tensors."""
    services, settings = services_of(request), services_of(request).settings
    engine = _engine(request, name)
    with services.uploads.hold() as hold:
        with within(settings.timeout_s, "slow_upload", "the upload took too long"):
            body = await read_body(request, settings.image_bytes, hold)
        with within(settings.timeout_s, "timeout", "reading took too long"):
            return await unless_gone(request, _infer(engine, request, body))


async def _infer(engine: Engine, request: Request, body: bytes) -> Response:
    header = request.headers.get(_HEADER_LENGTH)
    async with engine.admitted():
        call = await engine.on_thread(lambda: _parse(body, header, engine.card))
        crops = await engine.on_thread(lambda: stretch_contrast(call.crops))
        answers = await engine.classify(crops)
        arrays: dict[str, NDArray[Any]] = {
            "logits": answers[engine.predictor.head],
            "probabilities": engine.predictor.probabilities(answers),
        }
        return await engine.on_thread(lambda: _answer(engine.card, call, arrays))


@dataclass(slots=True)
class _Call:
    crops: Crops
    id: str | None = None
    outputs: dict[str, bool] = field(default_factory=dict)  # name: as binary


def _parse(body: bytes, header_length: str | None, card: ModelCard) -> _Call:
    try:
        length = len(body) if header_length is None else int(header_length)
        if not 0 <= length <= len(body):
            raise ValueError(f"{_HEADER_LENGTH} is {length}, the body has {len(body)} bytes")
        content = json.loads(body[:length])
        (tensor,) = content["inputs"]
        crops = _crops(tensor, body[length:], card)
        as_binary = bool(content.get("parameters", {}).get("binary_data_output", False))
        wanted = content.get("outputs") or [{"name": "probabilities"}]
        outputs = {
            str(each["name"]): bool(each.get("parameters", {}).get("binary_data", as_binary))
            for each in wanted
        }
        unknown = set(outputs) - set(_OUTPUTS)
        if unknown:
            raise ValueError(f"no output {', '.join(sorted(unknown))}: choose {_OUTPUTS}")
        call_id = content.get("id")
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        message = f"not a request for crops: {type(error).__name__}: {error}"
        raise ServiceError("bad_request", message[:300]) from None
    return _Call(crops, str(call_id) if call_id is not None else None, outputs)


def _crops(tensor: dict[str, Any], binary: bytes, card: ModelCard) -> Crops:
    height, width = card.framing.size_hw
    shape = [int(side) for side in tensor["shape"]]
    if tensor["name"] != "crops" or tensor["datatype"] != "UINT8":
        raise ValueError("expected one input 'crops' of datatype UINT8")
    if len(shape) != 4 or shape[0] < 0 or shape[1:] != [height, width, 1]:
        raise ValueError(f"expected shape [N, {height}, {width}, 1], got {shape}"[:200])
    size = tensor.get("parameters", {}).get("binary_data_size")
    if size is not None:
        if int(size) != len(binary):
            raise ValueError(f"binary_data_size is {size}, {len(binary)} bytes came")
        values: NDArray[Any] = np.frombuffer(binary, np.uint8)
    else:
        values = np.asarray(tensor["data"])
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise ValueError("expected whole numbers")
    if values.size != np.prod(shape, dtype=object):
        raise ValueError(f"shape {shape} does not fit {values.size} numbers")
    if values.size and (values.min() < 0 or values.max() > 255):
        raise ValueError("expected numbers from 0 to 255")
    return values.astype(np.uint8).reshape(shape)


def _answer(card: ModelCard, call: _Call, arrays: dict[str, NDArray[Any]]) -> Response:
    outputs: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, as_binary in call.outputs.items():
        array = np.ascontiguousarray(arrays[name], "<f4")
        output: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(array.shape)}
        if as_binary:
            blobs.append(array.tobytes())
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = array.ravel().tolist()
        outputs.append(output)
    content: dict[str, Any] = {"model_name": card.name, "model_version": card.version}
    if call.id is not None:
        content["id"] = call.id
    content["outputs"] = outputs
    if not blobs:
        return JSONResponse(content)
    head = json.dumps(content).encode()
    return Response(
        head + b"".join(blobs),
        media_type="application/octet-stream",
        headers={_HEADER_LENGTH: str(len(head))},
    )


def _engine(request: Request, name: str) -> Engine:
    engine = services_of(request).running_engine()
    if name != engine.card.name:
        raise ServiceError("not_found", f"no model of this name: there is '{engine.card.name}'")
    return engine
