"""Compare models for speed, size, memory and accuracy: ``mien benchmark`` by another name.

    python scripts/benchmark.py models/
    python scripts/benchmark.py models/best_model.keras --iterations 1000
    python -m memory_profiler scripts/benchmark.py models/best_model.keras

Every option of ``mien benchmark`` is taken too; ``--memory`` measures each model's peak in a
process of its own. Under ``memory_profiler`` the lines of :func:`run` are listed with what
each adds.
"""

from __future__ import annotations

import builtins
import sys


def run() -> int:
    """Return the exit code."""
    from mien.cli import main

    try:
        main(["benchmark", *sys.argv[1:]])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


if __name__ == "__main__":
    profiled = getattr(builtins, "profile", lambda function: function)(run)
    sys.exit(profiled())
