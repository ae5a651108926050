"""HTTP and WebSocket connections with limits from the first byte.

Uvicorn's httptools protocol has no limit for a head, no deadline for one, and closes while a
body still arrives, so that the client loses the answer; ``h11_max_incomplete_event_size`` is
read by its h11 protocol only. h11 has that limit but no deadlines either, and is slower;
another server would bring its own process model and lose the in-order shutdown of ``run``.
Hence these two subclasses: they count, and hand everything on.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from mien.service.connections import Connections, Phase, Wire
from mien.service.settings import Settings

__all__ = ["HttpConnection", "SocketConnection"]

_SLICE_BYTES = 16 * 1024
_MOST_HEADERS = 100

#: What chunked framing may add to a body: a client that sends single bytes adds five to each.
_FRAMING_BYTES = 64 * 1024
_FRAMING_FACTOR = 8


class _Refused(Exception):
    """Raised in a parser's callback, to end the parsing."""


class HttpConnection(HttpToolsProtocol):
    """One HTTP connection. Lives on one event loop.

    Args:
        trusted: the addresses of proxies, which are exempt from the limit an address.
    """

    def __init__(
        self,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        settings: Settings,
        open_connections: Connections,
        trusted: Any,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._settings, self._open, self._trusted = settings, open_connections, trusted
        self._wire: Wire | None = None
        self._in_head = True
        self._head_counted = 0  # by what the parser has understood
        self._head_arrived = 0  # while it has understood nothing
        self._body_bytes = self._body_arrived = 0
        self._message_complete = True
        self._upgraded = False
        self._refusal: tuple[int, str, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        wire = self._wire = Wire(transport, address, self.loop.time())
        wire.incomplete = self._request_incomplete
        super().connection_made(wire)  # type: ignore[arg-type]
        if self._open.join(wire, exempt=not address or address in self._trusted):
            self._refuse(503, "overloaded", "too many connections: try again later")
            self._open.turn_away(wire)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._wire is not None:
            self._open.leave(self._wire)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what arrived, in slices while it belongs to a head."""
        wire = self._wire
        if wire is None or self.parser is None:
            return
        if wire.phase is Phase.LINGER:
            self._discard(data)
            return
        if wire.phase is Phase.IDLE:
            wire.enter(Phase.HEAD)
        elif wire.phase is Phase.BODY:
            wire.touch()
        start = 0
        while start < len(data) and not wire.is_closing() and not self._upgraded:
            end = start + _SLICE_BYTES if self._in_head else len(data)
            self._feed(data[start:end])
            start = end
        phase: Phase = wire.phase  # what was fed may have changed it
        if phase is Phase.LINGER and start < len(data):
            self._discard(data[start:])

    def _feed(self, piece: bytes) -> None:
        was_in_head, counted = self._in_head, self._body_bytes
        super().data_received(piece)
        if self._refusal is not None or self._upgraded:
            return
        if self._in_head:
            # a piece that ends a body may begin a head: that head is counted from the next on
            self._head_arrived += len(piece) if was_in_head else 0
            if self._head_arrived > self._settings.head_bytes + _SLICE_BYTES:
                self._refuse_head()
        elif not was_in_head:
            self._body_arrived += len(piece)
            allowed = _FRAMING_BYTES + _FRAMING_FACTOR * max(counted, self._body_bytes)
            if self._body_arrived - self._body_bytes > allowed:
                self._refuse(400, "bad_request", "the body's framing is larger than its content")

    def _discard(self, data: bytes) -> None:
        """Read on for a refused client, and close when its request is complete."""
        if self._wire is None:
            return
        self._wire.touch()
        if self._refusal is not None:
            return
        try:
            self.parser.feed_data(data)
        except Exception:  # whatever it is, nobody is listening any more
            self._wire.close()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._in_head, self._message_complete = True, False
        self._head_counted = self._head_arrived = 0
        self._body_bytes = self._body_arrived = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the URL."""
        if len(self.url) + len(url) > self._settings.url_bytes:
            most = self._settings.url_bytes
            self._refusal = (414, "url_too_long", f"the URL may have {most:,} bytes")
            raise _Refused
        self._head_counted += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header; those behind a body are counted, and dropped."""
        self._head_counted += len(name) + len(value) + 4
        too_many = len(self.headers) >= _MOST_HEADERS
        if too_many or self._head_counted > self._settings.head_bytes:
            self._refusal = self._head_refusal()
            raise _Refused
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin the body."""
        self._in_head = False
        super().on_headers_complete()
        if self._wire is not None and self._wire.phase is not Phase.LINGER:
            self._wire.enter(Phase.BODY)

    def on_body(self, body: bytes) -> None:
        """Count the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the answer; or close, if it has been given."""
        self._message_complete = self._in_head = True
        super().on_message_complete()
        wire = self._wire
        if wire is None:
            return
        if wire.phase is Phase.LINGER:
            wire.close()
        elif wire.phase is Phase.BODY:
            answered = self.cycle is None or self.cycle.response_complete
            wire.enter(Phase.IDLE if answered else Phase.ANSWER)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        wire = self._wire
        answered = self.cycle is not None and self.cycle.response_complete
        if wire is not None and wire.phase is Phase.ANSWER and answered:
            wire.enter(Phase.IDLE)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to the other protocol."""
        self._upgraded = True
        if self._wire is not None:
            self._wire.incomplete = lambda: False
            self._wire.enter(Phase.SOCKET)
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, or what a callback has refused."""
        self._refuse(*(self._refusal or (400, "bad_request", "this is not an HTTP/1.1 request")))

    def _refuse_head(self) -> None:
        self._refuse(*self._head_refusal())

    def _head_refusal(self) -> tuple[int, str, str]:
        most = self._settings.head_bytes
        message = f"a request may have {most:,} bytes of headers, and {_MOST_HEADERS} of them"
        return 431, "headers_too_large", message

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer without the app, and close."""
        wire = self._wire
        if wire is None or wire.is_closing():
            return
        self._refusal = (status, code, message)
        self._message_complete = False
        if code != "overloaded":
            self._open.note(code)
        request_id = uuid.uuid4().hex
        error = {"code": code, "message": message, "request_id": request_id}
        body = json.dumps({"error": error}).encode()
        head = (
            b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
            b"cache-control: no-store\r\nconnection: close\r\n"
            + f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n".encode()
            + (b"retry-after: 1\r\n" if status == 503 else b"")
        )
        if self.cycle is None or self.cycle.response_complete:
            wire.write(STATUS_LINE[status] + head + b"\r\n" + body)
        elif not self.cycle.response_started:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            wire.write(STATUS_LINE[status] + head + b"\r\n" + body)
        wire.close()

    def _request_incomplete(self) -> bool:
        return not self._message_complete and not self._upgraded


class SocketConnection(WebSocketsSansIOProtocol):
    """One WebSocket, on the connection of an :class:`HttpConnection`."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        open_connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._open = open_connections

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if isinstance(self.transport, Wire):
            self._open.leave(self.transport)
        super().connection_lost(exc)
