from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mien.card import ModelCard
from mien.webapp.reports import find_report, headline_result, split_rows

RESULT: dict[str, Any] = {
    "head": "emotion",
    "labels": ["a", "b"],
    "split": "Test",
    "unseen": False,
    "flip": False,
    "count": 9,
    "per_class": [{"label": "a"}, {"label": "b"}],
    "confusion": [[1, 2], [3, 3]],
    "reliability": {"x": [0.5], "y": [0.4], "weight": [1.0]},
}


@pytest.mark.parametrize("content", [None, "", "[]", '{"results": 3}', "{"])
def test_without_a_usable_report_there_is_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    assert find_report(tmp_path / "glance.onnx") is None


def test_report_of_the_model_goes_before_that_of_the_folder(tmp_path: Path) -> None:
    for name, value in (("report.json", 1), ("glance.report.json", 2)):
        (tmp_path / name).write_text(json.dumps({"results": [], "x": value}))
    assert find_report(tmp_path / "glance.int8.onnx") == {"results": [], "x": 2}
    assert find_report(tmp_path / "other.onnx") == {"results": [], "x": 1}


def test_headline_is_the_head_on_most_rows_without_flip() -> None:
    assert headline_result({"results": []}, "emotion") is None
    results = [
        {**RESULT, "count": 5, "split": "small"},
        RESULT,
        {**RESULT, "count": 99, "flip": True},
        {**RESULT, "count": 99, "head": "other"},
    ]
    figures = headline_result({"results": results}, "emotion")
    assert figures is not None
    assert (figures.split, figures.count) == ("Test", 9)
    assert figures.confusion == ((1, 2), (3, 3))
    assert figures.reliability == ((0.5, 0.4, 1.0),)


@pytest.mark.parametrize("lack", ["confusion", "per_class", "labels"])
def test_report_of_another_shape_gives_nothing(lack: str) -> None:
    result = {name: value for name, value in RESULT.items() if name != lack}
    assert headline_result({"results": [result]}, "emotion") is None


def test_report_without_a_reliability_curve_is_shown_without() -> None:
    result = {name: value for name, value in RESULT.items() if name != "reliability"}
    figures = headline_result({"results": [result]}, "emotion")
    assert figures is not None
    assert figures.reliability == ()


def test_split_rows_show_what_the_card_has() -> None:
    assert split_rows(ModelCard("m", "1")) == []
    card = ModelCard("m", "1", metrics={"A": {"accuracy": 0.7}, "B": {"ece": 0.01}})
    assert split_rows(card) == [
        {"Split": "A", "Accuracy": "70.0%", "Calibration error": "–"},
        {"Split": "B", "Accuracy": "–", "Calibration error": "1.0%"},
    ]
