"""Processes that end with the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["die_with_parent"]

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Let this process get a signal when its parent ends, however that ends.

    A killed parent cannot stop its children itself. Does nothing where the system has no such
    thing: on others than Linux.

    Args:
        parent: the id of the parent; if that has ended already, the signal comes at once.
        number: the signal.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
