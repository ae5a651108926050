"""Memory between two training steps.

A step takes gigabytes for its activations and gives them back; the next one takes the same
again. By default glibc hands such blocks to the kernel each time, which must then map and
clear them anew, page by page: 15 to 19 % of a step of ``standard_cnn`` went there
(``benchmarks/train_step.py --keep-memory``, docs/performance.md).
"""

from __future__ import annotations

import ctypes
import platform

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # as numbered in glibc's <malloc.h>


def keep_freed_memory() -> bool:
    """Keep what this process frees for its next request, until it ends.

    The process stays as large as it ever was. Threads share the memory as before.

    Returns:
        Whether the C library could be told; only glibc can.

    Source:
        mallopt(3): a trim threshold of -1 gives nothing back, an mmap limit of 0 takes
        large blocks from the heap too.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_TRIM_THRESHOLD, -1) and mallopt(_M_MMAP_MAX, 0))
