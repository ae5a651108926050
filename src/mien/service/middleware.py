"""Around every request: an id, one log line, the counters, headers, and the last resort."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.service.errors import ClientGone, error_response
from mien.service.metrics import Metrics

__all__ = ["RequestContext"]

_log = logging.getLogger("mien.service")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class RequestContext:
    """The outermost layer: nothing gets past it without an id, and no traceback at all.

    Args:
        stopping: whether the service is being stopped; connections are not kept then.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, stopping: Callable[[], bool]) -> None:
        self._app, self._metrics, self._stopping = app, metrics, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["request_id"] = _request_id(scope)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(message, scope["request_id"])
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            # only a service that stops, and has no more time, cancels a request
            if not self._stopping() or status:
                raise
            content = {"code": "not_ready", "message": "the service is stopping"}
            await error_response(scope, 503, content, {"Retry-After": "1"})(
                scope, receive, send_with_headers
            )
        except Exception:  # the edge: whatever it was, the caller sees none of it
            _log.exception("request failed", extra={"request_id": scope["request_id"]})
            if status:
                raise  # too late for an answer: let the server cut the connection
            content = {"code": "internal", "message": "the service failed; it was logged"}
            answer = error_response(scope, 500, content)
            await answer(scope, receive, send_with_headers)
        finally:
            self._count(scope, status, time.perf_counter() - start)

    def _add_headers(self, message: Message, request_id: str) -> None:
        headers = MutableHeaders(raw=message["headers"])
        headers["X-Request-ID"] = request_id
        for name, value in _SECURITY.items():
            headers.setdefault(name, value)
        if self._stopping():
            headers["Connection"] = "close"

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route(scope)
        self._metrics.requests.labels(route, scope["method"], status or "gone").inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        level = logging.DEBUG if route.startswith(("/health", "/static")) else logging.INFO
        _log.log(
            level,
            "answered" if status else "client went away",
            extra={
                "request_id": scope["request_id"],
                "method": scope["method"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 1),
            },
        )


def _request_id(scope: MutableMapping[str, Any]) -> str:
    """Return the caller's own id if it is harmless, so that logs can be joined; else a new one."""
    for value in _header_values(scope, b"x-request-id"):
        if _REQUEST_ID.fullmatch(value):
            return value
    return uuid.uuid4().hex


def _header_values(scope: MutableMapping[str, Any], name: bytes) -> Iterator[str]:
    return (value.decode("latin-1") for key, value in scope["headers"] if key == name)


def _route(scope: Scope) -> str:
    """Return the pattern of the route, not the path: paths may hold anything, without end."""
    route = scope.get("route")
    return str(getattr(route, "path", None) or getattr(route, "path_format", None) or "unknown")
