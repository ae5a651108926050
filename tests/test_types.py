from __future__ import annotations

import dataclasses

import pytest

from mien import types
from mien.card import Framing
from mien.types import EMOTIONS, Box, Face, Point, Reading

FACE = Face(Box(1, 2, 3, 4), 0.5)


def test_the_emotions_stand_in_the_order_of_the_models_columns() -> None:
    assert EMOTIONS == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.mark.parametrize(
    "value",
    [FACE, Framing(1.0, 0.0), Reading(FACE, (1.0,), ("happy",))],
    ids=lambda value: type(value).__name__,
)
def test_what_is_passed_around_is_frozen(value: object) -> None:
    assert dataclasses.is_dataclass(value)
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, None)
    assert not hasattr(value, "__dict__")
    assert hash(value) == hash(dataclasses.replace(value))  # type: ignore[type-var]


@pytest.mark.parametrize("value", [Box(1, 2, 3, 4), Point(0.5, 1.5)])
def test_tuples_with_names_are_frozen_too(value: Box | Point) -> None:
    with pytest.raises(AttributeError):
        value.x = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("probabilities", "labels", "top"),
    [
        ((1.0,), ("only",), "only"),
        ((0.5, 0.5), ("first", "second"), "first"),
        ((0.0, 0.2, 0.1, 0.3, 0.1, 0.2, 0.1), EMOTIONS, "happy"),
        ((0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1), EMOTIONS, "angry"),
    ],
)
def test_top_is_the_most_probable(
    probabilities: tuple[float, ...], labels: tuple[str, ...], top: str
) -> None:
    reading = Reading(FACE, probabilities, labels)

    assert reading.top == top
    assert reading.confidence == max(probabilities)


def test_a_reading_is_of_the_seven_emotions_unless_it_says_otherwise() -> None:
    reading = Reading(FACE, (1 / 7,) * 7)

    assert reading.labels == EMOTIONS
    assert (reading.set, reading.uncertain, reading.identity) == ((), False, None)


def test_the_vocabulary_is_whole() -> None:
    assert set(types.__all__) >= {"Box", "Crops", "Face", "Image", "Logits", "Reading"}


@pytest.mark.parametrize(
    ("by_xy", "expected"),
    [
        ((1.0, 1.0), Box(3, 5, 10, 20)),
        ((2.0, 2.0), Box(6, 10, 20, 40)),
        ((0.5, 2.0), Box(2, 10, 4, 40)),
    ],
)
def test_a_face_in_an_image_of_another_size(by_xy: tuple[float, float], expected: Box) -> None:
    scaled = Face(Box(3, 5, 10, 20), 0.5, (Point(4, 6),)).scaled(by_xy)

    assert (scaled.box, scaled.score) == (expected, 0.5)
    assert scaled.landmarks == (Point(4 * by_xy[0], 6 * by_xy[1]),)


def test_neighbours_stay_neighbours_when_scaled() -> None:
    left, right = (Face(Box(x, 0, 7, 7), 1.0).scaled((0.37, 0.37)).box for x in (0, 7))

    assert left.x + left.w == right.x
