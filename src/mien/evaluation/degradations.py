"""Degradations of face crops: what cameras, light, codecs and hands do to a face.

Each kind has five strengths, in the manner of ImageNet-C. Training draws a strength between
them at random; evaluation takes them as they are, under a fixed seed.

Source:
    Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations", ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from mien.evaluation.resampling import averaged, cubic, linear, warped
from mien.types import Crops

__all__ = ["DEGRADATIONS", "STRENGTHS", "UNREADABLE", "degrade", "degrade_at", "unreadable"]

STRENGTHS = (1, 2, 3, 4, 5)

_Crop = NDArray[np.uint8]  # (H, W)


@dataclass(frozen=True)
class Degradation:
    """One kind.

    Attributes:
        identity: the value that changes nothing.
        values: the values at strengths 1 to 5.
        apply: from a crop (H, W), a value and a generator to a new crop of that shape.
    """

    identity: float
    values: tuple[float, float, float, float, float]
    apply: Callable[[_Crop, float, np.random.Generator], _Crop]

    def value_at(self, strength: float) -> float:
        """Return the value at a strength from 0 to 5, linear between the five."""
        return float(np.interp(strength, range(6), (self.identity, *self.values)))


def degrade(
    crops: Crops, kind: str, strength: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return every crop (N, H, W, 1) degraded in one way.

    Args:
        kind: a key of :data:`DEGRADATIONS`.
        strength: 1 to 5.
    """
    degraded = np.empty_like(crops)
    for target, crop in zip(degraded, crops, strict=True):
        target[..., 0] = degrade_at(crop[..., 0], kind, strength, generator)
    return degraded


def degrade_at(crop: _Crop, kind: str, strength: float, generator: np.random.Generator) -> _Crop:
    """Return one crop (H, W) degraded; ``strength`` from 0, unchanged, to 5."""
    degradation = DEGRADATIONS[kind]
    return degradation.apply(crop, degradation.value_at(strength), generator)


