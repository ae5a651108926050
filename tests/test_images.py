from __future__ import annotations

import dataclasses
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from mien import images
from mien.errors import BrokenImage, ImageError, ImageTooLarge, InputError, UnsupportedImage
from mien.images import FORMATS, WEB_FORMATS, ImageLimits

# Every corner differs, and a turned or mirrored copy cannot be mistaken for the original.
CORNERS = np.zeros((16, 24, 3), np.uint8)
CORNERS[:8, :12], CORNERS[:8, 12:], CORNERS[8:, :12] = (255, 0, 0), (0, 255, 0), (0, 0, 255)

RAMP = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (20, 1))


def encoded(picture: PillowImage.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(array: np.ndarray, **options: Any) -> bytes:
    return encoded(PillowImage.fromarray(array), "PNG", **options)


def assert_image(image: np.ndarray, hw: tuple[int, int]) -> None:
    assert image.shape == (*hw, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable


# What cannot be read


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", BrokenImage, "0 bytes"),
        (b"\0", UnsupportedImage, "this is not an image; expected JPEG"),
        (b"hello, this is plain text", UnsupportedImage, "this is not an image"),
        (b"<!DOCTYPE html><html></html>", UnsupportedImage, "HTML"),
        (b"\n  <svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedImage, "SVG"),
        (b"%PDF-1.7 ...", UnsupportedImage, "PDF"),
        (b"PK\x03\x04 ...", UnsupportedImage, "ZIP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", UnsupportedImage, "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", UnsupportedImage, "AVIF"),
        (b"\xff\xd8\xff", BrokenImage, "JPEG"),
        (b"\x89PNG\r\n\x1a\n", BrokenImage, "PNG"),
        (b"GIF89a", BrokenImage, "GIF"),
        (b"BM", BrokenImage, "BMP"),
        (b"II*\0", BrokenImage, "TIFF"),
        (b"RIFF\0\0\0\0WEBP", BrokenImage, "WebP"),
        (encoded(PillowImage.new("F", (4, 4)), "TIFF"), UnsupportedImage, "mode F"),
        (encoded(PillowImage.new("LAB", (4, 4)), "TIFF"), UnsupportedImage, "mode LAB"),
    ],
)
def test_unreadable_bytes_say_why(data: bytes, error: type[ImageError], says: str) -> None:
    with pytest.raises(error, match=says):
        images.decode(data)


@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file_is_broken(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(PillowImage.fromarray(noise), name)
    with pytest.raises(BrokenImage, match=name):
        images.decode(data[: len(data) // 2])


def test_a_format_that_is_not_allowed_is_named() -> None:
    limits = ImageLimits(formats=WEB_FORMATS)
    for name in FORMATS:
        data = encoded(PillowImage.fromarray(CORNERS), name)
        if name in WEB_FORMATS:
            assert_image(images.decode(data, limits), (16, 24))
        else:
            with pytest.raises(UnsupportedImage, match=f"{name}; expected JPEG, PNG, WebP, BMP"):
                images.decode(data, limits)


# Limits


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (ImageLimits(max_pixels=16 * 24), False),
        (ImageLimits(max_pixels=16 * 24 - 1), True),
        (ImageLimits(max_side_px=24), False),
        (ImageLimits(max_side_px=23), True),
        (ImageLimits(max_bytes=len(png(CORNERS))), False),
        (ImageLimits(max_bytes=len(png(CORNERS)) - 1), True),
    ],
)
def test_limits_are_inclusive(limits: ImageLimits, refused: bool) -> None:
    if refused:
        with pytest.raises(ImageTooLarge, match="make it smaller"):
            images.decode(png(CORNERS), limits)
    else:
        assert_image(images.decode(png(CORNERS), limits), (16, 24))


def test_a_hundred_megapixels_are_refused_by_default() -> None:
    assert ImageLimits().max_pixels < 100_000_000
    with pytest.raises(dataclasses.FrozenInstanceError):
        ImageLimits().max_pixels = 1  # type: ignore[misc]


def claim_png(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\r"
        + header
        + struct.pack(">II4s12x", zlib.crc32(header), 8, b"IDAT")
    )


def claim_jpeg(width: int, height: int) -> bytes:
    data = encoded(PillowImage.fromarray(CORNERS), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def claim_gif(width: int, height: int) -> bytes:
    data = encoded(PillowImage.fromarray(CORNERS), "GIF")
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def claim_bmp(width: int, height: int) -> bytes:
    data = encoded(PillowImage.fromarray(CORNERS), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def claim_webp(width: int, height: int) -> bytes:
    data = encoded(PillowImage.fromarray(CORNERS), "WebP", exif=PillowImage.Exif().tobytes())
    assert data[12:16] == b"VP8X"
    sides = [struct.pack("<I", side - 1)[:3] for side in (width, height)]
    return data[:24] + b"".join(sides) + data[30:]


def claim_tiff(width: int, height: int) -> bytes:
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, 16)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


CLAIMS = [claim_png, claim_jpeg, claim_gif, claim_bmp, claim_tiff, claim_webp]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_small_file_that_claims_to_be_huge_is_refused_before_it_is_decoded(
    claim: Callable[[int, int], bytes],
) -> None:
    width, height = (16_000, 16_000) if claim is claim_webp else (30_000, 30_000)
    with pytest.raises(ImageTooLarge):
        images.decode(claim(width, height))


def test_limits_above_pillows_own_do_not_warn() -> None:
    large = PillowImage.new("1", (12_000, 8_000))
    limits = ImageLimits(max_pixels=100_000_000)
    assert images.decode(encoded(large, "PNG"), limits).shape == (8_000, 12_000, 3)


def test_a_probe_tells_height_and_width_and_refuses_as_decoding_does() -> None:
    with pytest.raises(BrokenImage, match="0 bytes"):
        images.probe(b"")
    with pytest.raises(UnsupportedImage):
        images.probe(b"hello, this is plain text")
    with pytest.raises(ImageTooLarge):
        images.probe(claim_png(30_000, 30_000))
    assert images.probe(claim_png(300, 200)) == (200, 300)


# What is read


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_by_its_content(name: str) -> None:
    image = images.decode(encoded(PillowImage.fromarray(RAMP).convert("RGB"), name))
    assert_image(image, RAMP.shape)
    assert np.abs(image[..., 0].astype(int) - RAMP).max() <= 8


def test_one_pixel_is_an_image() -> None:
    assert_image(images.decode(png(np.full((1, 1, 3), 7, np.uint8))), (1, 1))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("1", "PNG"),
        ("L", "JPEG"),
        ("L", "TIFF"),
        ("LA", "PNG"),
        ("LA", "TIFF"),
        ("P", "GIF"),
        ("P", "PNG"),
        ("P", "BMP"),
        ("RGBA", "WebP"),
        ("RGBA", "TIFF"),
        ("RGBA", "BMP"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "JPEG"),
        ("YCbCr", "TIFF"),
        ("I", "TIFF"),
    ],
)
def test_every_mode_keeps_its_greys(mode: str, name: str) -> None:
    black_left = np.repeat([[0, 255]], 16, axis=1).repeat(16, axis=0).astype(np.uint8)
    data = encoded(PillowImage.fromarray(black_left).convert(mode), name)
    image = images.decode(data)
    assert_image(image, (16, 32))
    assert image[:, :12].max() <= 4
    assert image[:, 20:].min() >= 251


def test_colours_survive_cmyk_with_adobes_inversion() -> None:
    data = encoded(PillowImage.fromarray(CORNERS).convert("CMYK"), "JPEG", quality=100)
    assert b"Adobe" in data
    assert np.abs(images.decode(data)[4, 4].astype(int) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize(
    "picture",
    [
        PillowImage.new("RGBA", (4, 4), (200, 0, 0, 0)),
        PillowImage.new("LA", (4, 4), (0, 0)),
    ],
)
def test_what_is_transparent_becomes_white(picture: PillowImage.Image) -> None:
    assert (images.decode(encoded(picture, "PNG")) == 255).all()
    assert (images.open_picture(picture).pixels == 255).all()


@pytest.mark.parametrize("transparency", [0, b"\0"])
def test_a_transparent_palette_colour_becomes_white(transparency: int | bytes) -> None:
    picture = PillowImage.new("P", (2, 1))
    picture.putpalette([9, 9, 9, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    image = images.decode(encoded(picture, "PNG", transparency=transparency))
    assert image.tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_half_transparent_is_half_way_to_white() -> None:
    image = images.open_picture(np.full((1, 1, 4), (0, 0, 0, 128), np.uint8)).pixels
    assert image.tolist() == [[[127, 127, 127]]]


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bits_are_scaled_not_clipped(name: str, order: str) -> None:
    deep = PillowImage.fromarray((RAMP.astype(np.uint16) * 257).astype(order))
    for image in (images.decode(encoded(deep, name)), images.open_picture(deep).pixels):
        assert_image(image, RAMP.shape)
        assert (image == RAMP[..., None]).all()


def deep_tiff(
    values: np.ndarray, bits: int, sample_format: int, photometric: int, width: int | None = None
) -> bytes:
    pixels = values.tobytes()
    tags = [(256, 4, width or values.shape[1]), (257, 4, 1), (258, 3, bits), (259, 3, 1)]
    tags += [(262, 3, photometric), (273, 4, 8), (277, 3, 1), (278, 4, 1)]
    tags += [(279, 4, len(pixels)), (339, 3, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    start = struct.pack("<4sI", b"II*\0", 8 + len(pixels)) + pixels
    return start + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("data", "greys"),
    [
        (deep_tiff(np.array([[0, 65535]], "<u2"), 16, 1, 1), [0, 255]),
        (deep_tiff(np.array([[0, 65535]], "<u2"), 16, 1, 0), [255, 0]),
        (deep_tiff(np.array([[-5, 0, 32767]], "<i2"), 16, 2, 1), [0, 0, 255]),
        (deep_tiff(np.array([[0, 2**32 - 1]], "<u4"), 32, 1, 1), [0, 255]),
        (deep_tiff(np.array([[0, 65535]], "<u4"), 32, 1, 1), [0, 255]),
        (deep_tiff(np.array([[-9, 255]], "<i4"), 32, 2, 1), [0, 255]),
        (deep_tiff(np.array([[0x00, 0x0F, 0xFF]], "u1"), 12, 1, 1, width=2), [0, 255]),
    ],
    ids=["16", "16 from white", "16 signed", "32", "32 holding 16", "32 signed holding 8", "12"],
)
def test_deep_grey_is_scaled_by_its_true_depth(data: bytes, greys: list[int]) -> None:
    assert images.decode(data)[0, :, 0].tolist() == greys


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda stored: stored),
        (2, lambda stored: stored[:, ::-1]),
        (3, lambda stored: stored[::-1, ::-1]),
        (4, lambda stored: stored[::-1]),
        (5, lambda stored: stored.transpose(1, 0, 2)),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: stored[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda stored: np.rot90(stored, 1)),
        (0, lambda stored: stored),
        (9, lambda stored: stored),
    ],
)
def test_exif_orientation(name: str, orientation: int, upright: Callable[..., Any]) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "WebP" else {}
    data = encoded(PillowImage.fromarray(CORNERS), name, exif=exif.tobytes(), **options)
    image = images.decode(data)
    expected = upright(CORNERS)
    assert_image(image, expected.shape[:2])
    assert np.abs(image.astype(int) - expected)[::5, ::5].max() < 30


def test_damaged_exif_does_not_spoil_the_picture() -> None:
    data = encoded(PillowImage.fromarray(CORNERS), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert (images.decode(data) == CORNERS).all()


@pytest.mark.parametrize("name", ["GIF", "PNG", "WebP", "TIFF"])
def test_an_animation_gives_its_first_frame(name: str) -> None:
    frames = [PillowImage.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if name == "WebP" else {}
    data = encoded(frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert images.decode(data)[4, 4].tolist() == [255, 0, 0]


# In less detail


def a_photo(width: int, height: int, file_format: str = "JPEG", **options: Any) -> bytes:
    """Make a smooth picture whose corners differ."""
    corners = PillowImage.fromarray(CORNERS)
    return encoded(corners.resize((width, height)), file_format, **options)


@pytest.mark.parametrize(
    ("width", "height", "shorter_px", "reduced_hw"),
    [
        (1, 1, 1, (1, 1)),
        (640, 480, 480, (480, 640)),
        (640, 480, 241, (480, 640)),
        (640, 480, 240, (240, 320)),
        (640, 480, 100, (120, 160)),
        (480, 640, 100, (160, 120)),
        (641, 483, 240, (242, 321)),
        (641, 483, 1, (61, 81)),
        (3, 3000, 1, (1500, 2)),
    ],
)
def test_a_large_jpeg_is_reduced_as_far_as_allowed(
    width: int, height: int, shorter_px: int, reduced_hw: tuple[int, int]
) -> None:
    reduced = images.open_picture(a_photo(width, height), needs_px=shorter_px)

    assert_image(reduced.pixels, reduced_hw)
    assert reduced.size_hw == (height, width)
    assert min(reduced_hw) >= shorter_px


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_photo_is_upright_and_so_is_its_full_size(orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    data = a_photo(640, 480, exif=exif.tobytes())

    full, reduced = images.decode(data), images.open_picture(data, needs_px=240)

    assert reduced.size_hw == full.shape[:2]
    assert reduced.scale_xy == (2, 2)
    small = PillowImage.fromarray(full).resize(
        reduced.pixels.shape[1::-1], PillowImage.Resampling.BOX
    )
    assert np.abs(np.asarray(small).astype(int) - reduced.pixels).mean() < 2


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"JPEG"}))
def test_other_formats_come_in_full(name: str) -> None:
    data = a_photo(64, 48, name)

    picture = images.open_picture(data, needs_px=6)

    assert picture.size_hw == (48, 64)
    assert np.array_equal(picture.pixels, images.decode(data))


def test_modes_of_jpeg_are_reduced_to_rgb() -> None:
    for mode in ("L", "CMYK"):
        data = encoded(PillowImage.new(mode, (64, 48)), "JPEG")
        assert_image(images.open_picture(data, needs_px=24).pixels, (24, 32))


def test_limits_are_those_of_the_full_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(a_photo(64, 48))

    assert images.open_picture(path, needs_px=24).pixels.shape == (24, 32, 3)
    with pytest.raises(ImageTooLarge, match=r"a\.jpg: the image is 64 x 48 pixels"):
        images.open_picture(path, needs_px=24, limits=ImageLimits(max_side_px=63))
    with pytest.raises(ImageError, match="there is no such file"):
        images.open_picture(tmp_path / "b.jpg", needs_px=24)


# Hostile bytes

SEEDS = [
    encoded(PillowImage.fromarray(CORNERS), name, **options)
    for name, options in [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01"}),
        ("PNG", {}),
        ("WebP", {}),
        ("WebP", {"lossless": True}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}),
    ]
] + [
    encoded(PillowImage.fromarray(CORNERS).convert("P"), "PNG", transparency=0),
    encoded(PillowImage.fromarray(RAMP.astype(np.uint16) * 257), "PNG"),
    encoded(PillowImage.fromarray(CORNERS).convert("CMYK"), "TIFF"),
]

FUZZ_LIMITS = ImageLimits(max_pixels=1_000_000)


def assert_reads_or_refuses(data: bytes) -> None:
    try:
        image = images.decode(data, FUZZ_LIMITS)
    except ImageError as error:
        assert str(error)  # noqa: PT017  (any message will do; none must not)
    else:
        assert_image(image, image.shape[:2])


@pytest.mark.parametrize("seed", range(len(SEEDS)))
def test_damaged_bytes_give_an_image_or_an_image_error(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for _ in range(150):
        data = bytearray(SEEDS[seed])
        for position in generator.integers(0, len(data), generator.integers(1, 6)):
            data[position] = generator.choice([0, 1, 127, 128, 255, generator.integers(256)])
        if generator.random() < 0.3:
            start, length = generator.integers(0, len(data), 2)
            del data[start : start + length // 4]
        assert_reads_or_refuses(bytes(data))


@given(st.sampled_from(SEEDS), st.integers(0, 40), st.binary(max_size=200))
def test_arbitrary_bytes_after_a_true_start(seed: bytes, kept: int, rest: bytes) -> None:
    assert_reads_or_refuses(seed[:kept] + rest)


# Other forms


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((0, 4, 3), np.uint8), "(0, 4, 3)"),
        (np.zeros(4, np.uint8), "(4,)"),
        (np.zeros((4, 4, 2), np.uint8), "(4, 4, 2)"),
        (np.zeros((1, 4, 4, 3), np.uint8), "(1, 4, 4, 3)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.zeros((4, 4), bool), "bool"),
    ],
)
def test_other_arrays_are_refused_with_their_shape(array: np.ndarray, says: str) -> None:
    with pytest.raises(InputError) as caught:
        images.open_picture(array)
    assert says in str(caught.value)


def test_arrays_of_rgb_grey_and_rgba_are_taken() -> None:
    assert images.open_picture(CORNERS).pixels is CORNERS
    assert_image(images.open_picture(CORNERS[:, ::-1]).pixels, (16, 24))
    assert_image(images.open_picture(RAMP).pixels, RAMP.shape)
    opaque = np.dstack([CORNERS, np.full((16, 24), 255, np.uint8)])
    assert (images.open_picture(opaque).pixels == CORNERS).all()


@pytest.mark.parametrize("source", [None, 3, [1, 2], object()])
def test_other_types_are_refused(source: Any) -> None:
    with pytest.raises(InputError, match=type(source).__name__):
        images.open_picture(source)


def test_bytes_paths_and_pillow_images_are_taken(tmp_path: Path) -> None:
    data, path = png(CORNERS), tmp_path / "a.jpg"  # the name lies, the content counts
    path.write_bytes(data)
    opened = PillowImage.open(path)
    for source in (data, bytearray(data), memoryview(data), path, str(path), opened):
        assert (images.open_picture(source).pixels == CORNERS).all()


def test_a_pillow_image_that_cannot_be_decoded_is_an_image_error() -> None:
    with pytest.raises(ImageError):
        images.open_picture(PillowImage.open(io.BytesIO(png(CORNERS)[:-30])))


# Files


def test_a_file_of_0_bytes_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    with pytest.raises(BrokenImage, match=r"empty\.jpg.*0 bytes"):
        images.read(path)


@pytest.mark.parametrize(
    ("name", "says"),
    [("missing.jpg", "no such file"), (".", "a folder"), ("a\0b", "null"), ("x" * 300, "long")],
)
def test_paths_that_hold_no_file_say_so(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        images.read(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(png(CORNERS))
    path.chmod(0)
    with pytest.raises(ImageError, match="cannot be opened"):
        images.read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with pytest.raises(ImageError, match="not a regular file"):
        images.read(path)


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(ImageLimits().max_bytes + 1)
    with pytest.raises(ImageTooLarge, match=r"large\.png"):
        images.read(path)


def test_a_broken_file_keeps_its_error_and_gains_its_name(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("not a picture")
    with pytest.raises(UnsupportedImage, match=r"note\.txt"):
        images.read(path)


def test_no_folder_to_search_is_an_input_error(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="cannot be listed"):
            images.find_images(path)


def test_images_are_found_by_ending_in_sorted_order(tmp_path: Path) -> None:
    assert images.find_images(tmp_path) == []
    names = ["b.JPG", "a.png", "sub/c.TiFf", "sub/d.webp", "note.txt", ".hidden.png", ".git/e.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in images.find_images(tmp_path)]
    assert found == ["a.png", "b.JPG", "sub/c.TiFf", "sub/d.webp"]


# Encoding


def test_an_array_that_is_no_image_is_not_encoded() -> None:
    with pytest.raises(InputError):
        images.encode(np.zeros((0, 0, 3), np.uint8), "png")


def test_png_is_lossless_and_jpeg_nearly(astronaut: np.ndarray) -> None:
    assert (images.decode(images.encode(astronaut, "png")) == astronaut).all()
    again = images.decode(images.encode(astronaut, "jpeg", 95))
    assert np.abs(again.astype(int) - astronaut).mean() < 3
    small, large = (images.encode(astronaut, "jpeg", quality) for quality in (40, 95))
    assert len(small) < len(large)


def test_what_is_too_long_for_a_jpeg_is_said() -> None:
    with pytest.raises(InputError, match="PNG"):
        images.encode(np.zeros((1, 70_000, 3), np.uint8), "jpeg")
