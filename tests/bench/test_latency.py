from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mien.bench.latency import Case, measure, percentiles_ms, random_crops
from mien.runtime import FakeSession
from mien.types import Crops


class Counting(FakeSession):
    """Notes the batches that it is called with, in the order of all sessions' calls."""

    def __init__(self, name: str, calls: list[tuple[str, int]]) -> None:
        super().__init__()
        self._name, self._calls = name, calls

    def __call__(self, crops: Crops) -> np.ndarray:
        self._calls.append((self._name, len(crops)))
        return super().__call__(crops)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def cases(calls: list[tuple[str, int]]) -> list[Case]:
    return [
        Case(name, 1, Counting(name, calls), random_crops(batch, (48, 48), generator()))
        for name in ("a", "b")
        for batch in (1, 3)
    ]


def test_no_case_gives_no_timing() -> None:
    assert measure([], iterations=5, warmup=1, generator=generator()) == []


@pytest.mark.parametrize(("iterations", "warmup"), [(1, 0), (7, 2), (50, 1)])
def test_each_case_is_timed_as_often_as_asked(iterations: int, warmup: int) -> None:
    calls: list[tuple[str, int]] = []
    seen: list[tuple[int, int]] = []

    timings = measure(
        cases(calls),
        iterations=iterations,
        warmup=warmup,
        generator=generator(),
        on_calls=lambda done, total: seen.append((done, total)),
    )

    assert [(each.model, each.batch, each.threads) for each in timings] == [
        ("a", 1, 1), ("a", 3, 1), ("b", 1, 1), ("b", 3, 1),
    ]  # fmt: skip
    assert {each.calls for each in timings} == {iterations}
    assert all(0 < each.best_ms <= each.p50_ms <= each.p90_ms <= each.p99_ms for each in timings)
    assert all(each.faces_per_s == each.batch / each.p50_ms * 1000 for each in timings)
    assert seen[-1] == (4 * (iterations + warmup),) * 2


def test_the_cases_take_turns() -> None:
    calls: list[tuple[str, int]] = []

    measure(cases(calls), iterations=40, warmup=0, generator=generator())

    blocks = sum(before != after for before, after in pairwise(calls)) + 1
    assert blocks > 20


def test_a_stop_keeps_what_was_timed() -> None:
    calls: list[tuple[str, int]] = []

    def stopped() -> bool:
        return len(calls) > 8

    timings = measure(
        cases(calls), iterations=1000, warmup=1, generator=generator(), stopped=stopped
    )

    assert 0 < len(timings) < 4
    assert all(each.calls < 1000 for each in timings)


def test_a_stop_while_warming_up_leaves_nothing() -> None:
    stopped = measure(
        cases([]), iterations=9, warmup=1, generator=generator(), stopped=lambda: True
    )
    assert stopped == []


def test_percentiles_are_in_milliseconds() -> None:
    assert percentiles_ms([0.002]) == (2.0, 2.0, 2.0)
    assert percentiles_ms(np.arange(101) / 1000) == pytest.approx((50, 90, 99))


def test_random_crops_are_the_same_each_time() -> None:
    crops = random_crops(2, (48, 40), generator())

    assert (crops.shape, crops.dtype) == ((2, 48, 40, 1), np.uint8)
    assert np.array_equal(crops, random_crops(2, (48, 40), generator()))
