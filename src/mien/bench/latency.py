"""How long a call takes: percentiles per batch size and thread count, models in turn.

The cases take turns in short blocks, in a new order each round, so that whatever else the
machine does at some moment hurts all alike. The first call of a block is not counted: it finds
caches that hold another model's weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mien.runtime import Session
from mien.types import Crops

__all__ = ["Case", "Timing", "measure", "percentiles_ms", "random_crops"]

_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: one session at one batch size.

    Attributes:
        threads: 0 where the framework chooses them itself.
        crops: uint8 (batch, H, W, 1).
    """

    model: str
    threads: int
    session: Session
    crops: Crops


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the calls of a case took, in milliseconds.

    Attributes:
        calls: how many were counted.
        best_ms: the shortest: what is possible when nothing else runs.
        faces_per_s: the batch over the median call.
    """

    model: str
    threads: int
    batch: int
    calls: int
    best_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    faces_per_s: float


def measure(
    cases: Sequence[Case],
    *,
    iterations: int,
    warmup: int,
    generator: np.random.Generator,
    on_calls: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[Timing]:
    """Time ``iterations`` calls of each case, after ``warmup`` calls each.

    Args:
        generator: for the order of the cases.
        on_calls: called with (done, total) as calls are made.
        stopped: asked after each block; when it says yes, what was timed is returned.

    Returns:
        In the order of the cases; those of which nothing was timed are left out.
    """
    blocks = _blocks(iterations)
    total = len(cases) * (warmup + iterations)
    seconds: list[list[float]] = [[] for _ in cases]
    done = 0
    for case in cases:
        _calls_s(case, warmup)
        done += warmup
        on_calls(done, total)
        if stopped():
            return []
    for block in blocks:
        for index in generator.permutation(len(cases)):
            seconds[index] += _calls_s(cases[index], block + 1)[1:]
            done += block
            on_calls(done, total)
            if stopped():
                return _timings(cases, seconds)
    return _timings(cases, seconds)


def percentiles_ms(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return the 50th, 90th and 99th percentile in milliseconds; of fewer than 100 values
    the last is close to their maximum.
    """
    p50, p90, p99 = (np.percentile(seconds, [50, 90, 99]) * 1000).tolist()
    return p50, p90, p99


def random_crops(count: int, size_hw: tuple[int, int], generator: np.random.Generator) -> Crops:
    """Return uint8 (count, H, W, 1) of noise: a network takes as long for it as for faces."""
    return generator.integers(0, 256, (count, *size_hw, 1), np.uint8)


def _blocks(iterations: int) -> list[int]:
    """Part the calls into rounds as equal as can be."""
    rounds = min(_ROUNDS, iterations)
    return [iterations // rounds + (each < iterations % rounds) for each in range(rounds)]


def _calls_s(case: Case, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        case.session(case.crops)
        taken.append(time.perf_counter() - begun)
    return taken


def _timings(cases: Sequence[Case], seconds: Sequence[Sequence[float]]) -> list[Timing]:
    timings = []
    for case, taken in zip(cases, seconds, strict=True):
        if taken:
            p50, p90, p99 = percentiles_ms(taken)
            batch, best = len(case.crops), min(taken) * 1000
            rate = batch / p50 * 1000
            timings.append(
                Timing(case.model, case.threads, batch, len(taken), best, p50, p90, p99, rate)
            )
    return timings
