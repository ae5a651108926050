"""One picture read, with all that the page shows of it: no pixels are kept beyond that."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL.Image import Resampling, fromarray

from mien.draw import annotate
from mien.errors import MienError
from mien.faces import thumbnail
from mien.images import ImageLimits, decode, encode
from mien.predictor import Predictor
from mien.types import CROP_HW, Crops, Image, Reading

__all__ = ["JPEG_QUALITY", "Kept", "PictureResult", "key_of", "read_picture"]

# Half of what the core takes: several people's pictures may be in memory at once.
_LIMITS = ImageLimits(max_pixels=50_000_000)

_SHOWN_PX = 1600  # the longer side of the annotated picture: what a page or a slide shows
_THUMB_PX = 2 * CROP_HW[0]
JPEG_QUALITY = 88  # of every picture on the page


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is needed to explain the readings later.

    Attributes:
        photo: a JPEG of at most 1600 pixels a side with nothing drawn on it.
        crops: uint8 (N, 48, 48, 1), of each reading.
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
        image = decode(data, _LIMITS)
        readings = predictor.read(image)
    except MienError as error:
        return PictureResult(name, error=error)
    annotated = encode(_fit(annotate(image, readings)), quality=JPEG_QUALITY)
    thumbs = tuple(encode(thumbnail(image, reading.face, _THUMB_PX)) for reading in readings)
    kept = None
    if keep:
        crops = predictor.crop(image, tuple(reading.face for reading in readings))
        kept = Kept(encode(_fit(image), quality=JPEG_QUALITY), crops)
    return PictureResult(name, image.shape[:2], readings, annotated, thumbs, kept=kept)


def _fit(image: Image) -> Image:
    """Shrink to what is shown; smaller pictures stay as they are."""
    height, width = image.shape[:2]
    scale = _SHOWN_PX / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(fromarray(image).resize(size, Resampling.BOX, reducing_gap=2.0))
