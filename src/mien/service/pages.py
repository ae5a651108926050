"""The pages and their files: all served from here, nothing from anywhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from mien.card import Calibration
from mien.faces import smallest_face_of
from mien.palette import colors_of
from mien.runtime import default_model
from mien.service.deps import check_key, services_of
from mien.service.engine import Engine
from mien.service.errors import ServiceError, error_response
from mien.service.local_settings import settings_of
from mien.service.notice import NOTICE
from mien.templates import render

__all__ = ["RUNTIME_FILES", "CachedFiles", "install", "local", "router", "static_folder"]

#: What ``make web-assets`` puts into ``static/vendor``: the browser's ONNX Runtime.
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'{wasm}",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE_HEADERS = {"Content-Security-Policy": _CSP.format(wasm="")}
# threads of WebAssembly need a page that is isolated from all other origins
_LOCAL_HEADERS = {
    "Content-Security-Policy": _CSP.format(wasm=" 'wasm-unsafe-eval'"),
    "Cross-Origin-Embedder-Policy": "require-corp",
}
# Swagger UI sets style attributes on what it builds
_DOCS_HEADERS = {
    "Content-Security-Policy": _CSP.format(wasm="").replace(
        "style-src 'self'", "style-src 'self' 'unsafe-inline'"
    )
}

# The measures of the model card that its page shows, as a person calls them.
_MEASURES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "top2_accuracy": "Top-2 accuracy",
    "ece": "Calibration error",
    "set_coverage": "Sets with the true label",
}

router = APIRouter(include_in_schema=False)


async def _check_local(request: Request) -> None:
    if not services_of(request).settings.local_page:
        raise ServiceError("not_found", "this service has no local page: MIEN_LOCAL_PAGE is off")


local = APIRouter(include_in_schema=False, prefix="/local", dependencies=[Depends(_check_local)])


class CachedFiles(StaticFiles):
    """Static files that browsers keep, but ask about: a new version is seen at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file, or 304."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        if str(args[0]).endswith(".mjs"):
            response.headers["Content-Type"] = "text/javascript; charset=utf-8"
        # a worker's file carries its own policy, not the page's
        response.headers.update(_LOCAL_HEADERS)
        return response


def static_folder() -> Path:
    """Return the folder of the pages' files."""
    return Path(str(resources.files("mien.service") / "static"))


#: Photos to try the page with: an astronaut's portrait by NASA, and two made from it by
#: ``tools/make_samples.py``.
_SAMPLES = {
    "portrait": Path(str(resources.files("mien") / "assets" / "astronaut.jpg")),
    "covered": static_folder() / "samples" / "covered.jpg",
    "crowd": static_folder() / "samples" / "crowd.jpg",
}


def install(app: FastAPI) -> None:
    """Mount the pages' files, and answer a browser's mistyped address with a page."""
    view = resources.files("mien") / "assets" / "view"
    app.mount("/static/view", CachedFiles(directory=str(view)))
    app.mount("/static", CachedFiles(directory=str(static_folder())))
    app.add_exception_handler(404, _on_not_found)  # type: ignore[arg-type]


@router.api_route("/", methods=["GET", "HEAD"])
async def live_page(request: Request) -> Response:
    """The live page: images go to this service, those of a camera over ``/ws``."""
    return _page(request, "socket", _PAGE_HEADERS)


@local.api_route("", methods=["GET", "HEAD"])
async def local_page(request: Request) -> Response:
    """The same page with the networks in the browser: no image leaves the device."""
    return _page(request, "local", _LOCAL_HEADERS)


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs(request: Request) -> Response:
    """Swagger UI from a package, not from a CDN."""
    return _html(request, "docs", "/docs", _DOCS_HEADERS)


