"""Models side by side: latency, throughput, memory, size, accuracy; and whole photos.

:mod:`mien.bench.run` has whole benchmarks; the other modules measure one thing each.
"""

from __future__ import annotations
