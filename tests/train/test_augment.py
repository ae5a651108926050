from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from tests.support.drawn import drawn_face

from mien.train.augment import Augmentation, augment, contact_sheet, erase, moved, relight, warp

STILL = Augmentation(**{field.name: 0.0 for field in fields(Augmentation)})
WILD = Augmentation(30, 0.2, 0.2, 0.2, 0.3, 0.5, 0.2, 0.5, 1.0, 0.3)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.stack([drawn_face(number % 7, generator) for number in range(20)])[..., None]


def fresh() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("how", [STILL, Augmentation(), WILD])
@pytest.mark.parametrize("count", [0, 1, 20])
def test_form_is_kept_and_the_input_too(crops: np.ndarray, how: Augmentation, count: int) -> None:
    before = crops[:count].copy()

    varied = augment(crops[:count], how, fresh())

    assert varied.shape == (count, 48, 48, 1)
    assert varied.dtype == np.uint8
    np.testing.assert_array_equal(crops[:count], before)


def test_no_change_is_no_change(crops: np.ndarray) -> None:
    np.testing.assert_array_equal(augment(crops, STILL, fresh()), crops)


def test_the_same_seed_gives_the_same_pictures(crops: np.ndarray) -> None:
    first = augment(crops, WILD, fresh())

    np.testing.assert_array_equal(first, augment(crops, WILD, fresh()))
    assert (first != augment(crops, WILD, np.random.default_rng(8))).any()


def test_a_flip_mirrors_exactly(crops: np.ndarray) -> None:
    always = replace(STILL, horizontal_flip=1.0)

    np.testing.assert_array_equal(augment(crops, always, fresh()), crops[:, :, ::-1])


def test_half_of_the_pictures_are_flipped(crops: np.ndarray) -> None:
    many = np.repeat(crops[:1], 400, axis=0)
    flipped = augment(many, replace(STILL, horizontal_flip=0.5), fresh())

    mirrored = (flipped == crops[0, :, ::-1]).all(axis=(1, 2, 3))
    assert 160 < mirrored.sum() < 240


@pytest.mark.parametrize(
    ("change", "limit_px"),
    [({"width_shift_range": 0.1}, 4.8), ({"height_shift_range": 0.1}, 4.8)],
)
def test_shifts_stay_within_their_range(change: dict[str, float], limit_px: float) -> None:
    dots = np.zeros((300, 48, 48, 1), np.uint8)
    dots[:, 22:26, 22:26] = 250
    moved = augment(dots, replace(STILL, **change), fresh()).astype(float)[..., 0]

    axis = 1 if "width" in next(iter(change)) else 0
    mass = moved.sum(axis=2 - axis) if axis == 0 else moved.sum(axis=1)
    middle = (mass * np.arange(48)).sum(axis=1) / mass.sum(axis=1)
    assert np.abs(middle - 23.5).max() <= limit_px + 0.1
    assert np.abs(middle - 23.5).max() > 0.9 * limit_px


def test_zoom_stays_within_its_range() -> None:
    squares = np.zeros((300, 48, 48, 1), np.uint8)
    squares[:, 14:34, 14:34] = 250
    side = np.sqrt(augment(squares, replace(STILL, zoom_range=0.2), fresh()).sum((1, 2, 3)) / 250)

    assert side.min() == pytest.approx(20 * 0.8, abs=0.4)
    assert side.max() == pytest.approx(20 * 1.2, abs=0.4)


def test_rotation_turns_about_the_middle() -> None:
    bars = np.zeros((200, 48, 48, 1), np.uint8)
    bars[:, 23:25, 8:40] = 250
    turned = warp(bars, replace(STILL, rotation_range=20.0), fresh(), 48).astype(float)[..., 0]
    y, x = np.mgrid[:48, :48] - 23.5
    total = turned.sum(axis=(1, 2))
    degrees = np.rad2deg(
        np.arctan2(
            2 * (turned * x * y).sum(axis=(1, 2)),
            (turned * (x * x - y * y)).sum(axis=(1, 2)),
        )
        / 2
    )

    assert np.abs((turned * x).sum(axis=(1, 2)) / total).max() < 0.2
    assert 18 < np.abs(degrees).max() < 21
    assert abs(degrees.mean()) < 2


@pytest.mark.parametrize("size_px", [16, 32, 48, 64])
def test_pictures_are_scaled_about_the_middle(size_px: int) -> None:
    squares = np.zeros((2, 48, 48, 1), np.uint8)
    squares[:, 12:36, 12:36] = 240
    scaled = augment(squares, STILL, fresh(), size_px)[0, ..., 0] > 120

    rows = np.flatnonzero(scaled.any(axis=1))
    assert scaled.shape == (size_px, size_px)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx((size_px - 1) / 2)
    assert len(rows) == pytest.approx(size_px / 2, abs=1)


def test_light_changes_keep_to_their_ranges() -> None:
    grey = np.full((500, 48, 48, 1), 100, np.uint8)
    grey[:, :24] = 120
    brighter = relight(grey, 0.1, 0.0, fresh()).astype(int)
    starker = relight(grey, 0.0, 0.5, fresh()).astype(int)

    added = brighter[:, 0, 0, 0] - 120
    assert (added.min(), added.max()) == (pytest.approx(-25, abs=1), pytest.approx(25, abs=1))
    distance = starker[:, 0, 0, 0] - starker[:, -1, 0, 0]
    assert (distance.min(), distance.max()) == (pytest.approx(10, abs=1), pytest.approx(30, abs=1))


def test_erased_boxes_are_within_their_area(crops: np.ndarray) -> None:
    flat = np.full((300, 48, 48, 1), 300 % 256, np.uint8)
    share = (erase(flat, 1.0, 0.2, fresh()) != flat).mean(axis=(1, 2, 3))

    assert 0.01 < share.min() < 0.05
    assert 0.15 < share.max() < 0.22


def test_some_pictures_are_left_whole(crops: np.ndarray) -> None:
    many = np.repeat(crops, 20, axis=0)
    touched = (erase(many, 0.25, 0.2, fresh()) != many).any(axis=(1, 2, 3))

    assert 60 < touched.sum() < 140


def test_the_contact_sheet_shows_originals_on_the_left(crops: np.ndarray) -> None:
    sheet = contact_sheet(crops[:3], WILD, fresh(), variants=4)

    assert sheet.shape == (3 * 100, 5 * 100)
    np.testing.assert_array_equal(sheet[2:98:2, 2:98:2], crops[0, ..., 0])


def test_moved_pictures_repeat_their_edge(crops: np.ndarray) -> None:
    there = moved(crops, 2, -1)

    np.testing.assert_array_equal(there[:, 2:, :-1], crops[:, :-2, 1:])
    np.testing.assert_array_equal(there[:, :2, :-1], np.repeat(crops[:, :1, 1:], 2, axis=1))
    np.testing.assert_array_equal(there[:, 2:, -1], crops[:, :-2, -1])
    np.testing.assert_array_equal(moved(crops, 0, 0), crops)
