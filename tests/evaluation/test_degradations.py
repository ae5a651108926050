from __future__ import annotations

import numpy as np
import pytest

from mien.data import Dataset
from mien.evaluation.degradations import (
    DEGRADATIONS,
    STRENGTHS,
    UNREADABLE,
    degrade,
    degrade_at,
    unreadable,
)


@pytest.fixture(scope="module")
def face(drawn: Dataset) -> np.ndarray:
    return drawn.crops[3, ..., 0]


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_no_crops_are_no_crops(kind: str, drawn: Dataset) -> None:
    assert degrade(drawn.crops[:0], kind, 5, np.random.default_rng(0)).shape == (0, 48, 48, 1)


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_strength_zero_changes_nothing_to_speak_of(kind: str, face: np.ndarray) -> None:
    same = degrade_at(face, kind, 0, np.random.default_rng(0))

    assert np.abs(same.astype(int) - face).max() <= 1


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_the_stronger_the_farther_from_the_crop(kind: str, drawn: Dataset) -> None:
    crops = drawn.crops[:40]
    distances = [
        np.abs(degrade(crops, kind, strength, np.random.default_rng(0)).astype(int) - crops).mean()
        for strength in STRENGTHS
    ]

    assert distances == sorted(distances)
    assert distances[0] > 0


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_the_same_generator_gives_the_same_pixels(kind: str, drawn: Dataset) -> None:
    crops = drawn.crops[:5].copy()
    first, second = (degrade(crops, kind, 4, np.random.default_rng(7)) for _ in range(2))

    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(crops, drawn.crops[:5])  # the crops given stay as they were
    assert first.dtype == np.uint8


def test_dark_is_as_dark_as_it_says(face: np.ndarray) -> None:
    dark = degrade_at(face, "dark", 5, np.random.default_rng(0))

    np.testing.assert_allclose(dark, face * 0.05, atol=0.51)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_an_unreadable_crop_is_a_crop(kind: str, drawn: Dataset) -> None:
    made = unreadable(kind, 48, drawn.crops, np.random.default_rng(1))

    assert made.shape == (48, 48)
    assert made.dtype == np.uint8
    again = unreadable(kind, 48, drawn.crops, np.random.default_rng(1))
    np.testing.assert_array_equal(made, again)
