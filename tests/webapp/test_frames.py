from __future__ import annotations

import base64
from typing import Any

import pytest

from mien.predictor import Predictor
from mien.video.tracking import Tracker
from mien.webapp.frames import answer_frame

from .conftest import jpeg


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        ({}, "reload the page"),
        ({"jpeg": 5}, "reload the page"),
        ({"jpeg": ""}, "0 bytes"),
        ({"jpeg": "äö"}, "reload the page"),
        ({"jpeg": text(b"no picture")}, "this is not an image"),
        ({"jpeg": text(jpeg(200, 10, 2000))}, "at most"),
    ],
)
def test_bad_frame_is_answered_in_words(
    frame: dict[str, Any], word: str, predictor: Predictor
) -> None:
    answer = answer_frame({"id": 4, **frame}, predictor, Tracker(), 0)
    assert answer["id"] == 4
    assert word in answer["error"]


def test_frame_is_read_and_faces_keep_their_number(predictor: Predictor) -> None:
    tracker = Tracker()
    answers = [
        answer_frame({"id": at, "jpeg": text(jpeg())}, predictor, tracker, at / 10)
        for at in range(3)
    ]
    for at, answer in enumerate(answers):
        assert (answer["id"], answer["width"], answer["height"]) == (at, 48, 64)
        (face,) = answer["faces"]
        assert face["identity"] == 1
        assert face["emotion"] == "happy"
        assert face["emotion"] == "happy"
        assert sum(face["probabilities"].values()) == pytest.approx(1)
