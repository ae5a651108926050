from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from mien import EMOTIONS, Box, Face, Predictor, Reading, Result, results_to_dataframe
from mien.errors import BrokenImage, ConfigError, InputError, MissingExtra
from mien.images import encode
from mien.runtime import FakeSession
from mien.types import Image

PROBABILITIES = (0.01, 0.01, 0.01, 0.921, 0.029, 0.01, 0.01)
READING = Reading(Face(Box(4, 5, 30, 40), 0.9), PROBABILITIES, set=("happy",))
UNREADABLE = Result("b.jpg", error=BrokenImage("this JPEG is damaged"))
EMPTY = Result("c.jpg", (60, 80))


def photo() -> Image:
    return np.full((60, 80, 3), 120, np.uint8)


def a_result(**rest: object) -> Result:
    return Result("a.jpg", (60, 80), (READING,), source=photo(), **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (EMPTY, "Result(c.jpg, 80 x 60, no face)"),
        (a_result(), "Result(a.jpg, 80 x 60, 1 face: happy 92 %)"),
        (
            Result("a.jpg", (60, 80), (READING,) * 5),
            "Result(a.jpg, 80 x 60, 5 faces: happy 92 %, happy 92 %, happy 92 %, ...)",
        ),
        (UNREADABLE, "Result(b.jpg, BrokenImage: this JPEG is damaged)"),
    ],
)
def test_repr_is_one_short_line(result: Result, text: str) -> None:
    assert repr(result) == text


def test_it_is_a_sequence_of_readings() -> None:
    assert (len(EMPTY), list(EMPTY), len(a_result())) == (0, [], 1)
    assert a_result()[0] is READING
    assert a_result()[:5] == (READING,)
    assert next(iter(a_result())).top == "happy"


def test_equality_leaves_source_and_timings_out() -> None:
    assert a_result(timings_ms={"total": 1.0}) == a_result()


def test_to_dict_is_the_form_of_the_wire() -> None:
    assert UNREADABLE.to_dict() == {
        "image": "b.jpg",
        "error": {"code": "broken_image", "message": "this JPEG is damaged"},
    }
    content = a_result().to_dict()
    assert (content["width"], content["height"]) == (80, 60)
    assert content["faces"][0]["emotion"] == "happy"


def test_results_become_a_table_in_which_nothing_is_missing() -> None:
    pytest.importorskip("pandas")

    frame = results_to_dataframe([a_result(), UNREADABLE, EMPTY])

    assert frame["image"].tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert frame["face"].isna().tolist() == [False, True, True]
    assert frame["error"].tolist()[1] == "this JPEG is damaged"
    assert frame["error"].isna().tolist() == [True, False, True]
    assert frame["width"].tolist()[::2] == [80, 80]
    assert frame["probabilities.happy"].tolist()[0] == 0.921
    assert [name for name in frame if name.startswith("prob")] == [
        f"probabilities.{label}" for label in EMOTIONS
    ]
    assert list(results_to_dataframe([]).columns) == ["image", "width", "height", "face", "error"]
    assert a_result().to_dataframe().shape == (1, frame.shape[1])


def test_pandas_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match="pandas"):
        EMPTY.to_dataframe()


def test_an_annotated_image_is_drawn_on_the_source_in_full() -> None:
    drawn = a_result().annotate()

    assert isinstance(drawn, PillowImage.Image)
    assert drawn.size == (80, 60)
    assert (np.asarray(drawn) != photo()).any()


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "OUT.JPEG"])
def test_save(tmp_path: Path, name: str) -> None:
    a_result().save(tmp_path / name)
    with PillowImage.open(tmp_path / name) as saved:
        assert saved.size == (80, 60)
        assert saved.format == ("PNG" if name.endswith("png") else "JPEG")


@pytest.mark.parametrize(
    ("result", "name", "error", "message"),
    [
        (UNREADABLE, "a.png", BrokenImage, "damaged"),
        (EMPTY, "a.png", InputError, "no source"),
        (a_result(), "a.gif", ConfigError, "ending in .jpg or .png"),
        (a_result(), "", ConfigError, "ending in"),
    ],
)
def test_what_cannot_be_saved(
    tmp_path: Path, result: Result, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        result.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_image_and_bars() -> None:
    page = a_result()._repr_html_()
    assert page.count("<img ") == 1
    assert page.count("<tr>") == 7
    assert "happy 92 %" in page
    assert "damaged" in UNREADABLE._repr_html_()
    hostile = Result("<script>", (60, 80), (READING,))._repr_html_()
    assert "<script>" not in hostile


def test_a_result_of_a_prediction_knows_its_source_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode(photo(), "png"))
    predictor = Predictor(lambda image: (READING.face,), FakeSession())

    from_path, from_array = predictor.predict(path), predictor.predict(photo())

    assert (from_path.name, from_array.name) == (str(path), "image")
    assert from_path.size_hw == (60, 80)
    assert set(from_path.timings_ms) == {"decode", "detect", "crop", "classify", "total"}
    assert from_path.annotate().tobytes() == from_array.annotate().tobytes()
