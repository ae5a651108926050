"""Which names the service answers to, and which pages may send to it.

A page of a stranger can make a visitor's browser send a form to a service on the visitor's
machine, and by DNS rebinding can even read what it answers, under the stranger's own name. So
a service that only this machine can reach answers to names of this machine, unless
``MIEN_HOSTS`` lists others; and what changes or costs something is not taken from other sites.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mien.hosts import is_loopback
from mien.service.errors import ServiceError, error_response
from mien.service.settings import Settings

__all__ = ["OriginRules", "origin_allowed"]

_READ_ONLY = ("GET", "HEAD", "OPTIONS")


class OriginRules:
    """ASGI middleware that checks ``Host``, and who sends."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._cors_origins = settings.cors_origins
        self._hosts = {host.lower() for host in settings.hosts}
        self._any = (not self._hosts and not is_loopback(settings.host)) or (
            settings.unix_socket is not None and not self._hosts
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except ServiceError as error:
            await _refuse(error, scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) > 1 or (not hosts and scope.get("http_version") != "1.0"):
            raise ServiceError(
                "bad_request", f"expected one Host header, got {len(hosts)}", headers=_CLOSE
            )
        name = _name_of(hosts[0]) if hosts else ""
        if not self._answers_to(name):
            raise ServiceError(
                "wrong_host",
                "this service does not answer to that Host: its names are set by MIEN_HOSTS",
                headers=_CLOSE,
            )
        if scope["type"] == "http" and scope["method"] not in _READ_ONLY:
            self._check_site(headers)

    def _answers_to(self, name: str) -> bool:
        """Addresses always pass: rebinding needs a name, and probes use addresses."""
        if self._any or name in self._hosts or is_loopback(name) or _is_address(name):
            return True
        return any(host.startswith("*.") and name.endswith(host[1:]) for host in self._hosts)

    def _check_site(self, headers: Headers) -> None:
        site = headers.get("sec-fetch-site", "none")
        foreign = site in ("cross-site", "same-site")
        if headers.get("origin") in self._cors_origins:
            return
        if foreign or not origin_allowed(headers, self._cors_origins):
            raise ServiceError(
                "forbidden",
                "pages of other sites may not send here: MIEN_CORS_ORIGINS lists those that may",
                headers=_CLOSE,
            )


_CLOSE = {"Connection": "close"}


def origin_allowed(headers: Headers, allowed: Sequence[str]) -> bool:
    """Tell whether a page may open a socket or send something.

    Programs send no ``Origin``; a page's must be the service's own or on the list. Browsers
    let any page open a socket to anywhere, so that only this keeps strangers' pages out.
    """
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return True
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""


def _name_of(host: str) -> str:
    """Return the name or address in a ``Host``, without port and brackets, in lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    content = {"code": error.code, "message": error.message}
    answer = error_response(scope, error.status, content, error.headers)
    # Starlette's responses know how to refuse the handshake of a socket
    await answer(scope, receive, send)
