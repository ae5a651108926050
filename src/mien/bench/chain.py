"""The whole way from a file to readings: each stage's time, and how many photos a second."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mien.bench.latency import percentiles_ms
from mien.errors import InputError
from mien.predictor import Predictor

__all__ = ["STAGES", "ChainTimes", "StageTime", "WorkersTime", "time_stages", "time_workers"]

#: What a photo goes through.
STAGES = ("decode", "detect", "crop", "classify")


@dataclass(frozen=True, slots=True)
class StageTime:
    """One stage over all photos: percentiles in milliseconds, and its part of the whole."""

    stage: str
    p50_ms: float
    p90_ms: float
    p99_ms: float
    share: float


@dataclass(frozen=True)
class ChainTimes:
    """What the photos took one after the other, on ``threads`` threads.

    Attributes:
        stages: in the order of :data:`STAGES`, and ``sum`` last.
        photos: how many readings of a photo were timed,
        faces: and how many faces they had in all.
        unreadable: photos that could not be read.
        photos_per_s: one over the mean of the sum.
    """

    threads: int
    stages: tuple[StageTime, ...]
    photos: int
    faces: int
    unreadable: int
    photos_per_s: float


@dataclass(frozen=True, slots=True)
class WorkersTime:
    """What the photos took with several workers at once, each on one thread.

    Attributes:
        cpu_ms: processor time of this process, a photo.
        busy: that of all photos over time passed and cores; what is missing to 1 went to
            other programs, or to
        idle: the part of all the machine's processor time in which nothing ran; ``None``
            where the system does not tell.
        early_mb, late_mb: the largest memory of the process in the second and in the last
            fifth of the photos; ``None`` where the system does not tell.
    """

    workers: int
    photos: int
    photos_per_s: float
    cpu_ms: float
    busy: float
    idle: float | None
    early_mb: float | None
    late_mb: float | None


def time_stages(
    photos: Sequence[Path],
    predictors: dict[int, Predictor],
    *,
    rounds: int,
    on_photo: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> list[ChainTimes]:
    """Time every stage of every photo, ``rounds`` times after one round that is not counted.

    Args:
        predictors: by number of threads; they take turns at each photo.
        stopped: asked after each photo; what was timed until then is returned.

    Raises:
        InputError: no photo could be read.
    """
    taken_s: dict[int, list[tuple[float, ...]]] = {threads: [] for threads in predictors}
    faces = dict.fromkeys(predictors, 0)
    unreadable: set[Path] = set()
    total = (rounds + 1) * len(photos)
    for turn in range(total):
        photo = photos[turn % len(photos)]
        for threads, predictor in predictors.items():
            try:
                seconds, found = _one(photo, predictor)
            except InputError:
                unreadable.add(photo)
                continue
            if turn >= len(photos):
                taken_s[threads].append(seconds)
                faces[threads] += found
        on_photo(turn + 1, total)
        if stopped():
            break
    if len(unreadable) == len(photos):
        raise InputError(f"none of {len(photos)} photos could be read: look at {photos[0]}")
    return [
        _chain_times(threads, seconds, faces[threads], len(unreadable))
        for threads, seconds in taken_s.items()
        if seconds
    ]


def time_workers(
    photos: Sequence[Path],
    predictor: Predictor,
    workers: int,
    *,
    cores: int,
    on_photo: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> WorkersTime:
    """Read all photos once with several workers, as ``mien predict --batch`` does.

    Args:
        predictor: on one thread.
        stopped: asked after each photo; the figures are of what was read until then.
    """
    memory_mb: list[float | None] = []
    begun_s, begun_cpu_s, before = time.perf_counter(), time.process_time(), _machine_ticks()
    with closing(predictor.predict_many(photos, workers=workers)) as results:
        for _ in results:
            memory_mb.append(_resident_mb())
            on_photo(len(memory_mb), len(photos))
            if stopped():
                break
    passed_s = time.perf_counter() - begun_s
    cpu_s, count = time.process_time() - begun_cpu_s, len(memory_mb)
    fifth = max(1, count // 5)
    return WorkersTime(
        workers,
        count,
        photos_per_s=count / passed_s,
        cpu_ms=cpu_s / count * 1000,
        busy=cpu_s / passed_s / cores,
        idle=_idle_since(before),
        early_mb=_largest(memory_mb[fifth : 2 * fifth] or memory_mb),
        late_mb=_largest(memory_mb[-fifth:]),
    )


def _one(photo: Path, predictor: Predictor) -> tuple[tuple[float, ...], int]:
    """Return the seconds of each stage and the number of faces."""
    marks = [time.perf_counter()]
    picture = predictor.open(photo)
    marks.append(time.perf_counter())
    faces = predictor.detect(picture)
    marks.append(time.perf_counter())
    crops = predictor.crop(picture, faces)
    marks.append(time.perf_counter())
    predictor.interpret(predictor.classify(crops), crops)
    marks.append(time.perf_counter())
    return tuple(end - start for start, end in pairwise(marks)), len(faces)


def _chain_times(
    threads: int, seconds: Sequence[tuple[float, ...]], faces: int, unreadable: int
) -> ChainTimes:
    sums = [sum(each) for each in seconds]
    columns = dict(zip(STAGES, zip(*seconds, strict=True), strict=True)) | {"sum": tuple(sums)}
    stages = tuple(
        StageTime(name, *percentiles_ms(taken), sum(taken) / sum(sums))
        for name, taken in columns.items()
    )
    rate = 1 / statistics.fmean(sums)
    return ChainTimes(threads, stages, len(sums), faces, unreadable, rate)


def _resident_mb() -> float | None:
    if sys.platform != "linux":
        return None
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _machine_ticks() -> list[int]:
    """Return what the whole machine's time went to so far, by kind; idle stands at 3."""
    if sys.platform != "linux":
        return []
    with open("/proc/stat", encoding="ascii") as file:
        return [int(field) for field in file.readline().split()[1:9]]


def _idle_since(before: Sequence[int]) -> float | None:
    passed = [after - start for start, after in zip(before, _machine_ticks(), strict=True)]
    return passed[3] / sum(passed) if sum(passed) else None


def _largest(memory_mb: Sequence[float | None]) -> float | None:
    return max((each for each in memory_mb if each is not None), default=None)
