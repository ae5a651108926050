"""The connections that are open: how many, whose, and for how long each may stay as it is.

Uvicorn bounds neither: it waits for ever for a head that does not end, and for a client that
does not read its answer. One sweep a quarter of a second looks at all connections, which is
cheaper than a timer for each piece that arrives.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mien.service.access import network_of
from mien.service.metrics import Metrics
from mien.service.settings import Settings

try:
    import resource
except ModuleNotFoundError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

__all__ = ["Connections", "Phase", "Wire", "descriptors_left"]

_log = logging.getLogger("mien.service")

_SWEEP_S = 0.25
_LOG_EVERY_S = 10.0

#: A connection that finds no place is told so, and is given a second to read it; beyond this
#: many at once it is cut.
_TURNED_AWAY = 32
_TURNED_AWAY_S = 1.0

#: How long a refused client may go on sending, so that it reads the refusal: closing while
#: bytes arrive makes the kernel reset the connection, and the answer is lost.
LINGER_S = 30.0
LINGER_IDLE_S = 5.0


#: Descriptors that connections leave to logs, models, pipes and those that are turned away.
_RESERVE = 64


def descriptors_left() -> int | None:
    """Return how many connections the limit of open files allows; ``None`` if any number.

    The soft limit is raised to the hard one first.
    """
    if resource is None:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return None if soft == resource.RLIM_INFINITY else max(1, soft - _RESERVE)


class Phase(enum.Enum):
    """What a connection is waiting for."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    IDLE = "idle"
    LINGER = "linger"
    SOCKET = "socket"


#: A connection in one of these gives its place to a new one when there is none left.
_EVICTABLE = (Phase.IDLE, Phase.LINGER, Phase.HEAD)


class Wire:
    """A transport that knows its phase and counts what is written.

    Stands in for the transport that uvicorn's protocols hold: ``close`` lingers while a
    request is still arriving, all else goes to the transport.
    """

    def __init__(self, transport: asyncio.Transport, address: str, now: float) -> None:
        self._transport = transport
        self.address = address
        self.phase = Phase.HEAD
        self.since = now
        self.begun = now
        self.reading_paused = False
        self.incomplete: Callable[[], bool] = lambda: False
        self._written = 0
        self._drained = 0
        self._drained_at = now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def enter(self, phase: Phase) -> None:
        """Begin a phase, and its time."""
        self.phase = phase
        self.touch()

    def touch(self) -> None:
        """Note that the phase made progress."""
        self.since = asyncio.get_running_loop().time()

    def write(self, data: Any) -> None:
        """Write, and count it."""
        if self.phase is not Phase.LINGER:
            self._written += len(data)
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Stop reading: that nothing arrives is not the client's fault then."""
        self.reading_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if self.reading_paused:
            self.reading_paused = False
            self.touch()
            self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Whether no more answers can be written."""
        return self.phase is Phase.LINGER or bool(self._transport.is_closing())

    def close(self) -> None:
        """Close; if a request is still arriving, first only the writing half."""
        lingers = self.phase is not Phase.LINGER and self.incomplete()
        if not lingers or self._transport.is_closing() or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._transport.write_eof()
        self.resume_reading()
        self.begun = asyncio.get_running_loop().time()
        self.enter(Phase.LINGER)

    def unread(self) -> int:
        """Return the bytes that wait for the client to read."""
        return int(self._transport.get_write_buffer_size())

    def unread_for(self, now: float) -> float:
        """Return for how many seconds the client has read nothing that waits for it."""
        waiting = self.unread()
        drained = self._written - waiting
        if waiting == 0 or drained > self._drained:
            self._drained, self._drained_at = drained, now
        return now - self._drained_at


class Connections:
    """All connections of one process. Lives on one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics, *, most: int | None = None) -> None:
        self._settings, self._metrics = settings, metrics
        self._most = min(settings.connections, most or settings.connections)
        self._wires: dict[Wire, None] = {}
        self._per_address: Counter[str] = Counter()
        self._sweeping = False
        self._logged: dict[str, float] = {}
        self._turned_away = 0

    def __len__(self) -> int:
        return len(self._wires)

    def join(self, wire: Wire, *, exempt: bool) -> str:
        """Count a connection; return the limit that forbids it, or nothing.

        Args:
            exempt: from the limit an address: it is a proxy, and speaks for many.
        """
        wire.address = "" if exempt else network_of(wire.address)
        most = self._settings.connections_per_address
        if wire.address and self._per_address[wire.address] >= most:
            return self.note("connections_of_address")
        if len(self._wires) >= self._most and not self._evict():
            return self.note("connections")
        self._wires[wire] = None
        self._per_address[wire.address] += 1
        self._metrics.connections.set(len(self._wires))
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
        return ""

    def leave(self, wire: Wire) -> None:
        """Forget a connection; it may be unknown."""
        if wire not in self._wires:
            return
        del self._wires[wire]
        self._per_address[wire.address] -= 1
        if self._per_address[wire.address] <= 0:
            del self._per_address[wire.address]
        self._metrics.connections.set(len(self._wires))

    def turn_away(self, wire: Wire) -> None:
        """Cut a connection that was refused a place, soon."""
        if self._turned_away >= _TURNED_AWAY:
            wire.abort()
            return
        self._turned_away += 1

        def cut() -> None:
            self._turned_away -= 1
            wire.abort()

        asyncio.get_running_loop().call_later(_TURNED_AWAY_S, cut)

    def note(self, reason: str) -> str:
        """Count that a limit was reached, log it now and then, and return its name."""
        self._metrics.cut.labels(reason).inc()
        now = asyncio.get_running_loop().time()
        if now - self._logged.get(reason, -_LOG_EVERY_S) >= _LOG_EVERY_S:
            self._logged[reason] = now
            _log.warning("connection limit reached", extra={"code": reason})
        return reason

    def _evict(self) -> bool:
        """Close the connection that has idled longest; a request in progress never is."""
        idle = [wire for wire in self._wires if wire.phase in _EVICTABLE]
        if not idle:
            return False
        oldest = min(idle, key=lambda wire: wire.since)
        self.note("evicted")
        self.leave(oldest)
        oldest.abort()
        return True

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for wire in list(self._wires):
            reason = self._overdue(wire, now)
            if reason:
                self.note(reason)
                wire.abort()
        self._shed()
        self._sweeping = bool(self._wires)
        if self._sweeping:
            asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _overdue(self, wire: Wire, now: float) -> str:
        settings, waited = self._settings, now - wire.since
        unread_s = (
            settings.socket_idle_s if wire.phase is Phase.SOCKET else settings.unread_timeout_s
        )
        if wire.unread_for(now) > unread_s:
            return "unread"
        if wire.phase is Phase.HEAD and waited > settings.head_timeout_s:
            return "slow_head"
        if wire.phase is Phase.BODY and not wire.reading_paused:
            return "slow_body" if waited > settings.body_timeout_s else ""
        if wire.phase is Phase.IDLE and waited > max(1, settings.keep_alive_s) + _SWEEP_S:
            return "idle"
        if wire.phase is Phase.LINGER and (waited > LINGER_IDLE_S or now - wire.begun > LINGER_S):
            return "lingering"
        return ""

    def _shed(self) -> None:
        """Cut the largest unread answers while all together hold too much memory."""
        waiting = {wire: wire.unread() for wire in self._wires}
        total = sum(waiting.values())
        for wire in sorted(waiting, key=lambda each: -waiting[each]):
            if total <= self._settings.unread_bytes:
                return
            total -= waiting[wire]
            self.note("unread_memory")
            wire.abort()
