"""The socket: frames in, readings of tracked faces out. The newest frame wins.

A conversation goes through these states, and no others:

    GREETING --hello with a good key, or a first frame where no key is needed--> STREAMING
    GREETING, STREAMING --refused, idle, too large, stopping, client gone--> CLOSED

The client sends:
    text    {"type": "hello", "key"?, "smooth"?: true, "landmarks"?: true}   once, first
    binary  a JPEG, PNG or WebP picture: a frame, numbered from 1 in the order sent

The service sends, as JSON text:
    {"type": "ready", "model", "labels", "limits"}
    {"type": "reading", "frame", "width", "height", "faces", "dropped", "latency_ms",
     "timings_ms"}
    {"type": "error", "frame"?, "error": {"code", "message", "request_id"}}

Close codes: 1000 idle, 1001 stopping, 1007 not a message of the above, 1008 key or origin
refused, 1009 frame too large, 1011 failure, 1013 too many sockets.
"""

from __future__ import annotations

import asyncio
import enum
import json
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from mien.errors import ImageError
from mien.service.access import key_of, network_of
from mien.service.deps import Services, address_of, services_of, within
from mien.service.engine import Engine, Outcome
from mien.service.errors import ServiceError, public_error
from mien.service.origins import origin_allowed
from mien.video.tracking import Tracker, TrackingRules
from mien.wire import reading_to_dict, to_json

__all__ = ["Close", "Conversation", "Frames", "State", "router"]

_log = logging.getLogger("mien.service")

router = APIRouter()


class State(enum.Enum):
    """Where a conversation is."""

    GREETING = "greeting"
    STREAMING = "streaming"
    CLOSED = "closed"


class Close(enum.IntEnum):
    """Why a conversation ends, by the numbers of RFC 6455."""

    IDLE = 1000
    STOPPING = 1001
    NOT_UNDERSTOOD = 1007
    REFUSED = 1008
    TOO_LARGE = 1009
    FAILED = 1011
    TRY_LATER = 1013


