"""Who may come in, whose turn it is, and how many pixels may be decoded at once.

* :class:`Places`: requests in the house. A place is asked for before the body is read.
* :class:`Turns`: threads. Single images come before batches, and batches take turns.
* :class:`PixelBudget`: memory. A small image passes a large one that does not fit yet.

A caller that goes away takes what has not begun out of the queue; work on a thread ends at its
next :func:`checkpoint`. Everything here but that lives on one event loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from mien.service.errors import ServiceError

__all__ = [
    "Abandoned",
    "PixelBudget",
    "Place",
    "Places",
    "SocketPlaces",
    "Turns",
    "as_batch",
    "checkpoint",
]

_T = TypeVar("_T")

#: An upload that takes longer gives its place back, and asks for one again at its end: slow
#: clients cannot keep everybody else out.
_FAST_UPLOAD_S = 2.0


class Place:
    """A place in the queue, held from the headers of a request to its answer."""

    def __init__(self, places: Places) -> None:
        self._places, self._held = places, False
        self._timer: asyncio.TimerHandle | None = None

    def _take(self) -> None:
        self._places._enter()
        self._held = True

    def _begin(self) -> None:
        self._take()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_FAST_UPLOAD_S, self._give)

    def _give(self) -> None:
        if self._held:
            self._held = False
            self._places._leave()

    def arrived(self) -> None:
        """Note that the body is there.

        Raises:
            ServiceError: ``overloaded``: it took long, and all places are taken now.
        """
        if self._timer is not None:
            self._timer.cancel()
        if not self._held:
            self._take()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._give()


class Places:
    """At most ``most`` requests at a time.

    Args:
        on_change: given the number of requests whenever it changes.
    """

    def __init__(self, most: int, on_change: Callable[[int], None] = lambda inside: None) -> None:
        self._most, self._on_change = most, on_change
        self._inside = 0

    @contextmanager
    def hold(self) -> Iterator[Place]:
        """Hold a place.

        Raises:
            ServiceError: ``overloaded``: all places are taken.
        """
        place = Place(self)
        place._begin()
        try:
            yield place
        finally:
            place._end()

    def _enter(self) -> None:
        if self._inside >= self._most:
            raise ServiceError(
                "overloaded",
                f"{self._inside} requests are being worked on: try again later",
                headers={"Retry-After": "1", "Connection": "close"},
            )
        self._inside += 1
        self._on_change(self._inside)

    def _leave(self) -> None:
        self._inside -= 1
        self._on_change(self._inside)


class SocketPlaces:
    """Sockets that are read from, in all and of each address. Lives on one event loop."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken.total()

    def take(self, address: str) -> str:
        """Take a place; return why there is none, or nothing."""
        if len(self) >= self._most:
            return f"{self._most} sockets are open"
        if address and self._taken[address] >= self._most_per_address:
            return f"{self._most_per_address} sockets of this address are open"
        self._taken[address] += 1
        return ""

    def give(self, address: str) -> None:
        """Give a place back."""
        self._taken[address] -= 1
        if self._taken[address] <= 0:
            del self._taken[address]


class Abandoned(Exception):
    """Nobody waits for this work any more."""


_stopped: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "stopped", default=None
)

#: The batch that the current task works for; none for single images.
_batch: contextvars.ContextVar[int | None] = contextvars.ContextVar("batch", default=None)
_numbers = itertools.count(1)


def checkpoint() -> None:
    """Call between two stages of work on a thread.

    Raises:
        Abandoned: the caller has gone, or its time is up.
    """
    stopped = _stopped.get()
    if stopped is not None and stopped.is_set():
        raise Abandoned


@contextmanager
def as_batch() -> Iterator[None]:
    """Let what is begun in this block wait behind single images."""
    token = _batch.set(next(_numbers))
    try:
        yield
    finally:
        _batch.reset(token)


