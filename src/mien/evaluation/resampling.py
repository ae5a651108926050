"""Resampling of small grey images: change of size, and rotation about the centre.

A change of size is a product with one matrix per axis, which is kept: thousands of crops of
one size are resampled in the same few ways.

Source:
    Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE Transactions on
    Acoustics, Speech, and Signal Processing, 1981.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import cos, radians, sin
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

__all__ = ["averaged", "cubic", "linear", "warped"]

_Floats: TypeAlias = NDArray[np.float32]
_Image: TypeAlias = NDArray[np.uint8] | NDArray[np.float32]  # (H, W)

_SHARPNESS = -0.75  # of the cubic kernel: its slope at a distance of one pixel


def averaged(image: _Image, height: int, width: int) -> _Floats:
    """Return the image at a smaller size: each pixel is the mean of the area it covers."""
    return _resized(image, _areas, height, width)


def linear(image: _Image, height: int, width: int) -> _Floats:
    """Return the image at a larger size, by bilinear interpolation."""
    return _resized(image, _linear_weights, height, width)


def cubic(image: _Image, height: int, width: int) -> _Floats:
    """Return the image at a larger size, by cubic convolution, which may overshoot."""
    return _resized(image, _cubic_weights, height, width)


def warped(image: _Image, degrees: float, zoom: float, shift: tuple[float, float]) -> _Floats:
    """Return the image rotated and enlarged about its centre, then shifted.

    What comes into view at the edges is mirrored.

    Args:
        degrees: anticlockwise.
        shift: to the right and down, as fractions of the width and the height.
    """
    size = np.array(image.shape)
    centre = (size - 1) / 2
    along, across = cos(radians(degrees)) / zoom, sin(radians(degrees)) / zoom
    to_source = np.array([[along, across], [-across, along]])
    offset = centre - to_source @ (centre + size * shift[::-1])
    found = affine_transform(image, to_source, offset, output=np.float32, order=1, mode="mirror")
    return np.asarray(found, np.float32)


def _resized(
    image: _Image, weights: Callable[[int, int], _Floats], height: int, width: int
) -> _Floats:
    rows, columns = image.shape
    found = weights(height, rows) @ image.astype(np.float32) @ weights(width, columns).T
    return np.asarray(found, np.float32)


@lru_cache(maxsize=256)
def _areas(target: int, source: int) -> _Floats:
    """Return the share of each target pixel, a row, that each source pixel covers."""
    edges = np.arange(target + 1)[:, None] * source / target
    pixel = np.arange(source)
    covered = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
    return np.asarray(covered.clip(0) * target / source, np.float32)


@lru_cache(maxsize=256)
def _linear_weights(target: int, source: int) -> _Floats:
    return _interpolation(target, source, 1, lambda distance: 1 - distance)


@lru_cache(maxsize=256)
def _cubic_weights(target: int, source: int) -> _Floats:
    return _interpolation(target, source, 2, _cubic_kernel)


def _cubic_kernel(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    a, d = _SHARPNESS, distance
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, far)


def _interpolation(
    target: int,
    source: int,
    reach: int,
    kernel: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> _Floats:
    """Return the weight of each source pixel, a column, in each target pixel.

    Args:
        reach: how many source pixels on either side have a weight.
        kernel: from distances in pixels to weights.
    """
    centres = (np.arange(target)[:, None] + 0.5) * source / target - 0.5
    pixels = np.floor(centres).astype(int) + np.arange(1 - reach, reach + 1)
    matrix = np.zeros((target, source))
    # Beyond the edges, the outermost pixel is repeated.
    at = (np.arange(target)[:, None], pixels.clip(0, source - 1))
    np.add.at(matrix, at, kernel(np.abs(pixels - centres)))
    return matrix.astype(np.float32)
