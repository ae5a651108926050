from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from mien.faces import CenterFace
from mien.framing import CENTERFACE, YUNET, as_from, frame
from mien.looks import Later, SecondLook, Turned, default_detector
from mien.types import Box, Face, Image
from mien.yunet import YuNet

NOTHING = np.zeros((64, 64, 3), np.uint8)


class Recorded:
    """A detector that gives prepared answers and counts its calls."""

    def __init__(self, *answers: Sequence[Face]) -> None:
        self.answers, self.calls = [tuple(answer) for answer in answers], 0

    def __call__(self, image: Image) -> tuple[Face, ...]:
        self.calls += 1
        return self.answers[min(self.calls, len(self.answers)) - 1]


ONE = Face(Box(1, 2, 3, 4), 0.7)


@pytest.fixture(scope="module")
def yunet() -> YuNet:
    return YuNet(threads=1)


def test_nothing_anywhere_is_an_empty_tuple(yunet: YuNet) -> None:
    assert SecondLook(yunet)(NOTHING) == ()
    assert SecondLook(yunet, Recorded([]), Recorded([]))(NOTHING) == ()
    assert default_detector(threads=1)(np.zeros((300, 400, 3), np.uint8)) == ()


def test_an_image_with_a_face_is_looked_at_once(yunet: YuNet, astronaut: Image) -> None:
    second = Recorded([ONE])
    assert SecondLook(yunet, second)(astronaut) == yunet(astronaut)
    assert second.calls == 0


def test_others_look_until_one_finds_a_face(yunet: YuNet) -> None:
    others = Recorded([]), Recorded([ONE]), Recorded([ONE])
    assert SecondLook(yunet, *others)(NOTHING) == (ONE,)
    assert [each.calls for each in others] == [1, 1, 0]


def test_of_a_films_empty_frames_only_some_are_looked_at_again(yunet: YuNet) -> None:
    second = Recorded([ONE])
    detect = SecondLook(yunet, second, every=3)
    assert [len(detect(NOTHING)) for _ in range(7)] == [1, 0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_face_comes_back_in_the_pixels_of_the_image(
    yunet: YuNet, astronaut: Image, turns: int
) -> None:
    part = np.ascontiguousarray(astronaut[:400, 60:420])
    (upright,) = yunet(part)
    turned = np.ascontiguousarray(np.rot90(part, turns))
    (face,) = Turned(yunet)(turned)
    assert face.score == pytest.approx(upright.score, abs=0.05)
    expected, found = frame(upright, YUNET), frame(face, YUNET)
    assert found.side == pytest.approx(expected.side, rel=0.04)
    degrees = math.degrees(found.roll - expected.roll)
    assert (degrees + 90 * turns + 180) % 360 == pytest.approx(180, abs=4)
    height, width = turned.shape[:2]
    (x, y), (cx, cy) = expected.centre, found.centre
    back = {1: (y, 360 - x), 2: (360 - x, 400 - y), 3: (400 - y, x)}[turns]
    assert (height, width) == ((400, 360) if turns == 2 else (360, 400))
    assert (cx, cy) == pytest.approx(back, abs=6)


def test_a_detector_made_later_is_made_once(astronaut: Image) -> None:
    made = []

    def make() -> Recorded:
        made.append(Recorded([ONE]))
        return made[-1]

    later = Later(make)
    assert made == []
    assert later(NOTHING) == later(NOTHING) == (ONE,)
    assert len(made) == 1


def test_centerfaces_faces_are_framed_as_yunets(astronaut: Image, yunet: YuNet) -> None:
    for face in CenterFace(threads=1)(astronaut):
        own, translated = frame(face, CENTERFACE), frame(as_from(face, CENTERFACE, YUNET), YUNET)
        assert translated.side == pytest.approx(own.side, rel=0.08)
        assert math.dist(translated.centre, own.centre) < 0.05 * own.side
        assert translated.roll == pytest.approx(own.roll, abs=0.01)


def test_a_face_without_landmarks_keeps_its_frame() -> None:
    face = Face(Box(10, 20, 60, 80), 0.9)
    translated = as_from(face, CENTERFACE, YUNET)
    assert translated.landmarks == ()
    own, other = frame(face, CENTERFACE), frame(translated, YUNET)
    assert other.side == pytest.approx(own.side, rel=0.02)
    assert other.centre == pytest.approx(own.centre, abs=1)


def test_the_default_finds_what_only_a_second_look_does(astronaut: Image) -> None:
    """The portrait turned by 150 degrees is found by neither detector as it lies."""
    detect = default_detector(threads=1)
    assert detect.needs_px == 960
    assert detect.template is YUNET
    hazy = np.rint(150 + (astronaut[:, ::-1] - 150.0) * 0.06).astype(np.uint8)
    assert YuNet(threads=1)(hazy) == ()
    assert len(detect(hazy)) == 1


def test_a_high_threshold_holds_for_second_looks(astronaut: Image) -> None:
    assert default_detector(threshold=0.99, threads=1)(astronaut) == ()
