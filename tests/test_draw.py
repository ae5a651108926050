from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import draw
from mien.draw import annotate
from mien.faces import CenterFace
from mien.palette import EXPRESSION_COLORS
from mien.types import EMOTIONS, Box, Face, Image, Reading


def reading_at(*box: int, top: str = "happy", share: float = 0.91, **rest: object) -> Reading:
    others = (1 - share) / 6
    probabilities = tuple(share if label == top else others for label in EMOTIONS)
    return Reading(Face(Box(*box), 0.9), probabilities, **rest)  # type: ignore[arg-type]


def grey(height: int, width: int) -> Image:
    return np.full((height, width, 3), 128, np.uint8)


class TestAnnotate:
    @pytest.mark.parametrize("size_hw", [(1, 1), (48, 64), (300, 20)])
    def test_without_readings_it_is_a_copy(self, size_hw: tuple[int, int]) -> None:
        image = grey(*size_hw)

        drawn = annotate(image, [])

        assert (drawn == image).all()
        assert not np.shares_memory(drawn, image)

    def test_the_picture_that_was_given_is_not_touched(self) -> None:
        image = grey(200, 200)
        image.flags.writeable = False

        drawn = annotate(image, [reading_at(50, 50, 80, 90)])

        assert (image == 128).all()
        assert drawn.flags.writeable
        assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)

    @pytest.mark.parametrize(
        "box",
        [
            (0, 0, 0, 0),
            (10, 10, 0, 5),
            (200, 10, 5, 5),
            (-9, -9, 9, 9),
            (10, 10, -5, -5),
            (10**12, 0, 10**12, 10**12),
        ],
    )
    def test_a_box_outside_of_the_picture_is_left_out(self, box: tuple[int, ...]) -> None:
        assert (annotate(grey(200, 200), [reading_at(*box)]) == 128).all()

    @settings(max_examples=60)
    @given(
        st.tuples(st.integers(1, 90), st.integers(1, 90)),
        st.lists(st.tuples(*[st.integers(-100, 200)] * 4), max_size=6),
        st.booleans(),
    )
    def test_any_boxes_on_any_picture_are_drawn(
        self, size_hw: tuple[int, int], boxes: list[tuple[int, ...]], uncertain: bool
    ) -> None:
        image = grey(*size_hw)
        readings = [reading_at(*box, uncertain=uncertain) for box in boxes]
        assert annotate(image, readings).shape == image.shape

    def test_a_box_of_any_size_takes_no_more_memory_than_the_picture(self) -> None:
        drawn = annotate(grey(50, 50), [reading_at(-(10**9), -(10**9), 2 * 10**9, 2 * 10**9)])
        assert (drawn != 128).any()

    @pytest.mark.parametrize("emotion", EMOTIONS)
    def test_the_box_is_a_line_in_the_emotions_colour(self, emotion: str) -> None:
        drawn = annotate(grey(400, 400), [reading_at(100, 150, 120, 140, top=emotion)])

        colour = [int(EXPRESSION_COLORS[emotion][at : at + 2], 16) for at in (1, 3, 5)]
        assert drawn[220, 100].tolist() == colour
        assert drawn[289, 160].tolist() == colour
        assert (drawn[170:270, 120:200] == 128).all(), "the face itself is left free"
        assert (drawn[150, 100] != colour).any(), "corners are round"

    def test_an_uncertain_box_is_dashed(self) -> None:
        sure = annotate(grey(400, 400), [reading_at(100, 150, 120, 140)])
        torn = annotate(grey(400, 400), [reading_at(100, 150, 120, 140, uncertain=True)])

        line = slice(170, 270)
        assert len(np.unique(sure[line, 100], axis=0)) == 1
        gaps = (torn[line, 100] == 128).all(axis=1)
        assert 0.2 < gaps.mean() < 0.6

    def test_small_pictures_and_large_ones_have_lines_to_match(self) -> None:
        def line_px(side: int) -> int:
            image = grey(side, side)
            box = (side // 4, side // 4, side // 2, side // 2)
            drawn = annotate(image, [reading_at(*box, top="happy")])
            row = drawn[side // 2, : side // 2].astype(int)
            return int((np.abs(row - (213, 164, 24)).sum(axis=1) == 0).sum())

        assert line_px(100) == 2
        assert line_px(400) < line_px(2000)


class TestWords:
    @pytest.mark.parametrize(
        ("reading", "number", "full", "short"),
        [
            (reading_at(0, 0, 9, 9), 0, "Happy, 91 %", "Happy"),
            (reading_at(0, 0, 9, 9, share=1.0), 0, "Happy, 100 %", "Happy"),
            (reading_at(0, 0, 9, 9), 3, "3 · Happy, 91 %", "3 · Happy"),
            (reading_at(0, 0, 9, 9, uncertain=True), 0, "Happy?", "Happy?"),
            (
                reading_at(0, 0, 9, 9, uncertain=True, set=("happy", "sad", "fear")),
                12,
                "12 · Happy or sad?",
                "12 · Happy?",
            ),
        ],
    )
    def test_a_label_says(self, reading: Reading, number: int, full: str, short: str) -> None:
        assert draw._text_of(reading, number, "full") == full
        assert draw._text_of(reading, number, "short") == short
        assert draw._text_of(reading, number, "number") == str(number)

    def test_faces_of_a_photo_are_numbered_as_in_its_list_unless_there_is_one(self) -> None:
        def numbers(*readings: Reading) -> list[int]:
            return [each.number for each in draw._shown(readings, 100, 100)]

        near, outside = reading_at(10, 10, 20, 20), reading_at(200, 10, 20, 20)
        assert numbers() == []
        assert numbers(near) == [0]
        assert numbers(outside, near) == [2]
        assert numbers(reading_at(10, 10, 20, 20, identity=7)) == [7]


def labels_of(readings: list[Reading], size_hw: tuple[int, int]) -> list[draw._Label]:
    height, width = size_hw
    shown = draw._shown(readings, width, height)
    return [label for label, _ in draw._lay_out(shown, width, height)]


def lay_out(readings: list[Reading], size_hw: tuple[int, int]) -> list[draw._Frame]:
    height, width = size_hw
    shown = draw._shown(readings, width, height)
    return [
        draw._Frame(left, top, left + label.size[0], top + label.size[1])
        for label, (left, top) in draw._lay_out(shown, width, height)
    ]


def common(one: draw._Frame, other: draw._Frame) -> int:
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(wide, 0) * max(high, 0)


def hidden(readings: list[Reading], size_hw: tuple[int, int]) -> int:
    """Count the pixels where labels lie on faces or on each other."""
    labels = lay_out(readings, size_hw)
    boxes = [draw._visible(each.face.box, size_hw[1], size_hw[0]) for each in readings]
    on_faces = sum(common(label, box) for label in labels for box in boxes if box)
    return on_faces + sum(common(one, other) for one, other in combinations(labels, 2))


class TestPlaces:
    @settings(max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.integers(-50, 800), st.integers(-50, 600),
                st.integers(10, 300), st.integers(10, 300),
            ),
            max_size=12,
        )
    )  # fmt: skip
    def test_labels_stay_inside(self, boxes: list[tuple[int, ...]]) -> None:
        for label in lay_out([reading_at(*box) for box in boxes], (600, 800)):
            assert label.left >= 0
            assert label.top >= 0
            assert label.right <= 800
            assert label.bottom <= 600

    @pytest.mark.parametrize(
        "box",
        [(350, 250, 100, 110), (0, 0, 90, 90), (710, 0, 90, 90), (0, 510, 90, 90),
         (710, 510, 90, 90), (350, -40, 100, 110), (200, 0, 300, 600)],
    )  # fmt: skip
    def test_one_label_does_not_lie_on_its_face(self, box: tuple[int, ...]) -> None:
        assert hidden([reading_at(*box)], (600, 800)) == 0

    def test_narrow_boxes_of_many_get_their_numbers(self) -> None:
        row = [reading_at(20 + 75 * column, 200, 40, 46) for column in range(4)]
        assert [each.text for each in labels_of(row, (500, 800))] == ["1", "2", "3", "4"]
        wide = [reading_at(20 + 190 * column, 200, 160, 170) for column in range(4)]
        texts = [each.text for each in labels_of(wide, (500, 800))]
        assert texts[0] == "1 · Happy, 91 %"
        assert next(each.text for each in labels_of(row[:3], (500, 800))) != "1"

    def test_a_row_of_close_faces_is_left_free(self) -> None:
        row = [reading_at(20 + 75 * column, 200, 60, 70) for column in range(10)]
        assert hidden(row, (500, 800)) == 0

    def test_a_group_photo_is_left_free(self, solvay: Image) -> None:
        faces = CenterFace()(solvay)
        readings = [reading_at(*face.box, top="surprise") for face in faces]

        assert len(readings) == 29
        assert hidden(readings, solvay.shape[:2]) == 0

    def test_large_faces_have_bars_and_small_ones_none(self) -> None:
        large, small = (
            lay_out([reading_at(100, 100, 200, 220)], (800, 800)),
            lay_out([reading_at(100, 100, 40, 44)], (800, 800)),
        )
        assert large[0].size[1] > 2.5 * small[0].size[1]

    def test_bars_give_way_to_other_faces(self) -> None:
        crowd = [
            reading_at(50 + 215 * column, 40 + 245 * row, 200, 210)
            for column in range(3)
            for row in range(2)
        ]
        assert hidden(crowd, (540, 720)) == 0
        assert max(label.size[1] for label in lay_out(crowd, (540, 720))) < 60
