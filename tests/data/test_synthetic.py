"""The drawn faces that stand in for FER2013."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data import FERPLUS_LABELS, load, majority
from mien.data.synthetic import draw_face, write_drawn
from mien.types import EMOTIONS


@pytest.mark.parametrize(
    "rows", [{}, {"Training": 1}, {"Training": 3, "PublicTest": 2, "PrivateTest": 1}]
)
def test_files_have_the_form_of_the_real_ones(tmp_path: Path, rows: dict[str, int]) -> None:
    data, votes = write_drawn(tmp_path, rows)

    if not rows:
        assert len(data.read_text().splitlines()) == len(votes.read_text().splitlines()) == 1
        return
    dataset = load(data, votes, cache_dir=tmp_path)
    for split, count in rows.items():
        found = dataset.emotion[dataset.rows(split)]
        np.testing.assert_array_equal(np.bincount(found, minlength=len(EMOTIONS)), count)
    assert dataset.votes is not None
    assert (dataset.votes.sum(axis=1) == 10).all()


def test_the_same_seed_draws_the_same_faces(tmp_path: Path) -> None:
    first, second, other = (
        write_drawn(tmp_path / str(number), {"Training": 1}, seed)[0].read_bytes()
        for number, seed in enumerate((1, 1, 2))
    )

    assert first == second != other


def test_voters_see_what_was_drawn(tmp_path: Path) -> None:
    dataset = load(*write_drawn(tmp_path, {"Training": 20}), cache_dir=tmp_path)

    assert dataset.votes is not None
    chosen, usable = majority(dataset.votes)
    assert usable.all()
    seen = [FERPLUS_LABELS[column] for column in chosen]
    of_the_same = zip(
        ("anger", "happiness", "surprise"), ("angry", "happy", "surprise"), strict=True
    )
    for voted, drawn in of_the_same:
        rows = np.flatnonzero(dataset.emotion == EMOTIONS.index(drawn))
        assert {seen[row] for row in rows} == {voted}


@pytest.mark.parametrize("emotion", range(len(EMOTIONS)))
def test_a_face_is_a_crop_that_differs_from_the_next(emotion: int) -> None:
    generator = np.random.default_rng(emotion)
    first, second = draw_face(emotion, generator), draw_face(emotion, generator)

    assert (first.dtype, first.shape) == (np.uint8, (48, 48))
    assert first.std() > 10
    assert (first != second).any()
