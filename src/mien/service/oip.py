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
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

import mien
from mien.service.body import read_body
from mien.service.deps import check_access, held_place, services_of, unless_gone, within
from mien.service.engine import Engine
from mien.service.errors import ServiceError
from mien.service.health import require_ready
from mien.service.rest import answers
from mien.service.tensors import OUTPUTS, body_limit, parse, response_json
from mien.service.tensors import infer as infer_crops

__all__ = ["router"]

_HEADER_LENGTH = "inference-header-content-length"

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])


@router.get("", operation_id="server_metadata", summary="Return the server's name and version.")
async def server() -> dict[str, Any]:
    """Name the server."""
    return {"name": "mien", "version": mien.__version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live", operation_id="server_live", summary="Say that the server lives.")
async def live() -> dict[str, bool]:
    """Answer as long as the process does."""
    return {"live": True}


@router.get(
    "/health/ready",
    operation_id="server_ready",
    summary="Say whether the server takes requests.",
    responses=answers(),
)
async def ready(request: Request) -> dict[str, bool]:
    """Answer 200 when readings can be made."""
    require_ready(request)
    return {"ready": True}


@router.get(
    "/models/{name}",
    operation_id="model_metadata",
    summary="Return the model's inputs and outputs.",
    responses=answers(404),
    dependencies=[Depends(check_access)],
)
async def model(request: Request, name: str) -> dict[str, Any]:
    """Describe the model's tensors."""
    return _metadata(_engine(request, name))


@router.get(
    "/models/{name}/versions/{version}",
    operation_id="model_version_metadata",
    summary="Return the inputs and outputs of a version of the model.",
    responses=answers(404),
    dependencies=[Depends(check_access)],
)
async def model_version(request: Request, name: str, version: str) -> dict[str, Any]:
    """Describe the model's tensors."""
    return _metadata(_engine(request, name, version))


@router.get(
    "/models/{name}/ready",
    operation_id="model_ready",
    summary="Say whether the model is loaded.",
    responses=answers(404),
)
async def model_ready(request: Request, name: str) -> dict[str, Any]:
    """Answer 200 when the model can be asked."""
    _engine(request, name)
    require_ready(request)
    return {"name": name, "ready": True}


@router.get(
    "/models/{name}/versions/{version}/ready",
    operation_id="model_version_ready",
    summary="Say whether a version of the model is loaded.",
    responses=answers(404),
)
async def model_version_ready(request: Request, name: str, version: str) -> dict[str, Any]:
    """Answer 200 when the model can be asked."""
    _engine(request, name, version)
    return await model_ready(request, name)


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
                "properties": {"name": {"type": "string", "enum": list(OUTPUTS)}},
            },
        },
    },
}


_INFER: dict[str, Any] = {
    "responses": answers(400, 404, 408, 413, 415, 422, 504),
    "dependencies": [Depends(check_access)],
    "openapi_extra": {
        "requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}
    },
}


@router.post(
    "/models/{name}/infer", operation_id="infer", summary="Classify ready-made crops.", **_INFER
)
async def infer(request: Request, name: str) -> Response:
    """Read crops: as JSON numbers, nested or flat, or as binary tensors."""
    return await _read_crops(request, _engine(request, name))


@router.post(
    "/models/{name}/versions/{version}/infer",
    operation_id="infer_version",
    summary="Classify crops with a version.",
    **_INFER,
)
async def infer_version(request: Request, name: str, version: str) -> Response:
    """Read crops: as JSON numbers, nested or flat, or as binary tensors."""
    return await _read_crops(request, _engine(request, name, version))


async def _read_crops(request: Request, engine: Engine) -> Response:
    services, settings = services_of(request), services_of(request).settings
    with held_place(request) as place, services.uploads.hold() as hold:
        with within(settings.timeout_s, "slow_upload", "the upload took too long"):
            limit = body_limit(engine.card, settings.infer_crops)
            body = await read_body(request, limit, hold)
        place.arrived()
        with within(settings.timeout_s, "timeout", "reading took too long"):
            return await unless_gone(request, _infer(engine, request, body, settings.infer_crops))


async def _infer(engine: Engine, request: Request, body: bytes, most_crops: int) -> Response:
    header = request.headers.get(_HEADER_LENGTH)
    call = await engine.on_thread(lambda: parse(body, header, engine.card, most_crops))
    arrays = await infer_crops(engine, call.crops)
    content, blobs = await engine.on_thread(lambda: response_json(engine.card, call, arrays))
    if not blobs:
        return JSONResponse(content)
    head = json.dumps(content).encode()
    return Response(
        head + b"".join(blobs),
        media_type="application/octet-stream",
        headers={_HEADER_LENGTH: str(len(head))},
    )


def _metadata(engine: Engine) -> dict[str, Any]:
    card = engine.card
    height, width = card.framing.size_hw
    return {
        "name": card.name,
        "versions": [card.version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "crops", "datatype": "UINT8", "shape": [-1, height, width, 1]}],
        "outputs": [
            {"name": each, "datatype": "FP32", "shape": [-1, len(engine.predictor.labels)]}
            for each in OUTPUTS
        ],
    }


def _engine(request: Request, name: str, version: str | None = None) -> Engine:
    engine = services_of(request).running_engine()
    if name != engine.card.name:
        raise ServiceError("not_found", f"no model of this name: there is '{engine.card.name}'")
    if version is not None and version != engine.card.version:
        raise ServiceError(
            "not_found", f"no version of this name: there is '{engine.card.version}'"
        )
    return engine
