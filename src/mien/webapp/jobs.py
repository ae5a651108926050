"""Long work on a thread, so that a click elsewhere on the page does not throw it away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from mien.errors import MienError

__all__ = ["Job", "JobState"]

_Result = TypeVar("_Result")


class JobState:
    """What the work reports; the page reads it. Any thread may call anything."""

    def __init__(self, total: int = 0) -> None:
        self.done = 0
        self.total = total
        self.started_s = time.monotonic()
        self._wish = threading.Event()

    def report(self, done: int, total: int | None = None) -> None:
        """Say how far the work is."""
        self.done = done
        self.total = self.total if total is None else total

    def wish_stop(self) -> None:
        """Ask the work to return what it has."""
        self._wish.set()

    @property
    def stop_wished(self) -> bool:
        """Whether the work should return what it has."""
        return self._wish.is_set()

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def left_s(self, now_s: float | None = None) -> float | None:
        """Return the seconds that are left at the pace so far; ``None`` before there is one."""
        if not self.done or not self.total:
            return None
        elapsed = (time.monotonic() if now_s is None else now_s) - self.started_s
        return max(0.0, elapsed / self.done * (self.total - self.done))


class Job(Generic[_Result]):
    """Work that runs once on a thread of its own, from construction on.

    Attributes:
        result: what the work returned, or ``None`` so far.
        error: in words, if it failed; empty if not.
    """

    def __init__(self, work: Callable[[JobState], _Result], total: int = 0) -> None:
        self.state = JobState(total)
        self.result: _Result | None = None
        self.error = ""
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether there is neither a result nor an error yet."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the work to return what it has so far."""
        self.state.wish_stop()

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when the work has ended."""
        self._thread.join(timeout_s)

    def _run(self, work: Callable[[JobState], _Result]) -> None:
        try:
            self.result = work(self.state)
        except MienError as error:
            self.error = str(error)
        except Exception as error:  # the edge of a thread: a page must never wait for ever
            self.error = f"this should not have happened ({type(error).__name__}: {error})"
