"""Every failure as ``{"error": {"code", "message", "request_id"}}``; no traceback leaves.

``code`` is stable: programs may depend on it. Messages are for people and may change.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mien.errors import BrokenImage, ImageTooLarge, InputError, MienError, UnsupportedImage

__all__ = [
    "STATUS_CODES",
    "ClientGone",
    "ServiceError",
    "error_response",
    "install",
    "public_error",
]

_log = logging.getLogger("mien.service")

#: The status and the meaning of every code that the service itself answers with.
STATUS_CODES: dict[str, int] = {
    "bad_request": 400,
    "unauthorised": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "slow_upload": 408,
    "too_large": 413,
    "url_too_long": 414,
    "headers_too_large": 431,
    "image_too_large": 413,
    "unsupported_image": 415,
    "unsupported_media_type": 415,
    "broken_image": 422,
    "bad_input": 422,
    "invalid": 422,
    "explain_unavailable": 422,
    "wrong_host": 421,
    "rate_limited": 429,
    "internal": 500,
    "overloaded": 503,
    "not_ready": 503,
    "timeout": 504,
}

_CODE_OF_STATUS = {
    400: "bad_request",
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    503: "overloaded",
}

_STATUS_OF_ERROR: tuple[tuple[type[MienError], int], ...] = (
    (UnsupportedImage, 415),
    (ImageTooLarge, 413),
    (BrokenImage, 422),
    (InputError, 422),
)


class ServiceError(MienError):
    """A refusal by the service: a code of :data:`STATUS_CODES` and a message for people."""

    def __init__(
        self, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = STATUS_CODES[code]
        self.headers = dict(headers or {})


class ClientGone(Exception):
    """The client left before it was answered: there is nobody to tell."""


def public_error(error: MienError | ServiceError) -> dict[str, str]:
    """Return what a stranger may see of an error: code and message."""
    if isinstance(error, ServiceError):
        return {"code": error.code, "message": error.message}
    if isinstance(error, InputError):
        return {"code": error.code, "message": str(error)}
    return {"code": "internal", "message": "the service could not read this; it was logged"}


def error_response(
    scope: Mapping[str, Any],
    status: int,
    content: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the one shape of an error; below /v2 that protocol's, which is a string."""
    request_id = str(scope.get("request_id", ""))
    error: Any = {**content, "request_id": request_id}
    if is_inference_protocol(scope):
        error = f"{content['code']}: {content['message']}"
    return JSONResponse({"error": error}, status, headers=dict(headers or {}))


def is_inference_protocol(scope: Mapping[str, Any]) -> bool:
    """Whether a request is one of the Open Inference Protocol."""
    path = str(scope.get("path", ""))
    return path == "/v2" or path.startswith("/v2/")


def install(app: FastAPI) -> None:
    """Teach the app to answer every exception in the one shape."""
    app.add_exception_handler(ServiceError, _on_service_error)  # type: ignore[arg-type]
    app.add_exception_handler(MienError, _on_mien_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http_exception)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid)  # type: ignore[arg-type]


async def _on_service_error(request: Request, error: ServiceError) -> JSONResponse:
    return error_response(request.scope, error.status, public_error(error), error.headers)


async def _on_mien_error(request: Request, error: MienError) -> JSONResponse:
    for kind, status in _STATUS_OF_ERROR:
        if isinstance(error, kind):
            return error_response(request.scope, status, public_error(error))
    _log.error(
        "reading failed", exc_info=error, extra={"request_id": request.scope.get("request_id", "")}
    )
    return error_response(request.scope, 500, public_error(error))


async def _on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    code = _CODE_OF_STATUS.get(error.status_code, "bad_request")
    content = {"code": code, "message": str(error.detail)}
    return error_response(request.scope, error.status_code, content, error.headers)


async def _on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    problems = "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5]
    )
    return error_response(request.scope, 422, {"code": "invalid", "message": problems})
