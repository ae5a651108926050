"""Work on several items at once, with results in the order of the items."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["cores", "in_order"]

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Callable[[_Item], _Done], items: Iterable[_Item], workers: int
) -> Generator[_Done, None, None]:
    """Work on ``workers`` items at once; yield in order, holding at most twice as many more.

    What ``work`` raises is raised here; items that were not begun by then are dropped, as they
    are when the generator is closed.
    """
    pending: deque[Future[_Done]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= 3 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
