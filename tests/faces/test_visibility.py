from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageFilter

from mien.calibration import softmax
from mien.faces.template import YUNET, Square, frame
from mien.faces.visibility import (
    REASONS,
    Limits,
    Visibility,
    reasons,
    stretch_contrast,
    visibility_of,
)
from mien.faces.yunet import YuNet
from mien.runtime import Session, open_session
from mien.types import Box, Face, Image, Point

CLEAR = Visibility(100.0, 0.8, 120.0, 190.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(threads=1)


@pytest.fixture(scope="module")
def session() -> Session:
    return open_session(threads=1)


def cut(image: Image, square: Square) -> np.ndarray:
    """Cut a square out as it lies, in grey, 48 pixels a side; black beyond the image."""
    half = square.side / 2
    x, y = square.centre
    part = PillowImage.fromarray(image).crop(
        (round(x - half), round(y - half), round(x + half), round(y + half))
    )
    return np.asarray(part.convert("L").resize((48, 48), PillowImage.Resampling.BOX))


def seen(image: Image, detector: YuNet) -> Visibility:
    """The visibility of the most confident face of an image."""
    face = detector(image)[0]
    return visibility_of(cut(image, frame(face, YUNET)), face, YUNET, image.shape[:2])


def resized(image: Image, side: int) -> Image:
    return np.asarray(PillowImage.fromarray(image).resize((side, side)))


# What is marked


@pytest.mark.parametrize(
    ("value", "reason"), [(0, "dark"), (128, "overexposed"), (255, "overexposed")]
)
def test_a_flat_crop_cannot_be_read(value: int, reason: str) -> None:
    found = visibility_of(np.full((48, 48, 1), value, np.uint8))
    assert reasons(found) == ("blurred", reason)
    assert found.size_px is None
    assert found.yaw is None


def test_the_portrait_can_be_read(detector: YuNet, astronaut: Image) -> None:
    found = seen(astronaut, detector)
    assert reasons(found) == ()
    assert found.size_px == pytest.approx(112, abs=8)
    assert abs(found.yaw or 0) < 15
    assert abs(found.pitch or 0) < 15
    assert found.outside == 0


def test_the_portrait_at_30_pixels_is_too_small(detector: YuNet, astronaut: Image) -> None:
    assert "too small" in reasons(seen(resized(astronaut, 30), detector))


def test_the_portrait_blurred_by_radius_8_is_marked(detector: YuNet, astronaut: Image) -> None:
    blurred = PillowImage.fromarray(astronaut).filter(ImageFilter.GaussianBlur(8))
    face = detector(astronaut)[0]
    crop = cut(np.asarray(blurred), frame(face, YUNET))
    assert reasons(visibility_of(crop, face, YUNET, (512, 512))) == ("blurred",)


def test_a_face_of_6_pixels_is_marked(detector: YuNet, astronaut: Image) -> None:
    face = detector(astronaut)[0]
    square = frame(face, YUNET)
    tiny = resized(astronaut, round(512 * 6 / face.box.h))
    crop = cut(resized(tiny, 512), square)
    assert "blurred" in reasons(visibility_of(crop))  # the crop alone shows it
    scale = len(tiny) / 512
    points = tuple(Point(x * scale, y * scale) for x, y in face.landmarks)
    small = Face(Box(*(round(value * scale) for value in face.box)), 0.9, points)
    assert "too small" in reasons(visibility_of(crop, small, YUNET, tiny.shape[:2]))


def test_a_face_half_outside_is_cut_off(detector: YuNet, astronaut: Image) -> None:
    face = detector(astronaut)[0]
    middle = face.box.x + face.box.w // 2
    moved = Face(
        Box(face.box.x - middle, *face.box[1:]),
        0.9,
        tuple(Point(x - middle, y) for x, y in face.landmarks),
    )
    found = visibility_of(cut(astronaut, frame(face, YUNET)), moved, YUNET, (512, 512 - middle))
    assert found.outside == pytest.approx(0.5, abs=0.06)
    assert reasons(found) == ("cut off",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size_px": 17.9}, "too small"),
        ({"sharpness": 0.16}, "blurred"),
        ({"contrast": 3.0, "light": 20.0}, "dark"),
        ({"contrast": 3.0, "light": 200.0}, "overexposed"),
        ({"white": 0.9}, "overexposed"),
        ({"yaw": -60.0}, "turned away"),
        ({"pitch": 40.0}, "turned away"),
        ({"outside": 0.31}, "cut off"),
    ],
)
def test_each_reason_has_its_threshold(change: dict[str, float], reason: str) -> None:
    from dataclasses import replace

    assert reasons(CLEAR) == ()
    assert reasons(replace(CLEAR, **change)) == (reason,)
    anything = Limits(0, 0, 0, 1, 90, 90, 1)
    assert reasons(replace(CLEAR, **change), anything) == ()


