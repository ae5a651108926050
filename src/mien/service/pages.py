"""The pages and their files: all served from here, nothing from anywhere else."""

from __future__ import annotations

import html
import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

from mien.card import ModelCard
from mien.faces.template import CENTERFACE
from mien.palette import colors_of
from mien.runtime import default_model
from mien.service.deps import check_key, services_of
from mien.service.errors import ServiceError
from mien.service.notice import NOTICE

__all__ = ["RUNTIME_FILES", "CachedFiles", "local", "router", "static_folder"]

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


@router.get("/")
async def live_page(request: Request) -> Response:
    """The live page: frames go to this service over ``/ws``."""
    return _page(request, "socket", _PAGE_HEADERS)


@local.get("")
async def local_page(request: Request) -> Response:
    """The same page with both networks in the browser: no frame leaves the device."""
    return _page(request, "local", _LOCAL_HEADERS)


@router.get("/docs")
async def docs() -> Response:
    """Swagger UI from a package, not from a CDN."""
    text = (static_folder() / "docs.html").read_text(encoding="utf-8")
    return HTMLResponse(text, headers=_DOCS_HEADERS)


@local.get("/settings.json")
async def local_settings(request: Request) -> dict[str, Any]:
    """What the networks in the browser need besides their weights."""
    predictor = services_of(request).running_engine().predictor
    return {
        "runtime": all((static_folder() / "vendor" / name).is_file() for name in RUNTIME_FILES),
        "model": _model_path(request) is not None,
        "head": predictor.head,
        "labels": list(predictor.labels),
        "geometry": {"scale": CENTERFACE.box_scale, "shift_y": CENTERFACE.box_shift_y},
        "confidence": asdict(predictor.calibration),
    }


@local.get("/detector.onnx")
async def local_detector() -> Response:
    """The weights of the detector."""
    return _weights(Path(str(resources.files("mien") / "assets" / "centerface.onnx")))


@local.get("/model.onnx")
async def local_model(request: Request) -> Response:
    """The weights of the network; others than mien's own ask for the key, if there is one."""
    if services_of(request).settings.model is not None:
        await check_key(request)
    path = _model_path(request)
    if path is None:
        raise ServiceError("not_found", "the model here is none that a browser can run")
    return _weights(path)


def _weights(path: Path) -> Response:
    headers = {"Cache-Control": "no-cache"}
    return FileResponse(path, media_type="application/octet-stream", headers=headers)


def _model_path(request: Request) -> Path | None:
    path = services_of(request).settings.model or default_model()
    return path if path.suffix == ".onnx" and path.is_file() else None


def _page(request: Request, mode: str, headers: dict[str, str]) -> Response:
    services = services_of(request)
    card = services.engine.card if services.engine else ModelCard(name="", version="")
    settings = {
        "mode": mode,
        "labels": colors_of(card.labels),
        "needsKey": services.access.needs_key,
        "frameBytes": services.settings.socket_bytes,
    }
    text = (static_folder() / "index.html").read_text(encoding="utf-8")
    notice = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in NOTICE)
    model = f"{card.name} {card.version}".strip() or "loading"
    text = text.replace("<!-- notice -->", notice)
    text = text.replace("<!-- model -->", html.escape(model))
    text = text.replace("<!-- settings -->", json.dumps(settings).replace("<", "\\u003c"))
    return HTMLResponse(
        text.replace("data-mode=", f'data-mode="{mode}" data-was='), headers=headers
    )
