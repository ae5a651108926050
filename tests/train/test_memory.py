"""Freed memory is kept for the next step, where the C library can be told."""

import platform
import subprocess
import sys

import pytest

from mien.train.memory import keep_freed_memory

_PAGES = 64 * 2**20 // 4096

# 20 blocks of 64 MB, one after another, each written to throughout.
_LOAD = """
import ctypes, resource
from mien.train.memory import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]
c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = c.malloc(64 * 2**20)
    c.memset(block, 1, 64 * 2**20)
    c.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(*, keep: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _LOAD.format(keep=keep)], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_a_block_freed_is_not_mapped_anew() -> None:
    without, kept = _faults(keep=False), _faults(keep=True)
    assert kept < 2 * _PAGES
    assert kept * 5 < without


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
