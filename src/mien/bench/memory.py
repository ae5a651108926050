"""How much memory a model takes, and how soon it answers, in a process of its own.

    python -m mien.bench.memory '{"opener": "mien.runtime:open_session", "path": "a.onnx", ...}'

is what :func:`measure_memory` starts; it prints one line of JSON.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.bench.models import Opener
from mien.errors import ModelError

__all__ = ["Memory", "measure_memory", "peak_mb"]

_CALLS = 20
_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class Memory:
    """What one process needed that opened one model and called it.

    Attributes:
        peak_mb: the process at its largest, interpreter and runtime included, in 10^6 bytes.
        model_mb: how far that is above what it was before the model was opened.
        first_answer_s: from the start of the process to the logits of the first crop.
    """

    peak_mb: float
    model_mb: float
    first_answer_s: float


def measure_memory(
    path: Path, opener: Opener, *, device: str, threads: int, batch: int
) -> Memory | None:
    """Open a model in a new process and call it; ``None`` where peaks cannot be read.

    Args:
        opener: a function at the top of a module, so that the new process can import it.

    Raises:
        ModelError: the process failed.
    """
    if peak_mb() is None:
        return None
    order = {
        "opener": f"{opener.__module__}:{opener.__qualname__}",
        "path": str(path),
        "device": device,
        "threads": threads,
        "batch": batch,
        "begun": time.time(),
    }
    command = [sys.executable, "-m", "mien.bench.memory", json.dumps(order)]
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"{path}: gave no answer in {_TIMEOUT_S} s") from None
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"{path}: the process that measures its memory failed: {last}")
    return Memory(**json.loads(ran.stdout.splitlines()[-1]))


def peak_mb() -> float | None:
    """Return the largest resident memory of this process so far in 10^6 bytes.

    ``None`` on systems that do not tell. Linux counts it anew for each program that is
    started; what ``getrusage`` gives there may be that of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next((int(line.split()[1]) * 1.024e-3 for line in lines if "VmHWM" in line), None)
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1e-6
    return None


def _answer(order: dict[str, Any]) -> Memory:
    module, name = order["opener"].split(":")
    opener = getattr(importlib.import_module(module), name)
    _import_runtime(Path(order["path"]).suffix)
    before = peak_mb() or 0.0
    session = opener(Path(order["path"]), device=order["device"], threads=order["threads"])
    generator = np.random.default_rng(0)
    crops = generator.integers(0, 256, (order["batch"], *session.card.framing.size_hw, 1), np.uint8)
    session(crops[:1])
    first_s = time.time() - order["begun"]
    for _ in range(_CALLS):
        session(crops)
    peak = peak_mb() or 0.0
    return Memory(peak, peak - before, first_s)


def _import_runtime(ending: str) -> None:
    """Import what opening such a file would, so that it is not counted for the model."""
    runtimes = {".onnx": "onnxruntime", ".tflite": "ai_edge_litert.interpreter", ".keras": "keras"}
    importlib.import_module(runtimes[ending])


if __name__ == "__main__":
    from dataclasses import asdict

    sys.stdout.write(json.dumps(asdict(_answer(json.loads(sys.argv[1])))) + "\n")
