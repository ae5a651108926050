from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage

from mien.faces.template import CENTERFACE, YUNET, FaceTemplate, Square, frame
from mien.faces.yunet import YuNet
from mien.types import Box, Face, Image, Point

FLAT = FaceTemplate(YUNET.landmarks, box_scale=1.0, box_shift_y=0.0, landmark_weight=1.0)


def face_in(square: Square, template: FaceTemplate, spread: float = 1.0) -> Face:
    """A face that lies in the square as the template says; its landmarks ``spread`` apart."""
    cosine, sine = math.cos(square.roll), math.sin(square.roll)
    step = square.side * spread
    points = tuple(
        Point(
            square.centre.x + step * (x * cosine - y * sine),
            square.centre.y + step * (x * sine + y * cosine),
        )
        for x, y in template.landmarks
    )
    longer = square.side / template.box_scale
    shift = longer * template.box_shift_y
    middle = (square.centre.x + sine * shift, square.centre.y - cosine * shift)
    box = Box(*(round(value - longer / 2) for value in middle), round(longer), round(longer))
    return Face(box, 0.9, points)


def assert_same(found: Square, expected: Square, tolerance: float = 0.01) -> None:
    assert found.side == pytest.approx(expected.side, rel=tolerance)
    assert math.dist(found.centre, expected.centre) < tolerance * expected.side
    assert math.cos(found.roll - expected.roll) == pytest.approx(1)


def test_a_face_without_landmarks_is_framed_by_its_box() -> None:
    face = Face(Box(10, 20, 60, 80), 0.9)
    assert frame(face, FaceTemplate()) == Square(Point(40, 60), 80)
    template = FaceTemplate(YUNET.landmarks, box_scale=1.1, box_shift_y=0.05)
    square = frame(face, template)
    assert square.side == pytest.approx(88)
    assert square.centre == pytest.approx((40, 64))
    assert square.roll == 0


@pytest.mark.parametrize(
    "points",
    [
        [(40, 60)] * 5,
        [(10, 20), (70, 20), (40, 60), (70, 100), (10, 100)],
        [(10, 60), (25, 60), (40, 60), (55, 60), (70, 60)],
        [(math.nan, 40)] * 5,
        [(0, 0), (60, 0)],
    ],
    ids=["one point", "mouth crossed", "in a line", "not numbers", "two"],
)
def test_improbable_landmarks_leave_the_box(points: list[tuple[float, float]]) -> None:
    face = Face(Box(10, 20, 60, 80), 0.9, tuple(Point(*point) for point in points))
    assert frame(face, YUNET) == frame(Face(face.box, 0.9), YUNET)


@pytest.mark.parametrize("template", [YUNET, CENTERFACE])
@pytest.mark.parametrize("degrees", [-170, -90, -20, 0, 5, 45, 180])
def test_a_face_that_lies_as_the_template_is_framed_exactly(
    template: FaceTemplate, degrees: float
) -> None:
    square = Square(Point(300, 200), 240, math.radians(degrees))
    assert_same(frame(face_in(square, template), template), square)


def test_side_and_centre_lie_between_landmarks_and_box() -> None:
    square, middle = Square(Point(300, 200), 200), replace(FLAT, landmark_weight=0.5)
    face = face_in(square, middle, spread=1.21)
    assert frame(face, middle).side == pytest.approx(200 * 1.1, rel=0.01)
    moved = Face(Box(face.box.x + 20, *face.box[1:]), 0.9, face.landmarks)
    assert frame(moved, middle).centre.x == pytest.approx(310, abs=1)


@pytest.mark.parametrize(("spread", "side"), [(5.0, 1.25), (0.1, 1 / 1.25)])
def test_landmarks_far_from_the_boxs_size_count_only_so_far(spread: float, side: float) -> None:
    square = Square(Point(300, 200), 200)
    assert frame(face_in(square, FLAT, spread), FLAT).side == pytest.approx(200 * side, rel=0.01)


def test_landmarks_far_from_the_box_count_only_so_far() -> None:
    square = Square(Point(300, 200), 200)
    face = face_in(square, FLAT)
    far = Face(Box(face.box.x - 150, *face.box[1:]), 0.9, face.landmarks)
    assert frame(far, FLAT).centre.x == pytest.approx(300 - 150 + 0.2 * 200, abs=1)


def test_the_square_follows_scale_and_place(astronaut: Image) -> None:
    """A detector's answer on twice the image gives twice the square."""
    (face,) = YuNet(threads=1)(astronaut)
    once = frame(face, YUNET)
    twice = frame(
        Face(
            Box(*(2 * value for value in face.box)),
            face.score,
            tuple(Point(2 * x, 2 * y) for x, y in face.landmarks),
        ),
        YUNET,
    )
    assert twice.side == pytest.approx(2 * once.side)
    assert twice.centre == pytest.approx((2 * once.centre.x, 2 * once.centre.y))


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_rolled_face_is_framed_upright(astronaut: Image, degrees: int) -> None:
    detect = YuNet(threads=1)
    (upright,) = detect(astronaut)
    rolled = PillowImage.fromarray(astronaut).rotate(-degrees, PillowImage.Resampling.BICUBIC)
    (face,) = detect(np.asarray(rolled))
    expected, found = frame(upright, YUNET), frame(face, YUNET)
    assert math.degrees(found.roll - expected.roll) == pytest.approx(degrees, abs=6)
    assert found.side == pytest.approx(expected.side, rel=0.08)


def again(image: Image, square: Square) -> Square:
    """Cut an upright square out, make a picture like FER2013's of it, and frame its face.

    Returns:
        The second square, in sides of the first from its top left corner.
    """
    half = square.side / 2
    x, y = square.centre
    part = PillowImage.fromarray(image).crop(
        (round(x - half), round(y - half), round(x + half), round(y + half))
    )
    small = part.convert("L").resize((48, 48), PillowImage.Resampling.BOX)
    enlarged = small.resize((128, 128), PillowImage.Resampling.BICUBIC).convert("RGB")
    face = YuNet(threads=1)(np.asarray(enlarged))[0]
    second = frame(face, YUNET)
    return Square(Point(*(value / 128 for value in second.centre)), second.side / 128)


def test_the_portrait_is_framed_again_as_it_was(astronaut: Image) -> None:
    (face,) = YuNet(threads=1)(astronaut)
    second = again(astronaut, frame(face, YUNET))
    assert second.side == pytest.approx(1, abs=0.05)
    assert second.centre == pytest.approx((0.5, 0.5), abs=0.05)


def test_a_groups_faces_are_framed_again_as_they_were(solvay: Image) -> None:
    found = [again(solvay, frame(face, YUNET)) for face in YuNet(threads=1)(solvay)]
    assert np.median([each.side for each in found]) == pytest.approx(1, abs=0.05)
    assert np.median([each.centre for each in found], axis=0) == pytest.approx(0.5, abs=0.05)
