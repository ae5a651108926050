"""The house's own endpoints: pictures in, readings out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from mien.errors import ImageError
from mien.images import probe
from mien.predictor import Predictor
from mien.service.admission import as_batch
from mien.service.body import Hold, read_body, read_files
from mien.service.deps import (
    Services,
    charge,
    check_access,
    held_place,
    services_of,
    unless_gone,
    within,
)
from mien.service.drawing import Kind, draw, kind_accepted
from mien.service.engine import Engine, Outcome
from mien.service.errors import ServiceError, public_error
from mien.service.explaining import add_explanations, explain_faces
from mien.service.notice import NOTICE
from mien.service.schemas import EXAMPLE, BatchAnswer, ErrorAnswer, ModelInfo, PredictAnswer
from mien.wire import reading_to_dict

__all__ = ["RAW_KINDS", "answers", "router"]

#: The kinds of body that are taken as one picture; what it is, its content says.
RAW_KINDS = ("image/jpeg", "image/png", "image/webp", "image/bmp", "application/octet-stream")

_SLOW = "the upload took too long"
_LATE = "reading took too long: send a smaller picture or try again later"


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of an endpoint for the documentation."""
    return {status: {"model": ErrorAnswer} for status in (*statuses, 401, 429, 503)}


router = APIRouter(dependencies=[Depends(check_access)])

_BINARY = {"type": "string", "format": "binary"}
_PICTURE = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"image": _BINARY},
                "required": ["image"],
            }
        },
        **{kind: {"schema": _BINARY} for kind in RAW_KINDS},
    },
}
_PICTURES = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"images": {"type": "array", "items": _BINARY, "minItems": 1}},
                "required": ["images"],
            }
        }
    },
}


_IMAGES = {kind: {"schema": _BINARY} for kind in ("image/png", "image/jpeg")}
_EXPLAIN = Query(
    description="add to the most confident faces what their reading rests on; where an image is "
    "answered, draw it"
)


@router.post(
    "/predict",
    tags=["read"],
    operation_id="predict",
    summary="Read every face of one image.",
    response_model=PredictAnswer,
    responses={
        200: {
            "content": {"application/json": {"example": EXAMPLE}, **_IMAGES},
            "description": "Readings, or the image with them drawn on it if `Accept` asks for one.",
        },
        **answers(400, 408, 413, 415, 422, 504),
    },
    openapi_extra={"requestBody": _PICTURE},
)
async def predict(
    request: Request,
    annotate: Annotated[
        bool, Query(description="use POST /annotate, or Accept: image/png", deprecated=True)
    ] = False,
    explain: Annotated[bool, _EXPLAIN] = False,
) -> Response:
    """Send one image, as a form's file or as the body itself.

    JPEG, PNG, WebP and BMP are read; the content says which it is, not a header. No face is
    an empty list.
    """
    accepted = kind_accepted(request.headers.get("accept", "*/*"))
    return await _read_one(request, annotate or accepted is not None, accepted, explain)


@router.post(
    "/annotate",
    tags=["read"],
    operation_id="annotate",
    summary="Draw the readings of one image on it.",
    response_class=Response,
    responses={
        200: {
            "content": _IMAGES,
            "description": "The image with its readings. `X-Image-Size` is its width and height: "
            "an image above 16 megapixels is reduced.",
        },
        **answers(400, 408, 413, 415, 422, 504),
    },
    openapi_extra={"requestBody": _PICTURE},
)
async def annotate_image(request: Request, explain: Annotated[bool, _EXPLAIN] = False) -> Response:
    """Send one image as to `/predict`; a JPEG is answered for a JPEG, and else a PNG.

    `Accept: image/png` or `image/jpeg` chooses.
    """
    accepted = kind_accepted(request.headers.get("accept", "*/*"))
    return await _read_one(request, True, accepted, explain)


async def _read_one(request: Request, as_image: bool, kind: Kind | None, explain: bool) -> Response:
    services = services_of(request)
    engine, settings = services.running_engine(), services.settings
    if explain and settings.explain_faces == 0:
        raise ServiceError("explain_unavailable", "this service explains no faces: leave it out")
    start = time.monotonic()
    with held_place(request) as place, services.uploads.hold() as hold:
        with within(settings.timeout_s, "slow_upload", _SLOW):
            data = await _one_image(request, settings.image_bytes, hold)
        place.arrived()
        left_s = settings.timeout_s - (time.monotonic() - start)
        with within(left_s, "timeout", _LATE):
            wanted = _Wanted(as_image, kind, settings.explain_faces if explain else 0)
            return await unless_gone(request, _answer(services, engine, request, data, wanted))


