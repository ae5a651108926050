"""Pictures and archives for the tests of the web app."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from tests.support.clips import encode_clip

from mien.images import encode
from mien.predictor import Predictor

from .fakes import fake_predictor

MakeZip = Callable[[dict[str, bytes]], io.BytesIO]


@pytest.fixture(autouse=True)
def main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the main module back: Streamlit's tests leave a page there, which new processes run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def predictor() -> Predictor:
    return fake_predictor()


def jpeg(value: int = 200, height: int = 64, width: int = 48) -> bytes:
    """Return an image of one brightness; a bright one has texture, so that it is clearly seen."""
    texture = np.random.default_rng(value).normal(0, 22 if value > 60 else 0, (height, width, 1))
    return encode(np.clip(value + np.repeat(texture, 3, axis=2), 0, 255).astype(np.uint8))


@pytest.fixture
def make_zip() -> MakeZip:
    def make(files: dict[str, bytes]) -> io.BytesIO:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        buffer.seek(0)
        return buffer

    return make


def clip(frames: int = 8, size_hw: tuple[int, int] = (96, 128), fps: int = 10) -> bytes:
    """Return a video whose picture is bright enough to hold a face for the fake detector."""
    picture = np.full((*size_hw, 3), 200, np.uint8)
    return encode_clip([picture] * frames, fps)
