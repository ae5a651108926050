from __future__ import annotations

import math

import numpy as np
import pytest
from PIL.Image import fromarray

from mien.explain import Explanation
from mien.faces import FaceTemplate, Framer, crop_corners, crop_faces
from mien.faces.template import YUNET
from mien.heatmap import GRAD_CAM, OCCLUSION, Card, lay_over, sheet, tile, with_legend
from mien.types import Box, Face, Image, Point

GEOMETRY = Framer(FaceTemplate(YUNET.landmarks, 1.07, -0.02, landmark_weight=0.0))
SPOT, COUNTER = (slice(30, 40), slice(8, 18)), (slice(6, 12), slice(34, 44))


def why(for_it: float = 0.4, against: float = -0.2) -> Explanation:
    heatmap = np.zeros((48, 48), np.float32)
    heatmap[SPOT], heatmap[COUNTER] = for_it, against
    return Explanation("happy", 0.9, heatmap, Box(5, 27, 16, 16), 0.2)


def leaning(degrees: float, middle: tuple[float, float] = (150.5, 130.5), size: int = 96) -> Face:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    points = ((-0.2, -0.1), (0.2, -0.1), (0, 0.1), (-0.15, 0.3), (0.15, 0.3))
    x, y = middle
    landmarks = tuple(
        Point(x + size * (a * cos - b * sin), y + size * (a * sin + b * cos)) for a, b in points
    )
    return Face(Box(round(x - size / 2), round(y - size / 2), size, size), 0.9, landmarks)


def grey(height: int = 260, width: int = 300, value: int = 128) -> Image:
    return np.full((height, width, 3), value, np.uint8)


class TestCorners:
    def test_of_a_face_without_landmarks(self) -> None:
        corners = crop_corners(Face(Box(10, 20, 40, 30), 0.9), Framer(FaceTemplate((), 1.5, 0.25)))
        assert corners == ((0, 15), (60, 15), (60, 75), (0, 75))

    @pytest.mark.parametrize("degrees", [-60, 0, 25, 90])
    def test_they_turn_with_the_face(self, degrees: float) -> None:
        corners = np.array(
            crop_corners(
                leaning(degrees), Framer(FaceTemplate(YUNET.landmarks, landmark_weight=0.0))
            )
        )
        across = corners[1] - corners[0]
        assert math.degrees(math.atan2(across[1], across[0])) == pytest.approx(degrees)
        assert corners.mean(axis=0) == pytest.approx((150, 130), abs=0.6)


class TestLayOver:
    def test_without_faces_it_is_a_copy(self) -> None:
        image = grey()
        image.flags.writeable = False
        drawn = lay_over(image, [], [], GEOMETRY)
        assert (drawn == image).all()
        assert not np.shares_memory(drawn, image)

    @pytest.mark.parametrize(
        "box", [(400, 10, 50, 50), (-90, -90, 50, 50), (10**9, 0, 10**9, 10**9)]
    )
    def test_a_face_outside_of_the_picture_is_left_out(self, box: tuple[int, ...]) -> None:
        drawn = lay_over(grey(), [Face(Box(*box), 0.9)], [why()], GEOMETRY)
        assert (drawn == 128).all()

    @pytest.mark.parametrize("box", [(-20, 200, 90, 90), (280, -30, 60, 60), (0, 0, 1, 1)])
    def test_a_face_at_the_border_is_drawn(self, box: tuple[int, ...]) -> None:
        assert lay_over(grey(), [Face(Box(*box), 0.9)], [why()], GEOMETRY).shape == (260, 300, 3)

    @pytest.mark.parametrize("degrees", [-60, -25, 0, 10, 45, 90, 180])
    def test_a_map_lies_where_its_crop_was_cut_out(self, degrees: float) -> None:
        """Cutting the face out of what was drawn gives the map back."""
        face = leaning(degrees)
        drawn = lay_over(grey(), [face], [why(1.0, -1.0)], GEOMETRY)

        red, blue = (
            crop_faces(np.repeat(drawn[..., channel : channel + 1], 3, axis=2), [face], GEOMETRY)
            for channel in (0, 2)
        )
        warmth = red[0, ..., 0].astype(int) - blue[0, ..., 0]
        expected = why(1.0, -1.0).heatmap
        assert (warmth[expected > 0] > 60).mean() > 0.9
        assert (warmth[expected < 0] < -60).mean() > 0.9
        assert (abs(warmth[expected == 0]) < 60).mean() > 0.95

    def test_faces_lose_their_colours_and_the_rest_keeps_them(self) -> None:
        image = grey()
        image[..., 0] = 200
        drawn = lay_over(image, [leaning(0)], [why(0, 0)], GEOMETRY)
        inside = drawn[90:170, 110:190]
        assert (inside == inside[..., :1]).all()
        assert (drawn[:70] == image[:70]).all()


@pytest.mark.parametrize(
    ("for_it", "coloured"), [(0.0, False), (0.002, False), (0.05, True), (0.9, True), (1.0, True)]
)
def test_full_colour_is_the_largest_change_but_not_of_nothing(
    for_it: float, coloured: bool
) -> None:
    crop = np.full((48, 48, 1), 128, np.uint8)
    drawn = tile(crop, why(for_it, 0.0), 96).astype(int)
    assert drawn.shape == (96, 96, 3)
    assert ((drawn[..., 0] - drawn[..., 2]).max() > 60) == coloured


class TestSheet:
    @pytest.mark.parametrize("count", [0, 1, 5, 12])
    def test_every_face_has_a_place_of_its_own(self, count: int) -> None:
        crop = np.full((48, 48, 1), 40, np.uint8)
        drawn = sheet([Card(crop, why(), "happy 90 %", "Rests on it")] * count, OCCLUSION)
        dark = (drawn == 40).all(axis=2)
        assert dark.sum() >= count * 192 * 192

    @pytest.mark.parametrize("legend", [OCCLUSION, GRAD_CAM])
    @pytest.mark.parametrize("size_hw", [(1, 1), (300, 200), (400, 3000)])
    def test_a_legend_stands_below(self, legend: object, size_hw: tuple[int, int]) -> None:
        image = grey(*size_hw)
        drawn = with_legend(image, legend)  # type: ignore[arg-type]
        height, width = size_hw
        left = (drawn.shape[1] - width) // 2
        assert (drawn[:height, left : left + width] == image).all()
        below = drawn[height:].astype(int)
        assert below.shape[0] > 60
        assert (below[..., 0] - below[..., 2]).max() > 100
        assert ((below[..., 2] - below[..., 0]).max() > 100) == (legend is OCCLUSION)
        assert fromarray(drawn).size[0] >= width
