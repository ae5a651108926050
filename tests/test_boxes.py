from __future__ import annotations

import numpy as np
import pytest

from mien.boxes import area, intersections, iou, ious, largest, to_xyxy
from mien.types import Box, Face


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Box(0, 0, 0, 0), Box(0, 0, 0, 0), 0.0),
        (Box(0, 0, 0, 0), Box(0, 0, 4, 4), 0.0),
        (Box(0, 0, 4, 4), Box(0, 0, 4, 4), 1.0),
        (Box(0, 0, 4, 4), Box(4, 0, 4, 4), 0.0),
        (Box(0, 0, 4, 4), Box(2, 0, 4, 4), 8 / 24),
        (Box(-3, -3, 4, 4), Box(0, 0, 2, 2), 1 / 19),
    ],
)
def test_iou(one: Box, other: Box, expected: float) -> None:
    assert iou(one, other) == pytest.approx(expected)
    assert iou(other, one) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "others"), [(0, 0), (0, 3), (2, 0), (2, 3)])
def test_ious_of_many_are_those_of_each(count: int, others: int) -> None:
    generator = np.random.default_rng(0)
    left, right = (
        [Box(*map(int, row)) for row in generator.integers(0, 20, (size, 4))]
        for size in (count, others)
    )
    found = ious(to_xyxy(left), to_xyxy(right))

    assert found.shape == (count, others)
    for row, one in enumerate(left):
        for column, other in enumerate(right):
            assert found[row, column] == pytest.approx(iou(one, other))


@pytest.mark.parametrize("shape", [(4,), (2, 5), (1, 2, 4)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected boxes \(N, 4\)"):
        intersections(np.zeros(shape), np.zeros((1, 4)))


def test_the_largest_face_is_the_one_with_most_pixels() -> None:
    faces = [Face(Box(0, 0, 9, 1), 0.9), Face(Box(0, 0, 4, 4), 0.5), Face(Box(9, 9, 4, 4), 0.9)]

    assert largest([]) == ()
    assert largest(faces) == (faces[1],)
    assert area(faces[1].box) == 16
