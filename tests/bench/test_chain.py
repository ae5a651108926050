from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from mien.bench.chain import STAGES, time_stages, time_workers
from mien.errors import InputError
from mien.images import encode
from mien.predictor import Predictor
from mien.runtime import FakeSession
from mien.types import Box, Face, Image


def two_faces(image: Image) -> tuple[Face, ...]:
    return Face(Box(2, 2, 20, 20), 0.9), Face(Box(30, 10, 20, 20), 0.8)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(two_faces, FakeSession())


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photos and a file that is none."""
    paths = [tmp_path / name for name in ("a.png", "b.png", "broken.png")]
    for path in paths[:2]:
        path.write_bytes(encode(np.zeros((60, 80, 3), np.uint8), "png"))
    paths[2].write_bytes(b"nothing")
    return paths


def test_photos_none_of_which_can_be_read_are_an_error(
    photos: list[Path], predictor: Predictor
) -> None:
    with pytest.raises(InputError, match="none of 1 photos could be read"):
        time_stages(photos[2:], {1: predictor}, rounds=1)


def test_every_stage_is_timed(photos: list[Path], predictor: Predictor) -> None:
    seen: list[tuple[int, int]] = []

    times = time_stages(
        photos,
        {1: predictor, 2: predictor},
        rounds=3,
        on_photo=lambda done, total: seen.append((done, total)),
    )

    assert [each.threads for each in times] == [1, 2]
    for each in times:
        assert [stage.stage for stage in each.stages] == [*STAGES, "sum"]
        assert (each.photos, each.faces, each.unreadable) == (6, 12, 1)
        assert sum(stage.share for stage in each.stages[:-1]) == pytest.approx(1)
        assert all(stage.p50_ms <= stage.p90_ms <= stage.p99_ms for stage in each.stages)
        assert each.photos_per_s > 0
    assert seen[-1] == (12, 12)


def test_a_stop_keeps_what_was_timed(photos: list[Path], predictor: Predictor) -> None:
    seen: list[int] = []

    (times,) = time_stages(
        photos[:2],
        {1: predictor},
        rounds=100,
        on_photo=lambda done, total: seen.append(done),
        stopped=lambda: len(seen) == 5,
    )

    assert times.photos == 3


def test_workers_read_every_photo_once(photos: list[Path]) -> None:
    threads = set()

    def detector(image: Image) -> tuple[Face, ...]:
        threads.add(threading.get_ident())
        return ()

    timed = time_workers(photos * 4, Predictor(detector, FakeSession()), 2, cores=2)

    assert (timed.workers, timed.photos) == (2, 12)
    assert threading.get_ident() not in threads
    assert timed.photos_per_s > 0
    assert timed.busy > 0
    assert timed.cpu_ms > 0
    assert timed.idle is None or 0 <= timed.idle <= 1


def test_workers_stop(photos: list[Path], predictor: Predictor) -> None:
    timed = time_workers(photos * 50, predictor, 2, cores=2, stopped=lambda: True)

    assert timed.photos == 1
