from __future__ import annotations

import numpy as np
import pytest

from mien.faces.detections import Detections, input_scale, needs_px_for
from mien.types import Box


def made(*rows: tuple[float, float, float, float, float]) -> Detections:
    """Boxes x, y, w, h with scores; the landmarks are the box's corner."""
    values = np.array(rows, np.float32).reshape(-1, 5)
    points = np.repeat(values[:, None, :2], 5, axis=1)
    return Detections(values[:, :4], values[:, 4], points)


def test_no_detection_is_no_face() -> None:
    none = made().without_overlaps()
    assert none.boxes_xywh.shape == (0, 4)
    assert none.landmarks_xy.shape == (0, 5, 2)
    assert none.to_faces((2.0, 3.0)) == ()


def test_of_overlapping_boxes_the_most_confident_stays() -> None:
    found = made(
        (0, 0, 10, 10, 0.5), (1, 0, 10, 10, 0.9), (30, 0, 10, 10, 0.7), (2, 0, 10, 10, 0.8)
    )
    kept = found.without_overlaps()
    assert kept.boxes_xywh[:, 0].tolist() == [1, 30]
    assert kept.scores.tolist() == pytest.approx([0.9, 0.7])
    assert kept.landmarks_xy[:, 0, 0].tolist() == [1, 30]


@pytest.mark.parametrize(("apart", "faces"), [(0, 1), (5, 1), (6, 2), (10, 2)])
def test_boxes_that_share_little_are_two_faces(apart: int, faces: int) -> None:
    """Two squares of 10 that are 5 apart share a third of their union; 6 apart a quarter."""
    found = made((0, 0, 10, 10, 0.9), (apart, 0, 10, 10, 0.8))
    assert len(found.without_overlaps().scores) == faces


def test_faces_have_whole_boxes_in_the_pixels_of_the_image() -> None:
    (face,) = made((1.4, 2.0, 3.0, 4.0, 0.5)).to_faces((2.0, 0.5))
    assert face.box == Box(3, 1, 6, 2)
    assert all(isinstance(value, int) for value in face.box)
    assert face.score == 0.5
    assert face.landmarks[4] == pytest.approx((2.8, 1.0))


def test_the_smallest_box_is_a_pixel() -> None:
    (face,) = made((1.4, 2.0, 0.01, 0.01, 0.5)).to_faces((1.0, 1.0))
    assert face.box == Box(1, 2, 1, 1)


@pytest.mark.parametrize(
    ("size_hw", "min_face_px", "scale"),
    [
        ((480, 640), None, 16 / 24),
        ((640, 480), None, 16 / 24),
        ((1080, 1920), None, 16 / 54),
        ((4000, 6000), None, 16 / 200),
        ((100, 100), None, 128 / 100),
        ((48, 48), None, 128 / 48),
        ((480, 640), 40, 16 / 40),
        ((480, 640), 16, 1.0),
        ((480, 640), 1, 1.0),
        ((480, 640), 400, 128 / 480),
        ((4000, 6000), 16, 2048 / 6000),
        ((10, 60_000), None, 2048 / 60_000),
    ],
)
def test_the_smallest_face_decides_the_scale(
    size_hw: tuple[int, int], min_face_px: int | None, scale: float
) -> None:
    assert input_scale(size_hw, min_face_px, workable_px=16) == pytest.approx(scale)


def test_a_twentieth_of_the_shorter_side_needs_a_pixel_for_each_of_its_crop() -> None:
    assert needs_px_for(None) == 20 * 48
    assert needs_px_for(30) is None
