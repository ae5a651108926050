"""Small pictures in every kind of source, and a network of one random layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from tests.support.models import write_tiny_model

from mien.images import encode
from mien.types import Image


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="session")
def face(astronaut: Image) -> bytes:
    """A JPEG of 160 x 160 pixels with one face: quick to read."""
    picture = PillowImage.fromarray(astronaut[20:260, 110:350]).resize((160, 160))
    return encode(np.asarray(picture), "jpeg")


@pytest.fixture(scope="session")
def nobody() -> bytes:
    return encode(np.full((128, 160, 3), 90, np.uint8), "png")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, face: bytes, nobody: bytes) -> Path:
    """Five faces, a picture of nobody, and two files that cannot be read."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(5):
        # bytes after the end of a JPEG: the same picture in another file
        (folder / f"{number}.jpg").write_bytes(face + bytes(number))
    (folder / "nobody.png").write_bytes(nobody)
    (folder / "broken.jpg").write_bytes(face[:2000])
    (folder / "empty.jpg").touch()
    (folder / "notes.txt").write_text("no image")
    return folder
