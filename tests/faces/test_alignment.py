from __future__ import annotations

import math

import numpy as np
import pytest

from mien.faces.alignment import Aligner
from mien.faces.yunet import YuNet
from mien.types import Box, Face, Image, Point

FACE = Face(Box(180, 63, 88, 111), 0.9)
POINTS = [(203, 102), (248, 104), (224, 124), (205, 143), (241, 143)]


@pytest.fixture(scope="module")
def align() -> Aligner:
    return Aligner(threads=1)


def test_no_face_is_none(align: Aligner, astronaut: Image) -> None:
    assert align(astronaut, ()) == ()


def test_where_no_face_is_seen_the_landmarks_stay(align: Aligner) -> None:
    old = (Point(1, 2),) * 5
    for image in (np.zeros((50, 50, 3), np.uint8), np.zeros((1, 1, 3), np.uint8)):
        (face,) = align(image, [Face(Box(-10, 5, 20, 30), 0.9, old)])
        assert face.landmarks == old


def test_landmarks_lie_on_eyes_nose_and_mouth(align: Aligner, astronaut: Image) -> None:
    (face,) = align(astronaut, [FACE])
    assert (face.box, face.score) == (FACE.box, FACE.score)
    for found, true in zip(face.landmarks, POINTS, strict=True):
        assert math.dist(found, true) < 7


def test_a_face_at_the_border_is_seen(align: Aligner, astronaut: Image) -> None:
    part = np.ascontiguousarray(astronaut[70:170, 185:262])
    (face,) = align(part, [Face(Box(-5, -7, 88, 111), 0.9)])
    for found, true in zip(face.landmarks, POINTS, strict=True):
        assert math.dist(found, (true[0] - 185, true[1] - 70)) < 9


def test_many_faces_keep_their_order(align: Aligner, astronaut: Image) -> None:
    wide = np.concatenate([astronaut] * 3, axis=1)
    faces = [Face(Box(180 + 512 * (i % 3), 63, 88, 111), i / 40) for i in range(35)]
    found = align(wide, faces)
    assert [face.score for face in found] == [face.score for face in faces]
    for index, face in enumerate(found):
        assert face.landmarks[2].x == pytest.approx(224 + 512 * (index % 3), abs=7)


def test_a_box_far_outside_is_no_error(align: Aligner, astronaut: Image) -> None:
    for box in (Box(-900, -900, 40, 40), Box(2000, 100, 500, 20), Box(0, 0, 1, 1)):
        (face,) = align(astronaut, [Face(box, 0.5)])
        assert face.box == box


def test_yunet_aligns_its_faces(astronaut: Image) -> None:
    detector = YuNet(threads=1)
    (face,) = detector(astronaut)
    assert detector.aligner(astronaut, [face]) == (face,)
