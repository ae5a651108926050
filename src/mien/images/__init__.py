"""Bytes, files and arrays in, upright RGB out, within limits.

    picture = open_picture("photo.jpg", needs_px=960)
    picture.pixels             # RGB uint8, perhaps at a half, a quarter or an eighth
    picture.size_hw            # of the file in full: every coordinate refers to it

The content decides the format, never the file's name. The header is checked against the limits
before any pixel is decoded, so that a small file cannot expand to fill the memory.
"""

from __future__ import annotations

import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as PillowImage
from PIL.ImageFile import ImageFile

from mien.errors import BrokenImage, ImageError, ImageTooLarge, InputError, UnsupportedImage
from mien.images.formats import FORMATS, WEB_FORMATS, describe, sniff
from mien.images.pixels import DAMAGE, to_rgb
from mien.types import Image

__all__ = [
    "FORMATS",
    "IMAGE_ENDINGS",
    "WEB_FORMATS",
    "ImageLimits",
    "Picture",
    "Source",
    "decode",
    "encode",
    "find_images",
    "open_picture",
    "probe",
    "read",
]

#: An image in any of the forms in which programs hold one; see :func:`open_picture`.
Source: TypeAlias = (
    bytes | bytearray | memoryview | str | os.PathLike[str] | NDArray[np.uint8] | PillowImage.Image
)

#: The file endings, in lower case, by which :func:`find_images` knows a picture.
IMAGE_ENDINGS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest image that is read; all bounds are inclusive.

    Attributes:
        max_bytes: of the encoded image.
        max_pixels: width times height. The default is a quarter of a GiB of RGB.
        max_side_px: of width and height. The default is the longest that JPEG can hold.
        formats: the formats that are read, a part of :data:`FORMATS`.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 1024**3 // 4 // 3
    max_side_px: int = 65_500
    formats: tuple[str, ...] = FORMATS


_DEFAULT_LIMITS = ImageLimits()

# Pillow's own `open` warns or raises by a process-wide size limit, and asks plugins in turn;
# the plugin classes are called instead. A multi-picture JPEG is read as its first picture.
_READERS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}


def decode(data: bytes, limits: ImageLimits = _DEFAULT_LIMITS) -> Image:
    """Decode an encoded image.

    The EXIF orientation is applied, transparency is laid on white, an animation gives its
    first frame, 16 bits per channel are scaled to 8.

    Returns:
        RGB, uint8, (H, W, 3), C-contiguous, its own memory.

    Raises:
        UnsupportedImage: not a format that is read.
        BrokenImage: truncated or damaged.
        ImageTooLarge: beyond the limits; found before any pixel is decoded.
    """
    return _decode(data, None, limits).pixels


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """Upright pixels as they were decoded, and the size that every coordinate refers to.

    Attributes:
        pixels: RGB uint8 (H, W, 3); perhaps a half, a quarter or an eighth of the file's
            resolution.
        size_hw: height and width of the upright image in full.
    """

    pixels: Image
    size_hw: tuple[int, int]

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Pixels of the full image for each decoded one, along x and y; 1.0 if not reduced."""
        height, width = self.pixels.shape[:2]
        return self.size_hw[1] / width, self.size_hw[0] / height


def open_picture(
    source: Source, *, needs_px: int | None = None, limits: ImageLimits = _DEFAULT_LIMITS
) -> Picture:
    """Open an image in any of the forms in which programs hold one.

    Encoded images are turned upright by their EXIF orientation; transparency is laid on white;
    an animation gives its first frame; 16 bits per channel are scaled to 8.

    Args:
        source: encoded bytes, a path, a Pillow image, or a uint8 array: RGB (H, W, 3),
            RGBA (H, W, 4) or grey (H, W). An array must be RGB already: OpenCV's BGR is
            not detected. An array of that form is not copied.
        needs_px: the shorter side that is needed. A JPEG of at least twice that is decoded at
            a half, a quarter or an eighth, which takes a fraction of time and memory: its
            decoder leaves out what is not needed. Other formats, arrays and Pillow images come
            in full. ``None``: everything comes in full.
        limits: for bytes and paths; they apply to the full size.

    Raises:
        InputError: another type, or an array of another shape or dtype.
        ImageError: the file or its content cannot be read; a path's message begins with it.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(bytes(source), needs_px, limits)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        data = _content(path, limits)
        with _naming(path):
            return _decode(data, needs_px, limits)
    image = _from_memory(source)
    return Picture(image, (image.shape[0], image.shape[1]))


def _decode(data: bytes, needs_px: int | None, limits: ImageLimits) -> Picture:
    with _opened(data, limits) as picture:
        height, width = picture.height, picture.width
        fraction = 1.0 if needs_px is None else needs_px / min(height, width)
        if picture.format == "JPEG" and fraction <= 1 / 2:
            picture.draft(None, (math.ceil(width * fraction), math.ceil(height * fraction)))
        reduced_wh = picture.size
        pixels = to_rgb(picture)
    upright = pixels.shape[:2] == reduced_wh[::-1]
    return Picture(pixels, (height, width) if upright else (width, height))


