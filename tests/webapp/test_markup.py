from __future__ import annotations

import base64
import re

import pytest

from mien.webapp import markup


def test_distribution_counts() -> None:
    assert "<li>" not in markup.distribution({})
    assert "0 (0 %)" in markup.distribution({"happy": 0})
    text = markup.distribution({"happy": 3, "sad": 1})
    assert "3 (75 %)" in text
    assert "width:100.00%" in text
    assert "width:33.33%" in text


def test_all_text_is_escaped() -> None:
    bad = "<script>"
    texts = [
        markup.distribution({bad: 1}),
        markup.swatches([bad]),
        markup.empty_state(bad, bad),
        markup.fields([(bad, bad)]),
        markup.class_table([{"label": bad, "precision": 1, "recall": 1, "f1": 1, "support": 1}]),
        markup.confusion_table([bad], [[1]]),
    ]
    for text in texts:
        assert "<script" not in text.lower()
        assert "&lt;script" in text.lower()


def test_confusion_is_in_percent_of_the_true_label() -> None:
    text = markup.confusion_table(["a", "b"], [[3, 1], [0, 0]])
    assert re.findall(r">(\d+)</td>", text) == ["75", "25", "0", "0"]
    assert "3 of 4" in text


def test_reliability_plot_lies_in_its_frame() -> None:
    def drawing(*curve: list[float], faces: int = 1000) -> str:
        picture = markup.reliability_plot(*curve, faces=faces)
        return base64.b64decode(picture.split("base64,")[1].split('"')[0]).decode()

    assert "<circle" not in drawing([], [], [])
    text = drawing([0.0, 1.0], [0.0, 1.0], [0.2, 0.8])
    assert 'points="34.0,266.0 266.0,34.0"' in text
    assert text.count("<circle") == 2
    text = drawing([0.0, 0.5, 1.0], [0.0, 0.9, 1.0], [0.2, 0.01, 0.79])
    assert 'points="34.0,266.0 266.0,34.0"' in text  # 10 faces are no point of the curve
    assert text.count('<circle class="few"') == 1


def test_timeline_lays_spans_over_the_whole_length() -> None:
    assert "<i" not in markup.timeline([], 0)
    assert "<i" not in markup.timeline([markup.TimelineRow("Person 1", "", [])], 1)
    spans = [(0.5, 15.0, "happy", False), (75.0, 150.0, "sad", True)]
    text = markup.timeline([markup.TimelineRow("Person <1>", "<2> s", spans, "data:x")], 150)
    assert "left:50.000%;width:50.000%" in text
    assert "1:15 to 2:30: sad, uncertain" in text
    assert "Person &lt;1&gt;" in text
    assert "&lt;2&gt; s" in text
    assert 'data-seek="0.500"' in text


@pytest.mark.parametrize(
    ("seen_s", "shares", "uncertain", "text"),
    [
        (0.0, {}, 0.0, "0.0 s"),
        (3.0, {"sad": 1.0, "fear": 0.0}, 0.0, "3.0 s: sad 100 %"),
        (
            75,
            {"sad": 0.2, "fear": 0.7, "happy": 0.1},
            0.3,
            "1:15 min: fear 70 %, sad 20 %, uncertain 30 %",
        ),
    ],
)
def test_time_shares(seen_s: float, shares: dict[str, float], uncertain: float, text: str) -> None:
    assert markup.time_shares(seen_s, shares, uncertain) == text


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("", "."),
        ("the archive is refused", "The archive is refused."),
        ("talk.mp4 is no video", "talk.mp4 is no video."),
        ("Already so.", "Already so."),
    ],
)
def test_error_becomes_a_sentence(message: str, text: str) -> None:
    assert markup.sentence(message) == text
