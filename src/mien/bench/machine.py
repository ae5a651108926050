"""What the figures were measured on, without which they mean nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["describe_machine"]

_ALWAYS = ("mien", "numpy", "pillow")
_RUNTIMES = {
    ".onnx": ("onnxruntime",),
    ".tflite": ("ai-edge-litert",),
    ".keras": ("keras", "tensorflow", "tensorflow-cpu", "torch"),
}
# What the kernels of the runtimes choose by.
_WORTH_KNOWING = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp", "i8mm")


def describe_machine(cores: int, endings: Iterable[str] = (".onnx",)) -> dict[str, Any]:
    """Return processor, cores, memory, system, load and the versions of what is measured.

    Args:
        cores: how many this process may use.
        endings: of the model files, whose runtimes are named with their versions.
    """
    return {
        "processor": _processor(),
        "features": _features(),
        "cores": cores,
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": _versions(endings),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        ran = subprocess.run(asked, capture_output=True, text=True, check=False)
        if ran.stdout.strip():
            return ran.stdout.strip()
    return platform.processor() or platform.machine()


def _features() -> list[str]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return []
    found = re.search(r"^(?:flags|Features)\s*: (.+)$", info.read_text(), re.MULTILINE)
    there = set(found[1].split()) if found else set()
    return [name for name in _WORTH_KNOWING if name in there]


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _versions(endings: Iterable[str]) -> dict[str, str]:
    wanted = {*_ALWAYS, *(name for ending in endings for name in _RUNTIMES[ending])}
    there = {
        distribution.metadata["Name"].lower().replace("_", "-"): distribution.version
        for distribution in metadata.distributions()
    }
    return {name: there[name] for name in sorted(wanted & there.keys())}
