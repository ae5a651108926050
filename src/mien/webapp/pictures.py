"""One picture read, with all that the page shows of it: no pixels are kept beyond that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL.Image import Resampling, fromarray

from mien.draw import annotate
from mien.errors import MienError
from mien.faces import thumbnail
from mien.images import ImageLimits, encode
from mien.predictor import Predictor
from mien.types import Crops, Image, Reading

__all__ = ["JPEG_QUALITY", "Kept", "PictureResult", "key_of", "read_picture", "shown_on"]

# Half of what the core takes: several people's pictures may be in memory at once.
_LIMITS = ImageLimits(max_pixels=50_000_000)

_SHOWN_PX = 1600  # the longer side of the annotated picture: what a page or a slide shows
_THUMB_PX = 96
JPEG_QUALITY = 88  # of every picture on the page


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is needed to explain the readings later.

    Attributes:
        photo: a JPEG of at most 1600 pixels a side with nothing drawn on it.
        crops: uint8 (N, h, w, 1), of each reading.
    """

    photo: bytes
    crops: Crops


@dataclass(frozen=True, slots=True)
class PictureResult:
    """What was read in one picture, or why it could not be read.

    Attributes:
        name: the file's, as it was handed in.
        size_hw: in pixels, after the EXIF turn; boxes refer to it. (0, 0) with an error.
        annotated: a JPEG of at most 1600 pixels a side; empty with an error.
        thumbs: a JPEG of each reading's face.
        error: why there are no readings.
        kept: only if it was asked for.
    """

    name: str
    size_hw: tuple[int, int] = (0, 0)
    readings: tuple[Reading, ...] = ()
    annotated: bytes = b""
    thumbs: tuple[bytes, ...] = ()
    error: MienError | None = None
    kept: Kept | None = None


def key_of(data: bytes) -> str:
    """Return what tells one file's content from another's."""
    return hashlib.sha256(data).hexdigest()


def read_picture(
    name: str, data: bytes, predictor: Predictor, *, keep: bool = False
) -> PictureResult:
    """Read one encoded picture; a file that cannot be read is a result too, never an error.

    Args:
        keep: what is needed to explain the readings later.
    """
    try:
        picture = predictor.open(data, _LIMITS)
        crops = predictor.crop(picture, predictor.detect(picture))
        readings = predictor.interpret(predictor.classify(crops), crops)
    except MienError as error:
        return PictureResult(name, error=error)
    photo = _fit(picture.pixels)
    annotated = encode(
        annotate(photo, shown_on(photo, readings, picture.size_hw)), quality=JPEG_QUALITY
    )
    thumbs = tuple(
        encode(thumbnail(picture.pixels, reading.face, _THUMB_PX))
        for reading in shown_on(picture.pixels, readings, picture.size_hw)
    )
    kept = Kept(encode(photo, quality=JPEG_QUALITY), crops.pixels) if keep else None
    return PictureResult(name, picture.size_hw, readings, annotated, thumbs, kept=kept)


def shown_on(image: Image, readings: Sequence[Reading], size_hw: tuple[int, int]) -> list[Reading]:
    """Return readings of an image of ``size_hw`` in the pixels of a smaller form of it."""
    by_xy = image.shape[1] / size_hw[1], image.shape[0] / size_hw[0]
    return [reading.scaled(by_xy) for reading in readings]


def _fit(image: Image) -> Image:
    """Shrink to what is shown; smaller pictures stay as they are."""
    height, width = image.shape[:2]
    scale = _SHOWN_PX / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(fromarray(image).resize(size, Resampling.BOX, reducing_gap=2.0))
