from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image as PillowImage

from mien.faces import CenterFace
from mien.faces.looks import Aligned, Later, SecondLook, Turned, default_detector
from mien.faces.template import YUNET, frame
from mien.faces.yunet import YuNet
from mien.types import Box, Face, Image

BICUBIC = PillowImage.Resampling.BICUBIC
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
    (own,) = yunet(astronaut)
    (face,) = Aligned(CenterFace(threads=1), yunet.aligner)(astronaut)
    expected, found = frame(own, YUNET), frame(face, YUNET)
    assert found.side == pytest.approx(expected.side, rel=0.05)
    assert math.dist(found.centre, expected.centre) < 0.05 * expected.side


def test_the_default_is_yunet_with_its_template() -> None:
    detect = default_detector(threads=1)
    assert detect.needs_px == 960
    assert detect.template is YUNET


def test_a_face_rolled_by_150_degrees_is_found_turned(yunet: YuNet, astronaut: Image) -> None:
    (upright,) = yunet(astronaut)
    rolled = np.asarray(PillowImage.fromarray(astronaut).rotate(-150, BICUBIC))
    assert yunet(rolled) == ()
    (face,) = default_detector(threads=1)(rolled)
    degrees = math.degrees(frame(face, YUNET).roll - frame(upright, YUNET).roll)
    assert degrees == pytest.approx(150, abs=5)


def test_an_overexposed_face_is_found_by_centerface(yunet: YuNet, astronaut: Image) -> None:
    (clear,) = yunet(astronaut)
    bright = np.clip(astronaut * 3.0, 0, 255).astype(np.uint8)
    assert yunet(bright) == ()
    (face,) = default_detector(threads=1)(bright)
    assert face.box == pytest.approx(clear.box, abs=12)


def test_a_high_threshold_holds_for_second_looks(astronaut: Image) -> None:
    assert default_detector(threshold=0.99, threads=1)(astronaut) == ()