async def _one_image(request: Request, most_bytes: int, hold: Hold) -> bytes:
    """Return the image of a body: the file of a form, or else all of it."""
    if _is_form(request):
        return _only(await read_files(request, max_files=1, max_bytes=most_bytes, hold=hold))
    return await read_body(request, most_bytes, hold)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: an image, of which kind, and this many explanations."""

    as_image: bool
    kind: Kind | None
    explain_faces: int


async def _answer(
    services: Services, engine: Engine, request: Request, data: bytes, wanted: _Wanted
) -> Response:
    settings = services.settings
    async with engine.room_for(data):
        outcome = await engine.read(data, settings.image_limits)
        explanations = await explain_faces(engine, outcome, wanted.explain_faces)
        if wanted.as_image:
            kind = wanted.kind or ("jpeg" if data.startswith(b"\xff\xd8\xff") else "png")
            most = settings.annotated_pixels
            drawn, (height, width) = await engine.on_thread(
                lambda: draw(engine, data, outcome, explanations, kind, most)
            )
            headers = {"X-Image-Size": f"{width}x{height}"}
            return Response(drawn, media_type=f"image/{kind}", headers=headers)
    content = _picture(outcome)
    if wanted.explain_faces:
        add_explanations(content["faces"], outcome, explanations, engine.predictor.framer)
    return JSONResponse({**_head(request, engine), **content})


@router.post(
    "/predict_batch",
    tags=["read"],
    operation_id="predict_batch",
    summary="Read many images in one request.",
    response_model=BatchAnswer,
    responses=answers(400, 408, 413, 415, 422, 504),
    openapi_extra={"requestBody": _PICTURES},
)
async def predict_batch(request: Request) -> Response:
    """Send up to 100 pictures as the files of one form; results come in their order.

    A picture that cannot be read is an error in its place, the others are read.
    """
    services = services_of(request)
    engine, settings = services.running_engine(), services.settings
    start = time.monotonic()
    with held_place(request) as place, services.uploads.hold() as hold, as_batch():
        with within(settings.batch_timeout_s, "slow_upload", _SLOW):
            files = await read_files(
                request,
                max_files=settings.batch_images,
                max_bytes=settings.batch_bytes,
                hold=hold,
            )
        if not files:
            raise ServiceError("invalid", "expected files in the form, got none")
        place.arrived()
        charge(request, len(files))
        left_s = settings.batch_timeout_s - (time.monotonic() - start)
        with within(left_s, "timeout", _LATE):
            results = await unless_gone(request, _read_all(services, engine, files))
    total_ms = (time.monotonic() - start) * 1000
    answer = {**_head(request, engine), "results": results, "timings_ms": {"total": total_ms}}
    return JSONResponse(answer)


async def _read_all(services: Services, engine: Engine, files: list[bytes]) -> list[dict[str, Any]]:
    """Read files side by side, but no more at once than there are threads."""
    at_once = asyncio.Semaphore(services.settings.threads)
    limits = services.settings.image_limits
    allowed = services.settings.batch_pixels

    async def read_one(data: bytes) -> dict[str, Any]:
        async with at_once:
            try:
                async with engine.room_for(data):
                    return _picture(await engine.read(data, limits))
            except ImageError as error:
                return {"error": public_error(error)}

    pixels = await engine.on_thread(lambda: _count_pixels(files))
    if pixels > allowed:
        raise ServiceError(
            "too_large",
            f"a batch may have {allowed:,} pixels together, this one has {pixels:,}",
        )
    tasks = [asyncio.ensure_future(read_one(data)) for data in files]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


@router.get(
    "/model_info",
    tags=["model"],
    operation_id="model_info",
    summary="Return the model card and what to know before using the model on people.",
    response_model=ModelInfo,
    responses=answers(),
)
async def model_info(request: Request) -> Response:
    """Tell what the model is, how well it reads, on what, and what it must not be used for."""
    return JSONResponse(describe(services_of(request).running_engine().predictor))


def describe(predictor: Predictor) -> dict[str, Any]:
    """Return the card, and the head that is read, as ``/model_info`` and the pages show it."""
    card = predictor.card
    content = card.to_dict()
    height, width = card.framing.size_hw
    shown = {name: content[name] for name in ModelInfo.model_fields if name in content}
    return {
        **shown,
        "labels": list(predictor.labels),
        "heads": {name: list(head.labels) for name, head in card.heads.items()},
        "head": predictor.head,
        "confidence": asdict(predictor.calibration),
        "geometry": {"scale": card.framing.scale, "shift_y": card.framing.shift_y},
        "input": {"shape": ["N", height, width, 1], "dtype": "uint8", "content": "grey, 0-255"},
        "notice": list(NOTICE),
    }


def _head(request: Request, engine: Engine) -> dict[str, Any]:
    model = {"name": engine.card.name, "version": engine.card.version}
    return {"request_id": request.scope["request_id"], "model": model}


def _picture(outcome: Outcome) -> dict[str, Any]:
    height, width = outcome.picture.size_hw
    return {
        "width": width,
        "height": height,
        "faces": [reading_to_dict(reading) for reading in outcome.readings],
        "timings_ms": {name: round(value, 2) for name, value in outcome.timings_ms.items()},
    }


def _count_pixels(files: list[bytes]) -> int:
    """Add up the sizes in the headers; what has none is found to be broken later."""
    total = 0
    for data in files:
        try:
            height, width = probe(data)
        except ImageError:
            continue
        total += width * height
    return total


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").strip().lower().startswith("multipart/")


def _only(files: list[bytes]) -> bytes:
    if not files:
        raise ServiceError("invalid", "expected one file in the form, got none")
    return files[0]
