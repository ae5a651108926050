from __future__ import annotations

import numpy as np
import pytest

from mien.images import decode, encode
from mien.predictor import Predictor
from mien.runtime import FakeSession
from mien.types import Crops, Image, Logits
from mien.webapp import reasons
from mien.webapp.pictures import PictureResult, read_picture
from mien.webapp.reasons import Reasons, explain_picture

from .conftest import jpeg
from .fakes import CARD, FakeDetector


def lower_half(crops: Crops) -> Logits:
    """Bright lower halves are happy."""
    logits = np.zeros((len(crops), 7), np.float32)
    logits[:, 3] = crops[:, 24:].mean(axis=(1, 2, 3)) / 80
    return logits


@pytest.fixture
def reader() -> Predictor:
    return Predictor(FakeDetector(), FakeSession(CARD, lower_half))


def half_bright(height: int, width: int) -> Image:
    image = np.full((height, width, 3), 60, np.uint8)
    image[height // 2 :] = 240
    return image


def test_what_was_not_read_or_kept_has_no_reasons(reader: Predictor) -> None:
    black = read_picture("black.jpg", jpeg(0), reader, keep=True)
    broken = read_picture("broken.jpg", b"", reader, keep=True)
    not_kept = read_picture("a.jpg", jpeg(), reader)
    for result in (PictureResult("none"), black, broken, not_kept):
        assert explain_picture(result, reader) == Reasons()


@pytest.mark.parametrize("size_hw", [(200, 160), (1600, 2400)])
def test_heatmaps_lie_on_their_faces(reader: Predictor, size_hw: tuple[int, int]) -> None:
    result = read_picture("a.png", encode(half_bright(*size_hw), "png"), reader, keep=True)

    found = explain_picture(result, reader)

    assert len(found.tiles) == len(found.words) == 1
    assert found.words[0].startswith("Rests mostly on ")
    assert decode(found.tiles[0]).shape == (192, 192, 3)
    drawn, plain = decode(found.annotated), decode(result.annotated)
    assert drawn.shape == plain.shape
    redder = drawn[..., 0].astype(int) - drawn[..., 2] - (plain[..., 0].astype(int) - plain[..., 2])
    height, width = drawn.shape[:2]
    assert redder[int(0.6 * height), width // 2] > 40
    assert abs(redder[int(0.95 * height), width // 2]) < 10


def test_only_so_many_faces_are_explained(
    reader: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reasons, "MOST_FACES", 1)
    result = read_picture("a.jpg", jpeg(200, 60, 200), reader, keep=True)
    found = explain_picture(result, reader)
    assert (len(result.readings), len(found.tiles), len(found.words)) == (2, 1, 1)