class Turns:
    """A pool of threads on which single images come first.

    Batches share what is left, one image of each in turn, and get every fourth turn at least.
    As long as single images come in, one thread of several takes no work of batches, so that
    a single image does not wait for one to be finished.
    """

    _SINGLES_IN_A_ROW = 3
    _RECENT_S = 0.5

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="read")
        self._threads = threads
        self._free = threads
        self._of_batches = 0
        self._singles: deque[asyncio.Future[None]] = deque()
        self._batches: dict[int, deque[asyncio.Future[None]]] = {}
        self._in_a_row = 0
        self._last_single = float("-inf")
        self._again: asyncio.TimerHandle | None = None

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run work on a thread when it is its turn.

        When cancelled, work that waits is taken out, and work that runs ends at its next
        checkpoint; its thread is free only then.
        """
        loop = asyncio.get_running_loop()
        batch = _batch.get()
        await self._turn(batch)
        stopped = threading.Event()
        _token = _stopped.set(stopped)
        context = contextvars.copy_context()
        _stopped.reset(_token)
        claim = _claim.get()
        if claim is not None:
            claim.uses += 1

        def done() -> None:
            self._done(batch is not None)
            if claim is not None:
                claim.end_use()

        running: Future[_T] = self._pool.submit(context.run, work)
        running.add_done_callback(
            lambda _: None if loop.is_closed() else loop.call_soon_threadsafe(done)
        )
        try:
            return await asyncio.wrap_future(running)
        finally:
            stopped.set()

    async def close(self) -> None:
        """Wait for what runs."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    async def _turn(self, batch: int | None) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._singles if batch is None else self._batches.setdefault(batch, deque())
        queue.append(turn)
        if batch is None:
            self._last_single = asyncio.get_running_loop().time()
        self._start()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._done(batch is not None)
            raise

    def _done(self, of_batch: bool) -> None:
        self._free += 1
        self._of_batches -= of_batch
        self._start()

    def _start(self) -> None:
        while self._free:
            batches = self._batches_wait()
            single = self._next_single(yielding=batches)
            if single is not None:
                self._in_a_row += 1
                self._free -= 1
                single.set_result(None)
            elif batches:
                self._start_batch()
            else:
                return

    def _next_single(self, yielding: bool) -> asyncio.Future[None] | None:
        if yielding and self._in_a_row >= self._SINGLES_IN_A_ROW:
            return None
        while self._singles:
            turn = self._singles.popleft()
            if not turn.done():
                return turn
        return None

    def _batches_wait(self) -> bool:
        """Whether a batch waits, and may have a thread."""
        for number in list(self._batches):
            queue = self._batches[number]
            while queue and queue[0].done():
                queue.popleft()
            if not queue:
                del self._batches[number]
        if not self._batches:
            return False
        loop = asyncio.get_running_loop()
        quiet = loop.time() - self._last_single > self._RECENT_S
        if self._of_batches < (self._threads if quiet else max(1, self._threads - 1)):
            return True
        if self._again is None and not quiet:  # look again when singles have stopped coming
            self._again = loop.call_later(self._RECENT_S, self._look_again)
        return False

    def _look_again(self) -> None:
        self._again = None
        self._start()

    def _start_batch(self) -> None:
        number, queue = next(iter(self._batches.items()))
        del self._batches[number]
        turn = queue.popleft()
        if queue:  # to the end: the other batches come before its next image
            self._batches[number] = queue
        self._in_a_row = 0
        self._free -= 1
        self._of_batches += 1
        turn.set_result(None)


@dataclass(eq=False, slots=True)
class _Claim:
    """Room for one image: in use by its request, and by every thread that works on it."""

    budget: PixelBudget
    pixels: int
    since: float
    uses: int = 1
    granted: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end_use(self) -> None:
        self.uses -= 1
        if self.uses == 0:
            self.budget._release(self)


_claim: contextvars.ContextVar[_Claim | None] = contextvars.ContextVar("claim", default=None)


class PixelBudget:
    """A semaphore weighted by decoded size.

    An image above a quarter of the budget is large. Small ones pass a large one that waits, for
    a second; then they wait until it fits, if it is small ones that keep it out.
    """

    _PATIENCE_S = 1.0

    def __init__(self, pixels: int) -> None:
        self._total = self._left = pixels
        self._large_in_flight = 0
        self._waiting: list[_Claim] = []

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[None]:
        """Hold room for an image; one that is larger than everything gets everything.

        The room is given back when the block has been left and no thread of :class:`Turns`
        works for it any more.
        """
        now = asyncio.get_running_loop().time()
        claim = _Claim(self, min(pixels, self._total), now)
        self._waiting.append(claim)
        self._grant()
        try:
            await claim.granted
        except asyncio.CancelledError:
            if claim in self._waiting:
                self._waiting.remove(claim)
            if not claim.granted.cancelled():
                claim.end_use()
            self._grant()
            raise
        token = _claim.set(claim)
        try:
            yield
        finally:
            _claim.reset(token)
            claim.end_use()

    def _is_large(self, claim: _Claim) -> bool:
        return claim.pixels > self._total // 4

    def _release(self, claim: _Claim) -> None:
        self._left += claim.pixels
        self._large_in_flight -= claim.pixels if self._is_large(claim) else 0
        self._grant()

    def _grant(self) -> None:
        now = asyncio.get_running_loop().time()
        kept = 0
        for claim in list(self._waiting):
            if claim.granted.done():
                self._waiting.remove(claim)
            elif claim.pixels <= self._left - kept:
                self._waiting.remove(claim)
                self._left -= claim.pixels
                self._large_in_flight += claim.pixels if self._is_large(claim) else 0
                claim.granted.set_result(None)
            elif (
                now - claim.since > self._PATIENCE_S
                and claim.pixels + self._large_in_flight + kept <= self._total
            ):
                kept += claim.pixels