@router.api_route("/model", methods=["GET", "HEAD"])
async def model_page(request: Request) -> Response:
    """The model card for people."""
    predictor = services_of(request).running_engine().predictor
    card = predictor.card
    sections = {
        "For": card.intended_use,
        "Not for": card.prohibited_use,
        "Data": card.data,
        "Size": f"{card.parameters:,} parameters" if card.parameters else "",
        "Licence": card.licence,
    }
    known = [name for name in _MEASURES if any(name in row for row in card.metrics.values())]
    measures = {name: _MEASURES[name] for name in known}
    values = {
        "card": card,
        "labels": predictor.labels,
        "sections": sections.items(),
        "measures": measures,
    }
    return _html(request, "model", "/model", _PAGE_HEADERS, **values)


@router.get("/samples/{name}.jpg")
async def sample(name: str) -> Response:
    """A photo to try the page with; all are made from one in the public domain."""
    path = _SAMPLES.get(name)
    if path is None:
        raise ServiceError("not_found", f"expected one of {', '.join(_SAMPLES)}, got another name")
    return FileResponse(path, headers={"Cache-Control": "no-cache"})


@local.get("/settings.json")
async def local_settings(request: Request) -> dict[str, Any]:
    """What the networks in the browser need besides their weights."""
    predictor = services_of(request).running_engine().predictor
    return {
        "runtime": all((static_folder() / "vendor" / name).is_file() for name in RUNTIME_FILES),
        "model": _model_path(request) is not None,
        **settings_of(predictor),
    }


@local.get("/detector.onnx")
async def local_detector() -> Response:
    """The weights of YuNet."""
    return _weights(_asset("yunet.onnx"))


@local.get("/aligner.onnx")
async def local_aligner() -> Response:
    """The weights of CenterFace: landmarks of each face, and the last look for one."""
    return _weights(_asset("centerface.onnx"))


@local.get("/model.onnx")
async def local_model(request: Request) -> Response:
    """The weights of the network; others than mien's own ask for the key, if there is one."""
    if services_of(request).settings.model is not None:
        await check_key(request)
    path = _model_path(request)
    if path is None:
        raise ServiceError("not_found", "this model is not one that a browser can run")
    return _weights(path)


def _asset(name: str) -> Path:
    return Path(str(resources.files("mien") / "assets" / name))


def _weights(path: Path) -> Response:
    headers = {"Cache-Control": "no-cache"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


def _model_path(request: Request) -> Path | None:
    path = services_of(request).settings.model or default_model()
    return path if path.suffix == ".onnx" and path.is_file() else None


def _model_name(request: Request) -> str:
    engine = services_of(request).engine
    return f"{engine.card.name} {engine.card.version}".strip() if engine else "loading"


def _page(request: Request, mode: str, headers: dict[str, str]) -> Response:
    services = services_of(request)
    predictor = services.engine.predictor if services.engine else None
    calibration = predictor.calibration if predictor else Calibration()
    settings = {
        "mode": mode,
        "labels": colors_of(predictor.labels if predictor else ()),
        "needsKey": services.access.needs_key,
        "imageBytes": services.settings.image_bytes,
        "coverage": calibration.coverage,
        "abstainBelow": calibration.abstain_below,
        "smallestFace": _smallest_face(services.engine),
    }
    here = "/local" if mode == "local" else "/"
    content = json.dumps(settings).replace("<", "\\u003c")
    return _html(request, "live", here, headers, settings=content)


def _html(
    request: Request, name: str, here: str, headers: Mapping[str, str], **values: Any
) -> HTMLResponse:
    """Return ``templates/NAME.html``; ``here`` is the path that the navigation marks."""
    text = render(
        "mien.service",
        f"templates/{name}.html",
        here=here,
        model=_model_name(request),
        notice=NOTICE,
        **values,
    )
    return HTMLResponse(text, headers=dict(headers))


def _smallest_face(engine: Engine | None) -> dict[str, float] | None:
    smallest = smallest_face_of(engine.predictor.detector) if engine else None
    return smallest._asdict() if smallest else None


async def _on_not_found(request: Request, error: HTTPException) -> Response:
    """Answer a person with a page, a program with the one shape of an error."""
    if request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):
        page = _html(request, "not_found", "", _PAGE_HEADERS)
        page.status_code = 404
        return page
    content = {"code": "not_found", "message": str(error.detail)}
    return error_response(request.scope, 404, content, error.headers)