def probe(data: bytes, limits: ImageLimits = _DEFAULT_LIMITS) -> tuple[int, int]:
    """Return height and width in pixels, as the header has them: before any EXIF turn.

    Raises:
        ImageError: as :func:`decode`, as far as the header shows it.
    """
    with _opened(data, limits) as picture:
        return picture.height, picture.width


@contextmanager
def _opened(data: bytes, limits: ImageLimits) -> Iterator[ImageFile]:
    """Open an image whose header is within the limits; what goes wrong inside is told too."""
    if len(data) == 0:
        raise BrokenImage("the image has 0 bytes: expected an encoded image, send it again")
    _check_bytes(len(data), limits)
    name = sniff(data)
    if name not in limits.formats:
        formats = ", ".join(limits.formats)
        rest = ": convert it first" if name else ""
        raise UnsupportedImage(f"{describe(data, name)}; expected {formats}{rest}")
    try:
        picture = _READERS[name](io.BytesIO(data))
        _check_size(picture.size, limits)
        with picture:
            yield picture
    except PillowImage.DecompressionBombError as error:
        raise ImageTooLarge(f"this {name} needs too much memory to decode: {error}") from None
    except DAMAGE as error:
        raise BrokenImage(
            f"this {name} is truncated or damaged ({error}): export or send it again"
        ) from None


def read(path: Path, limits: ImageLimits = _DEFAULT_LIMITS) -> Image:
    """Read an image file in full; see :func:`decode` for what is returned.

    Raises:
        ImageError: there is no such file or it cannot be read, and what :func:`decode`
            raises, with the path in front of the message.
    """
    return open_picture(path, limits=limits).pixels


def _content(path: Path, limits: ImageLimits) -> bytes:
    """Return a file's bytes, if they are not too many."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise ImageError(f"{path} is {kind}: expected an image file")
        with _naming(path):
            _check_bytes(status.st_size, limits)
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be opened: {reason}") from None


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the path in front of what is said about its content."""
    try:
        yield
    except ImageError as error:
        raise type(error)(f"{path}: {error}") from None


def _from_memory(source: object) -> Image:
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, PillowImage.Image):
        try:
            return to_rgb(source)
        except DAMAGE as error:
            raise ImageError(f"this Pillow image cannot be read: {error}") from None
    raise InputError(
        "an image must be bytes, a path, a uint8 array or a Pillow image, "
        f"not {type(source).__name__}"
    )


def encode(image: Image, file_format: Literal["jpeg", "png"] = "jpeg", quality: int = 90) -> bytes:
    """Encode an RGB image.

    Args:
        image: RGB, uint8, (H, W, 3).
        file_format: ``"jpeg"`` or ``"png"``.
        quality: 1 to 95, for JPEG only.

    Raises:
        InputError: the image is not as it should be, or too long for a JPEG.
    """
    picture = PillowImage.fromarray(_from_array(image))
    buffer = io.BytesIO()
    if file_format == "png":
        picture.save(buffer, "PNG")
    elif max(picture.size) > _DEFAULT_LIMITS.max_side_px:
        raise InputError(
            f"a JPEG holds at most {_DEFAULT_LIMITS.max_side_px} pixels a side, this image is "
            f"{picture.width} x {picture.height}: write a PNG"
        )
    else:
        picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def find_images(folder: Path) -> list[Path]:
    """List the image files below a folder, by their endings, sorted by path.

    Names that begin with a dot are left out; links to folders are not followed.

    Raises:
        InputError: there is no such folder, or one below it cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be listed as a folder: {error.strerror}")

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_ENDINGS
        ]
    return sorted(found)


def _check_bytes(size: int, limits: ImageLimits) -> None:
    if size > limits.max_bytes:
        raise ImageTooLarge(
            f"the image has {size:,} bytes, at most {limits.max_bytes:,} are read: "
            "make it smaller first"
        )


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if max(size) > limits.max_side_px or width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"the image is {width} x {height} pixels, at most {limits.max_pixels:,} pixels "
            f"and {limits.max_side_px:,} a side are read: make it smaller first"
        )


def _from_array(array: NDArray[np.uint8]) -> Image:
    shape_fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not shape_fits or array.size == 0:
        raise InputError(
            "an image array must be uint8 of shape (H, W, 3) in RGB, (H, W, 4) or (H, W), "
            f"with at least one pixel; received {array.dtype} of shape {array.shape}"
        )
    if array.ndim == 2:
        return np.repeat(array[..., None], 3, axis=2)
    if array.shape[2] == 4:
        return to_rgb(PillowImage.fromarray(np.ascontiguousarray(array)))
    return np.ascontiguousarray(array)
