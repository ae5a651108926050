from __future__ import annotations

import copy
import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import BrokenImage, InputError
from mien.types import EMOTIONS, Box, Face, Point, Reading, Visibility
from mien.wire import (
    csv_fields,
    failure_to_dict,
    image_to_dict,
    reading_from_dict,
    reading_to_dict,
    reading_to_row,
    to_csv,
    to_json,
)

pixels = st.integers(-(2**40), 2**40)
places = st.floats(-1e9, 1e9)
shares = st.floats(0, 1)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    labels = tuple(draw(st.lists(st.text(max_size=9), min_size=1, max_size=9, unique=True)))
    return Reading(
        Face(
            Box(*(draw(pixels) for _ in range(4))),
            draw(shares),
            tuple(Point(x, y) for x, y in draw(st.lists(st.tuples(places, places), max_size=5))),
        ),
        tuple(draw(shares) for _ in labels),
        labels,
        set=tuple(draw(st.permutations(labels)))[: draw(st.integers(0, len(labels)))],
        uncertain=draw(st.booleans()),
        identity=draw(st.none() | st.integers()),
        reasons=tuple(draw(st.lists(st.sampled_from(["dark", "too small"]), unique=True))),
        visibility=draw(st.none() | st.builds(Visibility, *[places] * 5, st.none() | places)),
    )


HAPPY = Reading(
    Face(Box(96, 40, 118, 150), 0.98, (Point(131.5, 92.0),)),
    (0.01, 0.01, 0.01, 0.91, 0.03, 0.02, 0.01),
    EMOTIONS,
    set=("happy",),
)
TORN = Reading(
    HAPPY.face, (0.1, 0.0, 0.0, 0.4, 0.5, 0.0, 0.0), set=("neutral", "happy"), uncertain=True
)


@given(readings())
def test_a_reading_comes_back_from_json_as_it_was(reading: Reading) -> None:
    assert reading_from_dict(json.loads(to_json(reading_to_dict(reading)))) == reading


def test_a_reading_is_this_in_json() -> None:
    assert reading_to_dict(HAPPY) == {
        "box": {"x": 96, "y": 40, "w": 118, "h": 150},
        "score": 0.98,
        "landmarks": [[131.5, 92.0]],
        "emotion": "happy",
        "confidence": 0.91,
        "probabilities": dict(zip(EMOTIONS, HAPPY.probabilities, strict=True)),
        "set": ["happy"],
        "uncertain": False,
        "reasons": [],
        "visibility": None,
        "identity": None,
    }


@pytest.mark.parametrize(
    ("reading", "abstain", "emotion"),
    [
        (HAPPY, False, "happy"),
        (HAPPY, True, "happy"),
        (TORN, False, "neutral"),
        (TORN, True, None),
    ],
)
def test_an_uncertain_reading_names_no_emotion_if_asked(
    reading: Reading, abstain: bool, emotion: str | None
) -> None:
    assert reading_to_dict(reading, abstain=abstain)["emotion"] == emotion
    assert reading_to_row(reading, abstain=abstain)["emotion"] == emotion
    image = image_to_dict("a.jpg", (1, 2), [reading], abstain=abstain)
    assert image["faces"][0]["emotion"] == emotion
    assert reading_from_dict(image["faces"][0]) == reading


DELETED = "(deleted)"
OPTIONAL = ("emotion", "confidence", "reasons", "visibility")
NEEDED = [name for name in reading_to_dict(HAPPY) if name not in OPTIONAL]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *(((field,), DELETED) for field in NEEDED),
        (("box",), None),
        (("box",), [1, 2, 3, 4]),
        (("box", "x"), DELETED),
        (("box", "x"), 1.5),
        (("box", "x"), "1"),
        (("score",), "0.9"),
        (("score",), True),
        (("score",), 1.1),
        (("score",), float("nan")),
        (("landmarks",), 3),
        (("landmarks",), [[1]]),
        (("landmarks",), [[1, 2, 3]]),
        (("landmarks",), [["a", "b"]]),
        (("probabilities",), {}),
        (("probabilities",), [0.1]),
        (("probabilities", "happy"), -0.1),
        (("probabilities", "happy"), float("inf")),
        (("probabilities", "happy"), None),
        (("set",), "happy"),
        (("set",), ["glad"]),
        (("set",), [["happy"]]),
        (("uncertain",), "false"),
        (("uncertain",), 0),
        (("identity",), "3"),
        (("identity",), 1.0),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_reading_is_refused(path: tuple[str, ...], value: Any) -> None:
    content = copy.deepcopy(reading_to_dict(HAPPY))
    inner: Any = content
    for name in path[:-1]:
        inner = inner[name]
    if value == DELETED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    with pytest.raises(InputError, match="not a reading"):
        reading_from_dict(content)


@pytest.mark.parametrize("content", [None, [], "", 3])
def test_what_is_no_object_is_refused(content: Any) -> None:
    with pytest.raises(InputError, match="not a reading"):
        reading_from_dict(content)


def test_sums_that_were_rounded_are_taken() -> None:
    content = reading_to_dict(HAPPY)
    content["score"] = 1.0000000000000002
    assert reading_from_dict(content).face.score == content["score"]


def test_an_image_has_a_name_a_size_and_faces() -> None:
    assert image_to_dict("a.jpg", (480, 640), []) == {
        "image": "a.jpg",
        "width": 640,
        "height": 480,
        "faces": [],
    }
    assert image_to_dict("a.jpg", (480, 640), [HAPPY])["faces"] == [reading_to_dict(HAPPY)]


def test_an_image_that_was_not_read_says_why() -> None:
    assert failure_to_dict("a.jpg", BrokenImage("cut off")) == {
        "image": "a.jpg",
        "error": {"code": "broken_image", "message": "cut off"},
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_word_for_these_numbers(number: float) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        to_json({"score": number})


def test_json_keeps_all_scripts_readable() -> None:
    assert to_json({"image": "šťastný 😀.jpg"}) == '{"image": "šťastný 😀.jpg"}'


class TestTable:
    def test_without_rows_it_is_a_header(self) -> None:
        assert to_csv([], ["a", "b"]) == "a,b\n"

    def test_columns_follow_the_labels(self) -> None:
        assert csv_fields(["glad"]) == [
            "box.x", "box.y", "box.w", "box.h", "score", "emotion", "confidence",
            "probabilities.glad", "set", "uncertain", "reasons", "visibility.size_px",
            "visibility.sharpness", "visibility.light", "visibility.contrast",
            "visibility.white", "visibility.yaw", "visibility.pitch", "visibility.outside",
            "identity",
        ]  # fmt: skip

    @given(readings())
    def test_a_row_has_the_columns_in_their_order(self, reading: Reading) -> None:
        assert list(reading_to_row(reading)) == csv_fields(reading.labels)

    def test_cells_are_read_back(self) -> None:
        text = to_csv([reading_to_row(HAPPY), reading_to_row(TORN)], csv_fields())

        happy, torn = csv.DictReader(io.StringIO(text))
        assert (happy["box.x"], happy["emotion"], happy["identity"]) == ("96", "happy", "")
        assert float(happy["probabilities.happy"]) == 0.91
        assert (torn["set"], torn["uncertain"]) == ("neutral happy", "True")
