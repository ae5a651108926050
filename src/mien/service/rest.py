"""The house's own endpoints: pictures in, readings out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from mien.errors import ImageError
from mien.explain import Explanation
from mien.images import decode, encode, probe
from mien.predictor import Predictor
from mien.service.body import read_body, read_files
from mien.service.deps import Services, check_access, services_of, unless_gone, within
from mien.service.engine import Engine, Outcome
from mien.service.errors import ServiceError, public_error
from mien.service.explaining import add_explanations, explain_faces
from mien.service.notice import NOTICE
from mien.service.schemas import BatchAnswer, ErrorAnswer, ModelInfo, PredictAnswer
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


@router.post(
    "/predict",
    tags=["read"],
    summary="Read every face of one image.",
    response_model=PredictAnswer,
    responses={
        200: {
            "content": {"image/png": {"schema": _BINARY}, "image/jpeg": {"schema": _BINARY}},
            "description": "Readings, or with `annotate` the picture with them drawn on it.",
        },
        **answers(400, 408, 413, 415, 422, 504),
    },
    openapi_extra={"requestBody": _PICTURE},
)
async def predict(
    request: Request,
    annotate: Annotated[bool, Query(description="answer the image with readings on it")] = False,
    explain: Annotated[
        bool,
        Query(
            description="add to the first faces what their expression rests on; with `annotate`, "
            "draw it"
        ),
    ] = False,
) -> Response:
    """Send one picture, as a form's file or as the body itself.

    JPEG, PNG, WebP and BMP are read, told by their content. No face is an empty list.
    """
    services = services_of(request)
    engine, settings = services.running_engine(), services.settings
    if explain and settings.explain_faces == 0:
        raise ServiceError("explain_unavailable", "this service explains no faces: leave it out")
    start = time.monotonic()
    with services.uploads.hold() as hold:
        with within(settings.timeout_s, "slow_upload", _SLOW):
            if _is_form(request):
                files = await read_files(
                    request, max_files=1, max_bytes=settings.image_bytes, hold=hold
                )
                data = _only(files)
            else:
                _check_kind(request)
                data = await read_body(request, settings.image_bytes, hold)
        left_s = settings.timeout_s - (time.monotonic() - start)
        with within(left_s, "timeout", _LATE):
            wanted = _Wanted(annotate, settings.explain_faces if explain else 0)
            return await unless_gone(request, _answer(services, engine, request, data, wanted))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What besides readings is asked for: the picture with them, and this many explanations."""

    annotate: bool
    explain_faces: int


async def _answer(
    services: Services, engine: Engine, request: Request, data: bytes, wanted: _Wanted
) -> Response:
    limits = services.settings.image_limits
    async with engine.admitted():
        outcome = await engine.read(data, limits)
        explanations = await explain_faces(engine, outcome, wanted.explain_faces)
        if wanted.annotate:
            kind = "jpeg" if data.startswith(b"\xff\xd8\xff") else "png"
            drawn = await engine.on_thread(lambda: _draw(engine, data, outcome, explanations, kind))
            return Response(drawn, media_type=f"image/{kind}")
    content = _picture(outcome)
    if wanted.explain_faces:
        add_explanations(content["faces"], outcome, explanations, engine.predictor.framer)
    return JSONResponse({**_head(request, engine), **content})


@router.post(
    "/predict_batch",
    tags=["read"],
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
    with services.uploads.hold() as hold:
        with within(settings.batch_timeout_s, "slow_upload", _SLOW):
            files = await read_files(
                request,
                max_files=settings.batch_images,
                max_bytes=settings.batch_bytes,
                hold=hold,
            )
        if not files:
            raise ServiceError("invalid", "expected files in the form, got none")
        left_s = settings.batch_timeout_s - (time.monotonic() - start)
        with within(left_s, "timeout", _LATE):
            results = await unless_gone(request, _read_all(services, engine, files))
    total_ms = (time.monotonic() - start) * 1000
    answer = {**_head(request, engine), "results": results, "timings_ms": {"total": total_ms}}
    return JSONResponse(answer)


async def _read_all(services: Services, engine: Engine, files: list[bytes]) -> list[dict[str, Any]]:
    """Read files side by side, but no more at once than there are workers."""
    places = asyncio.Semaphore(services.settings.workers)
    limits = services.settings.image_limits
    allowed = services.settings.batch_pixels

    async def read_one(data: bytes) -> dict[str, Any]:
        async with places:
            try:
                return _picture(await engine.read(data, limits))
            except ImageError as error:
                return {"error": public_error(error)}

    async with engine.admitted():
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


def _draw(
    engine: Engine, data: bytes, outcome: Outcome, explanations: Sequence[Explanation], kind: str
) -> bytes:
    from mien.draw import annotate
    from mien.heatmap import lay_over

    with engine.timed("encode"):
        faces = [reading.face for reading in outcome.readings[: len(explanations)]]
        image = decode(data) if outcome.picture.scale_xy != (1, 1) else outcome.picture.pixels
        ground = lay_over(image, faces, explanations, engine.predictor.framer)
        drawn = annotate(ground, outcome.readings)
        return encode(drawn, "jpeg" if kind == "jpeg" else "png")


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
    return _kind(request).startswith("multipart/")


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_kind(request: Request) -> None:
    kind = _kind(request)
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        raise ServiceError(
            "unsupported_media_type",
            "expected a form (multipart/form-data) or a picture (image/*) as the body",
            headers={"Connection": "close"},
        )


def _only(files: list[bytes]) -> bytes:
    if not files:
        raise ServiceError("invalid", "expected one file in the form, got none")
    return files[0]