def unreadable(
    kind: str, size_px: int, faces: Crops, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return one crop (size_px, size_px) that shows no expression.

    Args:
        kind: a key of :data:`UNREADABLE`.
        faces: crops (N, H, W, 1) that some kinds destroy.
    """
    face = faces[int(generator.integers(len(faces))), ..., 0]
    return UNREADABLE[kind](size_px, face, generator)


def _rounded(pixels: NDArray[np.floating]) -> _Crop:
    return np.asarray(np.clip(np.rint(pixels), 0, 255), np.uint8)


# --- light ---------------------------------------------------------------------------------


def _dark(crop: _Crop, gain: float, generator: np.random.Generator) -> _Crop:
    return _rounded(crop * np.float32(gain))


def _low_contrast(crop: _Crop, gain: float, generator: np.random.Generator) -> _Crop:
    mean = np.float32(crop.mean())
    # A veil of light or of darkness: the mean moves as the contrast falls.
    level = mean + (1 - gain) * (generator.uniform(40, 215) - mean)
    return _rounded((crop - mean) * np.float32(gain) + np.float32(level))


def _one_sided(crop: _Crop, least: float, generator: np.random.Generator) -> _Crop:
    height, width = crop.shape
    angle = generator.uniform(0, 2 * np.pi)
    rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    across = np.cos(angle) * columns + 0.4 * np.sin(angle) * rows
    share = 1 / (1 + np.exp(-4 * across))
    return _rounded(crop * (least + (1 - least) * share))


# --- sharpness -----------------------------------------------------------------------------


def _blur(crop: _Crop, sigma: float, generator: np.random.Generator) -> _Crop:
    if sigma <= 0:
        return np.array(crop)
    scaled = sigma * crop.shape[0] / 48
    blurred = gaussian_filter(crop, scaled, output=np.float32, mode="mirror", truncate=3)
    return _rounded(blurred)


def _noise(crop: _Crop, sigma: float, generator: np.random.Generator) -> _Crop:
    return _rounded(np.add(crop, generator.normal(0, sigma, crop.shape), dtype=np.float32))


def _jpeg(crop: _Crop, quality: float, generator: np.random.Generator) -> _Crop:
    if quality > 100:
        return np.array(crop)
    code = BytesIO()
    Image.fromarray(crop).save(code, "JPEG", quality=round(quality))
    with Image.open(code) as image:
        return np.array(image)


def _small(crop: _Crop, side: float, generator: np.random.Generator) -> _Crop:
    small = _rounded(averaged(crop, round(side), round(side)))
    return _rounded(linear(small, *crop.shape))


# --- framing -------------------------------------------------------------------------------


def _scale(crop: _Crop, factor: float, generator: np.random.Generator) -> _Crop:
    zoom = factor if generator.random() < 0.5 else 1 / factor
    return _rounded(warped(crop, 0, zoom, (0, 0)))


def _shift(crop: _Crop, distance: float, generator: np.random.Generator) -> _Crop:
    angle = generator.uniform(0, 2 * np.pi)
    shift = (distance * np.cos(angle), distance * np.sin(angle))
    return _rounded(warped(crop, 0, 1, shift))


def _roll(crop: _Crop, degrees: float, generator: np.random.Generator) -> _Crop:
    turn = degrees if generator.random() < 0.5 else -degrees
    return _rounded(warped(crop, turn, 1, (0, 0)))


# --- cover ---------------------------------------------------------------------------------

#: Where mouth and eyes lie in FER2013's frame: top and bottom as fractions of the height.
_MOUTH = (0.60, 1.0)
_EYES = (0.16, 0.50)


def _painted(crop: _Crop, rows: slice, columns: slice, generator: np.random.Generator) -> _Crop:
    """Paint a box over: one grey with a little grain, as of a mask, a hand or glasses."""
    covered = np.array(crop)
    box = covered[rows, columns]
    box[...] = _rounded(generator.uniform(0, 255) + generator.normal(0, 6, box.shape))
    return covered


def _band(
    crop: _Crop, band: tuple[float, float], share: float, generator: np.random.Generator
) -> _Crop:
    height, width = crop.shape
    top, bottom = (round(edge * height) for edge in band)
    cover = round(share * width)
    left = int(generator.integers(0, width - cover + 1))
    return _painted(crop, slice(top, bottom), slice(left, left + cover), generator)


def _mouth(crop: _Crop, share: float, generator: np.random.Generator) -> _Crop:
    return _band(crop, _MOUTH, share, generator)


def _eyes(crop: _Crop, share: float, generator: np.random.Generator) -> _Crop:
    return _band(crop, _EYES, share, generator)


def _half(crop: _Crop, share: float, generator: np.random.Generator) -> _Crop:
    width = crop.shape[1]
    cover = round(share * width)
    columns = slice(0, cover) if generator.random() < 0.5 else slice(width - cover, width)
    return _painted(crop, slice(None), columns, generator)


#: Every kind; values in 8-bit levels, pixels of 48, degrees and fractions of the side.
DEGRADATIONS: dict[str, Degradation] = {
    "dark": Degradation(1.0, (0.5, 0.3, 0.15, 0.08, 0.05), _dark),
    "bright": Degradation(1.0, (1.3, 1.6, 2.0, 2.5, 3.0), _dark),
    "low_contrast": Degradation(1.0, (0.5, 0.3, 0.2, 0.12, 0.07), _low_contrast),
    "one_sided": Degradation(1.0, (0.6, 0.4, 0.25, 0.12, 0.05), _one_sided),
    "blur": Degradation(0.0, (0.6, 0.9, 1.3, 2.0, 3.0), _blur),
    "noise": Degradation(0.0, (8.0, 16.0, 25.0, 40.0, 60.0), _noise),
    "jpeg": Degradation(101.0, (40.0, 20.0, 12.0, 7.0, 4.0), _jpeg),
    "small": Degradation(48.0, (32.0, 24.0, 16.0, 10.0, 6.0), _small),
    "scale": Degradation(1.0, (1.05, 1.1, 1.15, 1.2, 1.25), _scale),
    "shift": Degradation(0.0, (0.03, 0.05, 0.08, 0.11, 0.15), _shift),
    "roll": Degradation(0.0, (6.0, 12.0, 18.0, 24.0, 30.0), _roll),
    "mouth": Degradation(0.0, (0.3, 0.5, 0.7, 0.85, 1.0), _mouth),
    "eyes": Degradation(0.0, (0.3, 0.5, 0.7, 0.85, 1.0), _eyes),
    "half": Degradation(0.0, (0.1, 0.2, 0.3, 0.4, 0.5), _half),
}


# --- crops that show no expression -----------------------------------------------------------


def _black(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    return generator.integers(0, 4, (size, size), np.uint8)


def _flat(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    return _rounded(generator.uniform(0, 255) + generator.normal(0, 1.5, (size, size)))


def _white_noise(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    spread = generator.uniform(15, 90)
    return _rounded(generator.uniform(40, 215) + generator.normal(0, spread, (size, size)))


def _texture(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    """Smooth noise of several scales, as bark, cloth, foliage and walls have."""
    pixels = np.zeros((size, size), np.float32)
    for cells in (3, 6, 12, 24):
        coarse = generator.normal(0, generator.uniform(0, 1), (cells, cells)).astype(np.float32)
        pixels += cubic(coarse, size, size)
    return _rounded(128 + pixels / max(float(pixels.std()), 1e-3) * generator.uniform(10, 60))


def _stripes(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    """Lines or tiles, as of blinds, bricks and keyboards."""
    angle, waves = generator.uniform(0, np.pi), generator.uniform(1, 12, 2)
    rows, columns = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    along = np.cos(angle) * columns + np.sin(angle) * rows
    across = np.cos(angle) * rows - np.sin(angle) * columns
    pattern = np.sin(2 * np.pi * (waves[0] * along + generator.random()))
    if generator.random() < 0.5:
        pattern = pattern * np.sin(2 * np.pi * (waves[1] * across + generator.random()))
    if generator.random() < 0.5:
        pattern = np.sign(pattern)
    level, depth = generator.uniform(60, 195), generator.uniform(10, 90)
    return _rounded(level + depth * pattern + generator.normal(0, 4, (size, size)))


def _too_dark(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    return _rounded(face * generator.uniform(0, 0.012))


def _too_small(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    return _small(face, float(generator.integers(2, 4)), generator)


def _scrambled(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    """A face cut into tiles that change places."""
    side = int(generator.choice([6, 8, 12]))
    count = size // side
    tiles = face.reshape(count, side, count, side).swapaxes(1, 2).reshape(-1, side, side)
    mixed = tiles[generator.permutation(len(tiles))]
    return np.block([list(row) for row in mixed.reshape(count, count, side, side)])


def _skin(size: int, face: _Crop, generator: np.random.Generator) -> _Crop:
    """A patch of a face too close to show what it is part of."""
    side = int(generator.integers(4, 8))
    top, left = generator.integers(0, np.array(face.shape) - side)
    patch = face[top : top + side, left : left + side]
    return _rounded(cubic(patch, size, size))


#: Every kind of crop without an expression, from a size, a face and a generator.
UNREADABLE: dict[str, Callable[[int, _Crop, np.random.Generator], _Crop]] = {
    "black": _black,
    "flat": _flat,
    "noise": _white_noise,
    "texture": _texture,
    "stripes": _stripes,
    "too_dark": _too_dark,
    "too_small": _too_small,
    "scrambled": _scrambled,
    "skin": _skin,
}