@dataclass(frozen=True, slots=True)
class _Hello:
    key: str = ""
    smooth: bool = True
    landmarks: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture that came by socket, its number and when it came, in seconds."""

    number: int
    data: bytes
    arrived_s: float


class Frames:
    """The frames that wait: when there are too many, the oldest goes."""

    def __init__(self, places: int) -> None:
        self._waiting: deque[Frame] = deque()
        self._places = places
        self._arrived = asyncio.Event()
        self._count = 0
        self.dropped = 0

    def put(self, data: bytes) -> int:
        """Add a frame; return how many were dropped for it."""
        self._count += 1
        self._waiting.append(Frame(self._count, data, time.perf_counter()))
        self._arrived.set()
        overflow = max(0, len(self._waiting) - self._places)
        for _ in range(overflow):
            self._waiting.popleft()
        self.dropped += overflow
        return overflow

    async def take(self) -> Frame:
        """Return the oldest frame that waits, as soon as there is one."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class _Closing(Exception):
    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Conversation:
    """One socket. Lives on one event loop: one task receives, one reads and answers."""

    def __init__(self, socket: WebSocket, services: Services, engine: Engine) -> None:
        self.state = State.GREETING
        self._socket, self._services, self._engine = socket, services, engine
        self._request_id = str(socket.scope["request_id"])
        settings = services.settings
        # one frame is being read, so that the queue of N has N - 1 places to wait
        self._frames = Frames(max(1, settings.socket_queue - 1))
        self._limits = replace(settings.image_limits, max_bytes=settings.socket_bytes)
        self._hello = _Hello()
        self._tracker = Tracker()
        self._reader: asyncio.Task[None] | None = None
        self._address = network_of(address_of(socket))

    async def run(self) -> None:
        """Talk until either side has had enough."""
        code, reason = Close.IDLE, ""
        try:
            await self._receive()
        except WebSocketDisconnect:
            pass
        except _Closing as closing:
            code, reason = closing.code, closing.reason
        finally:
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.gather(self._reader, return_exceptions=True)
                self._services.sockets.give(self._address)
                self._services.metrics.sockets.set(len(self._services.sockets))
            await self.close(code, reason)

    async def stop(self) -> None:
        """Close it, as the service is stopping."""
        await self.close(Close.STOPPING, "the service is stopping")

    async def close(self, code: Close, reason: str) -> None:
        """End the conversation; closing twice is harmless."""
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        if self._socket.application_state is not WebSocketState.DISCONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect, OSError):  # the client was quicker
                await self._socket.close(code, reason)

    async def _receive(self) -> None:
        while True:
            try:
                message = await asyncio.wait_for(self._next(), self._patience_s())
            except asyncio.TimeoutError:
                raise _Closing(Close.IDLE, f"idle for {self._patience_s():g} s") from None
            if isinstance(message, str):
                await self._on_text(message)
            else:
                self._on_frame(message)

    def _patience_s(self) -> float:
        settings = self._services.settings
        if self.state is State.GREETING:
            return min(settings.socket_hello_s, settings.socket_idle_s)
        return settings.socket_idle_s

    async def _next(self) -> str | bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def _on_text(self, text: str) -> None:
        if self.state is not State.GREETING:
            raise _Closing(Close.NOT_UNDERSTOOD, "expected a picture: one hello is enough")
        self._hello = _parse_hello(text)
        access = self._services.access
        if access.needs_key and not self._has_key(self._hello.key):
            raise _Closing(Close.REFUSED, "expected a valid key")
        self._start_reading()
        card, settings = self._engine.card, self._services.settings
        await self._send(
            {
                "type": "ready",
                "model": {"name": card.name, "version": card.version},
                "labels": list(card.labels),
                "limits": {
                    "frame_bytes": settings.socket_bytes,
                    "queue": settings.socket_queue,
                    "idle_s": settings.socket_idle_s,
                },
            }
        )

    def _on_frame(self, data: bytes) -> None:
        if self.state is State.GREETING:
            if self._services.access.needs_key and not self._has_key(""):
                raise _Closing(Close.REFUSED, "expected a hello with a valid key first")
            self._start_reading()
        if len(data) > self._limits.max_bytes:
            raise _Closing(Close.TOO_LARGE, f"a frame may have {self._limits.max_bytes:,} bytes")
        dropped = self._frames.put(data)
        self._services.metrics.frames.labels("dropped").inc(dropped)

    def _start_reading(self) -> None:
        """Take a place: those who have shown no key hold none.

        Raises:
            _Closing: there is none.
        """
        refusal = self._services.sockets.take(self._address)
        if refusal:
            self._services.metrics.rejected.labels("sockets").inc()
            raise _Closing(Close.TRY_LATER, refusal)
        self._services.metrics.sockets.set(len(self._services.sockets))
        self.state = State.STREAMING
        rules = TrackingRules(self._engine.predictor.calibration)
        self._tracker = Tracker(rules if self._hello.smooth else replace(rules, smooth_s=0.0))
        self._reader = asyncio.create_task(self._read_frames(), name="socket-reader")

    def _has_key(self, key: str) -> bool:
        access = self._services.access
        return access.knows(key or key_of(self._socket.headers))

    async def _read_frames(self) -> None:
        while True:
            frame = await self._frames.take()
            try:
                answer = await self._read(frame)
                outcome = "read"
            except (ImageError, ServiceError) as error:
                answer, outcome = self._error(frame, public_error(error)), "failed"
            except Exception:  # the edge: the client learns that it failed, not how
                _log.exception("frame failed", extra={"request_id": self._request_id})
                await self.close(Close.FAILED, "the service failed; it was logged")
                return
            self._services.metrics.frames.labels(outcome).inc()
            await self._send(answer)

    async def _read(self, frame: Frame) -> dict[str, Any]:
        with within(self._services.settings.timeout_s, "timeout", "reading took too long"):
            async with self._engine.room_for(frame.data):
                outcome = await self._engine.read(frame.data, self._limits)
        readings = self._tracker.follow(outcome.readings, frame.arrived_s)
        return self._answer(frame, replace(outcome, readings=readings))

    def _answer(self, frame: Frame, outcome: Outcome) -> dict[str, Any]:
        height, width = outcome.picture.size_hw
        faces = [reading_to_dict(reading) for reading in outcome.readings]
        if not self._hello.landmarks:
            faces = [{**face, "landmarks": []} for face in faces]
        return {
            "type": "reading",
            "frame": frame.number,
            "width": width,
            "height": height,
            "faces": faces,
            "dropped": self._frames.dropped,
            "latency_ms": round((time.perf_counter() - frame.arrived_s) * 1000, 2),
            "timings_ms": {name: round(ms, 2) for name, ms in outcome.timings_ms.items()},
        }

    def _error(self, frame: Frame, content: dict[str, str]) -> dict[str, Any]:
        error = {**content, "request_id": self._request_id}
        return {"type": "error", "frame": frame.number, "error": error}

    async def _send(self, content: dict[str, Any]) -> None:
        with suppress(RuntimeError, WebSocketDisconnect, OSError):  # told by _receive anyway
            await self._socket.send_text(to_json(content))


@router.websocket("/ws")
async def talk(socket: WebSocket) -> None:
    """Serve one socket; see the module's text for what is said."""
    services = services_of(socket)
    if not origin_allowed(socket.headers, services.settings.socket_origins):
        services.metrics.rejected.labels("origin").inc()
        await socket.close(Close.REFUSED)  # before accepting: the handshake is answered 403
        return
    try:
        services.access.check_rate(f"socket {network_of(address_of(socket))}")
        engine = services.running_engine()
    except ServiceError as error:
        services.metrics.rejected.labels(error.code).inc()
        await _refuse(socket, Close.TRY_LATER, error.message)
        return
    if services.stopping:
        await _refuse(socket, Close.STOPPING, "the service is stopping")
        return
    conversation = Conversation(socket, services, engine)
    services.conversations.add(conversation)
    try:
        await socket.accept()
        await conversation.run()
    finally:
        services.conversations.discard(conversation)


async def _refuse(socket: WebSocket, code: Close, reason: str) -> None:
    """Accept first: a browser sees the code of an opened socket only."""
    await socket.accept()
    await socket.close(code, reason)


def _parse_hello(text: str) -> _Hello:
    try:
        content = json.loads(text)
        if content.pop("type") != "hello":
            raise ValueError("type is not hello")
        hello = _Hello(**content)
        if not isinstance(hello.key, str):
            raise ValueError("key is not a text")
        if not (isinstance(hello.smooth, bool) and isinstance(hello.landmarks, bool)):
            raise ValueError("smooth and landmarks are true or false")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        reason = 'expected {"type": "hello", "key"?, "smooth"?, "landmarks"?}'
        raise _Closing(Close.NOT_UNDERSTOOD, reason) from None
    return hello