def test_reasons_come_in_one_order() -> None:
    worst = Visibility(1.0, 0.0, 0.0, 0.0, 1.0, 90.0, 90.0, 1.0)
    assert reasons(worst) == REASONS


# Yaw and pitch


@pytest.mark.parametrize("roll", [0, 30, -90])
@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (30, 0), (-30, 0), (0, 20), (0, -20), (50, 0)])
def test_the_nose_tells_where_a_face_looks(yaw: float, pitch: float, roll: float) -> None:
    """Five points of a head, turned in space and seen from far away."""
    flat = np.array([(x, y, 0.0) for x, y in YUNET.landmarks])
    flat[2, 2] = -0.18  # towards the viewer
    a, b, c = (math.radians(value) for value in (yaw, pitch, roll))
    about_y = [[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]]
    about_x = [[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]]
    about_z = [[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]]
    head = flat @ np.array(about_y).T @ np.array(about_x).T @ np.array(about_z).T
    points = tuple(Point(200 + 100 * x, 200 + 100 * y) for x, y, _ in head.tolist())
    face = Face(Box(150, 150, 100, 100), 0.9, points)
    found = visibility_of(np.zeros((48, 48), np.uint8), face, YUNET, (400, 400))
    assert found.yaw == pytest.approx(yaw, abs=9)
    assert found.pitch == pytest.approx(pitch, abs=9)


@pytest.mark.parametrize("points", [(), ((1, 1),) * 5, ((math.nan, 0),) * 5])
def test_without_landmarks_there_is_no_yaw(points: tuple[tuple[float, float], ...]) -> None:
    face = Face(Box(10, 10, 40, 40), 0.9, tuple(Point(*point) for point in points))
    found = visibility_of(np.zeros((48, 48), np.uint8), face, YUNET, (100, 100))
    assert (found.yaw, found.pitch) == (None, None)


# Light


def test_crops_with_contrast_stay_as_they_are() -> None:
    none = np.zeros((0, 48, 48, 1), np.uint8)
    assert stretch_contrast(none) is none
    crops = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1), dtype=np.uint8)
    assert stretch_contrast(crops) is crops


def test_flat_crops_stay_flat() -> None:
    crops = np.full((2, 48, 48, 1), 7, np.uint8)
    crops[1, 0, 0] = 9
    assert (stretch_contrast(crops) == crops).all()


def test_only_crops_of_low_contrast_are_stretched() -> None:
    generator = np.random.default_rng(0)
    crops = generator.integers(0, 256, (2, 48, 48, 1), dtype=np.uint8)
    crops[1] //= 16
    before = crops.copy()
    found = stretch_contrast(crops)
    assert (crops == before).all()
    assert (found[0] == before[0]).all()
    assert np.percentile(found[1], (2, 98)).tolist() == [20, 235]


def light_of(image: Image, kind: str) -> Image:
    if kind == "12 bits in 16":  # a camera's values, 0 to 4095, of which 8 bits of 16 are read
        twelve = image.astype(np.uint16) * 16
        return (twelve >> 8).astype(np.uint8)
    return (image * float(kind)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["1", "0.2", "0.06", "0.03", "12 bits in 16"])
def test_a_dim_portrait_reads_happy_as_in_full_light(
    detector: YuNet, session: Session, astronaut: Image, kind: str
) -> None:
    dim = light_of(astronaut, kind)
    (face,) = detector(dim)
    crop = cut(dim, frame(face, YUNET))
    assert reasons(visibility_of(crop, face, YUNET, (512, 512))) == ()
    logits = session(stretch_contrast(crop[None, ..., None]))["emotion"]
    (probabilities,) = softmax(logits, session.card.calibration.temperature)
    assert session.card.labels[int(probabilities.argmax())] == "happy"
    assert probabilities.max() > 0.8
