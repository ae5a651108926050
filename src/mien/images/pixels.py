"""From what Pillow makes of a file to upright RGB of 8 bits."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from mien.errors import UnsupportedImage
from mien.types import Image

__all__ = ["DAMAGE", "to_rgb"]

#: What Pillow's parsers were seen to raise on damaged bytes. Warnings are here for programs
#: that turn them into errors.
DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
    Warning,
)

_ORIENTATION = 0x0112
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339


def to_rgb(picture: PillowImage.Image) -> Image:
    """Return a Pillow image of any mode as an array of its own, turned upright."""
    picture.load()  # first: PNG's EXIF may follow the pixels, and TIFF turns itself here
    orientation = _orientation(picture)
    if picture.mode.startswith("I"):
        rgb = np.repeat(_grey_from_deep(picture)[..., None], 3, axis=2)
    elif picture.mode in ("F", "LAB"):
        raise UnsupportedImage(
            f"a picture of mode {picture.mode} cannot be read: save it with 8 bits per channel"
        )
    elif picture.has_transparency_data:
        canvas = PillowImage.new("RGBA", picture.size, "white")
        canvas.alpha_composite(picture.convert("RGBA"))
        rgb = np.array(canvas.convert("RGB"))
    else:
        rgb = np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return np.ascontiguousarray(_turn(rgb, orientation))


def _orientation(picture: PillowImage.Image) -> int:
    """Return EXIF's orientation, 1 to 8; damaged EXIF does not spoil the picture."""
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except DAMAGE:
        return 1
    return found if found in range(1, 9) else 1


def _turn(rgb: Image, orientation: int) -> Image:
    """Apply an EXIF orientation: 2 to 4 flip, 5 to 8 exchange rows and columns too."""
    if orientation > 4:
        rgb = rgb.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    return rgb


def _grey_from_deep(picture: PillowImage.Image) -> NDArray[np.uint8]:
    """Scale grey of more than 8 bits by its true depth, so that white stays white."""
    tags = getattr(picture, "tag_v2", {})
    bits = int(tags.get(_BITS_PER_SAMPLE, (32 if picture.mode == "I" else 16,))[0])
    signed = tags.get(_SAMPLE_FORMAT, (1,))[0] == 2
    values = np.asarray(picture)
    if bits == 32:  # hardly ever used in full: take the depth that its values need
        values = values if signed else values.view(np.uint32)  # Pillow holds it in int32
        bits = next((depth for depth in (8, 16) if values.max() < 2**depth), bits)
    elif signed:
        bits -= 1  # what is below 0 is black
    grey: NDArray[np.float32] = values.astype(np.float32) * np.float32(255 / (2**bits - 1))
    if tags.get(_PHOTOMETRIC) == 0:
        grey = 255 - grey  # the file counts from white
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
