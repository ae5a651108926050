from __future__ import annotations

import base64
import re

import pytest

from mien.palette import EXPRESSION_COLORS
from mien.types import EMOTIONS, Box, Face, Reading
from mien.webapp import markup

FACE = Face(Box(0, 0, 9, 9), 0.9)


def reading(*shares: float, uncertain: bool = False) -> Reading:
    likely = tuple(label for label, share in zip(EMOTIONS, shares, strict=True) if share > 0.2)
    return Reading(FACE, shares, set=likely, uncertain=uncertain)


SURE = reading(0.0, 0.0, 0.02, 0.9, 0.05, 0.02, 0.01)
UNSURE = reading(0.0, 0.0, 0.45, 0.01, 0.05, 0.48, 0.01, uncertain=True)


def test_headline_is_a_question_if_uncertain() -> None:
    assert markup.headline(SURE) == "Happy, 90 %"
    assert markup.headline(UNSURE) == "Fear or sad?"
    assert markup.headline(Reading(FACE, (1.0,) + (0.0,) * 6, uncertain=True)) == "Angry?"


def test_bars_show_every_label_in_its_colour_most_probable_first() -> None:
    assert "<li>" not in markup.bars({})
    text = markup.bars(dict(zip(EMOTIONS, SURE.probabilities, strict=True)))
    assert re.findall(r'mien-name">(\w+)<', text)[:2] == ["Happy", "Neutral"]
    assert text.count("<li>") == 7
    for label in EMOTIONS:
        assert EXPRESSION_COLORS[label] in text


def test_face_card_says_how_sure_it_is() -> None:
    assert "At 90 % confidence: happy." in markup.face_card(SURE, 0.9)
    text = markup.face_card(UNSURE, 0.9, "data:image/jpeg;base64,AA==")
    assert "Not sure enough" in text
    assert "mien-unsure" in text
    assert '<img src="data:' in text


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
        markup.bars({bad: 1.0}),
        markup.distribution({bad: 1}),
        markup.swatches([bad]),
        markup.empty_state(bad, bad),
        markup.fields([(bad, bad)]),
        markup.class_table([{"label": bad, "precision": 1, "recall": 1, "f1": 1, "support": 1}]),
        markup.confusion_table([bad], [[1]]),
        markup.face_card(Reading(FACE, (1.0,), (bad,), set=(bad,)), 0.9),
    ]
    for text in texts:
        assert "<script" not in text.lower()
        assert "&lt;script" in text.lower()


def test_confusion_is_in_percent_of_the_true_label() -> None:
    text = markup.confusion_table(["a", "b"], [[3, 1], [0, 0]])
    assert re.findall(r">(\d+)</td>", text) == ["75", "25", "0", "0"]
    assert "3 of 4" in text


def test_reliability_plot_lies_in_its_frame() -> None:
    def drawing(*curve: list[float]) -> str:
        picture = markup.reliability_plot(*curve)
        return base64.b64decode(picture.split("base64,")[1].split('"')[0]).decode()

    assert "<circle" not in drawing([], [], [])
    text = drawing([0.0, 1.0], [0.0, 1.0], [0.2, 0.8])
    assert 'points="34.0,266.0 266.0,34.0"' in text
    assert text.count("<circle") == 2


def test_timeline_lays_spans_over_the_whole_length() -> None:
    assert "<i" not in markup.timeline([], 0)
    spans = [(0.0, 15.0, "happy", False), (75.0, 150.0, "sad", True)]
    text = markup.timeline([("Person <1>", spans)], 150)
    assert "left:50.000%;width:50.000%" in text
    assert "1:15 to 2:30: sad, uncertain" in text
    assert "Person &lt;1&gt;" in text


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
