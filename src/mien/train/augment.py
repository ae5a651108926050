"""Augmentation: pure functions from a batch of crops to a batch of crops.

Every function takes uint8 (N, 48, 48, 1) and a numpy ``Generator``, and returns a new
array; the same generator state gives the same pictures. :func:`moved` alone draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Crops

__all__ = ["Augmentation", "augment", "contact_sheet", "erase", "moved", "relight", "warp"]

_Pixels = TypeVar("_Pixels", NDArray[np.uint8], NDArray[np.float32])


@dataclass(frozen=True)
class Augmentation:
    """How far each change may go; the defaults are the reference document's.

    Attributes:
        rotation_range: degrees to either side.
        width_shift_range: part of the width, to either side.
        height_shift_range: part of the height, to either side.
        shear_range: tangent of the shear angle, to either side.
        zoom_range: 0.1 means 0.9 to 1.1 times, each axis alike.
        horizontal_flip: probability of a mirrored picture.
        brightness_range: added, as a part of 255, to either side.
        contrast_range: 0.25 means 0.75 to 1.25 times the distance from the mean.
        erasing: probability that a box is painted over with grey noise.
        erasing_area: largest part of the picture that the box covers.
    """

    rotation_range: float = 10.0
    width_shift_range: float = 0.1
    height_shift_range: float = 0.1
    shear_range: float = 0.1
    zoom_range: float = 0.1
    horizontal_flip: float = 0.5
    brightness_range: float = 0.0
    contrast_range: float = 0.0
    erasing: float = 0.0
    erasing_area: float = 0.2


def augment(
    crops: Crops, how: Augmentation, generator: np.random.Generator, size_px: int | None = None
) -> NDArray[np.uint8]:
    """Apply every change of ``how`` at random, and scale to ``size_px`` in the same step.

    Args:
        crops: uint8 (N, H, W, 1).
        size_px: side of the pictures returned; the crops' own if ``None``.

    Returns:
        uint8 (N, size_px, size_px, 1).
    """
    warped = warp(crops, how, generator, size_px or crops.shape[1])
    relit = relight(warped, how.brightness_range, how.contrast_range, generator)
    return erase(relit, how.erasing, how.erasing_area, generator)


def warp(
    crops: Crops, how: Augmentation, generator: np.random.Generator, size_px: int
) -> NDArray[np.uint8]:
    """Rotate, shift, shear, zoom and flip in one bilinear step; borders are mirrored."""
    count, height, width = crops.shape[:3]
    angle = np.deg2rad(generator.uniform(-how.rotation_range, how.rotation_range, count))
    shift_x = generator.uniform(-how.width_shift_range, how.width_shift_range, count) * width
    shift_y = generator.uniform(-how.height_shift_range, how.height_shift_range, count) * height
    shear = generator.uniform(-how.shear_range, how.shear_range, count)
    zoom = generator.uniform(1 - how.zoom_range, 1 + how.zoom_range, count)
    flip = np.where(generator.random(count) < how.horizontal_flip, -1.0, 1.0)

    # Target to source, about the centre: what cv2 wants with WARP_INVERSE_MAP.
    scale = np.array([width, height]) / size_px
    matrices = np.empty((count, 2, 3))
    matrices[:, 0, 0] = np.cos(angle) / zoom * flip * scale[0]
    matrices[:, 0, 1] = (shear * np.cos(angle) - np.sin(angle)) / zoom * scale[1]
    matrices[:, 1, 0] = np.sin(angle) / zoom * flip * scale[0]
    matrices[:, 1, 1] = (shear * np.sin(angle) + np.cos(angle)) / zoom * scale[1]
    middle = (size_px - 1) / 2
    matrices[:, 0, 2] = (width - 1) / 2 + shift_x - matrices[:, 0, :2].sum(axis=1) * middle
    matrices[:, 1, 2] = (height - 1) / 2 + shift_y - matrices[:, 1, :2].sum(axis=1) * middle

    warped = np.empty((count, size_px, size_px, 1), np.uint8)
    for target, crop, matrix in zip(warped, crops, matrices, strict=True):
        target[..., 0] = cv2.warpAffine(
            crop,
            matrix,
            (size_px, size_px),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    return warped


def relight(
    crops: Crops, brightness: float, contrast: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Change brightness and contrast of each picture, clipped to 0-255."""
    if brightness == 0 and contrast == 0:
        return crops
    count = len(crops)
    gain = generator.uniform(1 - contrast, 1 + contrast, count).astype(np.float32)
    shift = generator.uniform(-brightness, brightness, count).astype(np.float32) * 255
    pixels = crops.astype(np.float32)
    mean = pixels.mean(axis=(1, 2, 3))
    bias = mean * (1 - gain) + shift
    relit = pixels * gain[:, None, None, None] + bias[:, None, None, None]
    return np.asarray(np.clip(np.rint(relit), 0, 255), np.uint8)


def erase(
    crops: Crops, probability: float, area: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Paint a random box of some pictures over with noise, so that no part is relied upon.

    Source:
        Zhong et al., "Random Erasing Data Augmentation", AAAI 2020.
    """
    if probability == 0:
        return crops
    erased = crops.copy()
    height, width = crops.shape[1:3]
    for index in np.flatnonzero(generator.random(len(crops)) < probability):
        part = generator.uniform(0.02, area) * height * width
        ratio = np.exp(generator.uniform(np.log(0.4), np.log(2.5)))
        box_h = int(np.clip(round(np.sqrt(part * ratio)), 1, height))
        box_w = int(np.clip(round(np.sqrt(part / ratio)), 1, width))
        top = int(generator.integers(0, height - box_h + 1))
        left = int(generator.integers(0, width - box_w + 1))
        noise = generator.integers(0, 256, (box_h, box_w, 1), np.uint8)
        erased[index, top : top + box_h, left : left + box_w] = noise
    return erased


def moved(crops: _Pixels, down: int, right: int) -> _Pixels:
    """Return pictures (N, H, W, 1), moved by whole pixels; what comes in repeats the edge.

    Args:
        down: pixels, upwards if negative.
        right: pixels, to the left if negative.
    """
    rows, columns = ((max(by, 0), max(-by, 0)) for by in (down, right))
    padded = np.pad(crops, ((0, 0), rows, columns, (0, 0)), mode="edge")
    height, width = crops.shape[1:3]
    return padded[:, rows[1] : rows[1] + height, columns[1] : columns[1] + width]


def contact_sheet(
    crops: Crops, how: Augmentation, generator: np.random.Generator, variants: int = 8
) -> NDArray[np.uint8]:
    """Lay out each crop, twice its size, with random variants to its right.

    Returns:
        uint8 (rows, columns), grey, ready to be saved as a picture.
    """
    rows = []
    for crop in crops:
        varied = augment(np.repeat(crop[None], variants, axis=0), how, generator)
        strip = np.concatenate([crop[None], varied])[..., 0]
        large = strip.repeat(2, axis=1).repeat(2, axis=2)
        rows.append(np.concatenate(np.pad(large, ((0, 0), (2, 2), (2, 2))), axis=1))
    return np.concatenate(rows, axis=0)
