from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data import load
from mien.data.duplicates import exact_groups, near_groups, repeated
from mien.types import Crops


def pictures(count: int) -> Crops:
    """Return smooth pictures, as photographs are, none like another."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(30, 220, (count, 8, 8, 1), np.uint8)
    return np.ascontiguousarray(coarse.repeat(6, axis=1).repeat(6, axis=2))


def sets(groups: np.ndarray) -> list[list[int]]:
    return [rows.tolist() for rows in repeated(groups)]


@pytest.mark.parametrize("find", [exact_groups, near_groups])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_different_pictures_are_alone(find: object, count: int) -> None:
    groups = find(pictures(count))  # type: ignore[operator]

    assert len(np.unique(groups)) == count
    assert sets(groups) == []


def test_equal_pixels_are_a_group() -> None:
    crops = pictures(5)[[3, 0, 1, 0, 3, 0]]

    assert sets(exact_groups(crops)) == [[0, 4], [1, 3, 5]]
    assert sets(near_groups(crops)) == [[0, 4], [1, 3, 5]]


def brighter(crop: Crops) -> np.ndarray:
    return crop * 0.6 + 90


def noisy(crop: Crops) -> np.ndarray:
    return np.clip(crop + np.random.default_rng(1).normal(0, 6, crop.shape), 0, 255)


def mirrored(crop: Crops) -> np.ndarray:
    return crop[:, ::-1]


def upside_down(crop: Crops) -> np.ndarray:
    return crop[::-1]


@pytest.mark.parametrize(
    ("change", "same"), [(brighter, True), (noisy, True), (mirrored, True), (upside_down, False)]
)
def test_what_is_the_same_picture_to_the_eye(change: object, same: bool) -> None:
    crops = pictures(6)
    crops[4] = change(crops[2])  # type: ignore[operator]

    assert sets(exact_groups(crops)) == []
    assert sets(near_groups(crops)) == ([[2, 4]] if same else [])


def test_a_chain_of_copies_is_one_group() -> None:
    crops = pictures(4)
    crops[1], crops[3] = noisy(crops[0]), mirrored(crops[0])

    assert sets(near_groups(crops)) == [[0, 1, 3]]


def test_one_colour_is_like_nothing_but_itself() -> None:
    crops = np.zeros((4, 48, 48, 1), np.uint8)
    crops[2] = 200
    crops[3] = 201

    assert sets(near_groups(crops)) == [[0, 1]]


@pytest.mark.data
def test_the_copies_in_fer2013(fer2013_csv: Path) -> None:
    dataset = load(fer2013_csv)
    groups = exact_groups(dataset.crops)

    training = groups[dataset.split == "Training"]
    twins = {
        split: int(np.isin(groups[dataset.split == split], training).sum())
        for split in ("PublicTest", "PrivateTest")
    }
    assert twins == {"PublicTest": 280, "PrivateTest": 288}
