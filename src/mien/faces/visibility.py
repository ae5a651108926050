"""How well a face can be seen, and why it may be impossible to read.

The thresholds come from ``experiments/visibility/choose_thresholds.py``: from where, on FER2013
rows held out of training and made worse step by step, the network is right more than five points
less often than its probabilities say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.card import Calibration
from mien.faces.template import FaceTemplate, Square, frame
from mien.types import Crops, Face, Visibility

__all__ = [
    "REASONS",
    "UNCLEAR",
    "Limits",
    "reasons",
    "stretch_contrast",
    "visibility_of",
    "why_uncertain",
]

#: The reason of a reading none of whose probabilities is high enough.
UNCLEAR = "expression unclear"

#: What :func:`reasons` may return, in its order.
REASONS = ("too small", "blurred", "dark", "overexposed", "turned away", "cut off")

# How far the nose tip stands out of the plane of eyes and mouth, in sides of the frame. On adults
# it is about half the distance from eyes to mouth.
NOSE_DEPTH = 0.18
WHITE = 250
DARK_BELOW = 128  # a flat crop is dark below this mean, overexposed from it on
RANGE_PERCENTILES = (2.0, 98.0)  # between them lies the contrast
OUTSIDE_SAMPLES = 32  # a side, of a square of which a part may lie beyond the image

# Crops of less contrast are stretched until these percentiles are these values. Of held-out rows
# 1 % have less as they are; at a tenth of their light all have.
LOW_DEVIATION = 25.0
PERCENTILES = (2.0, 98.0)
STRETCHED_TO = (20.0, 235.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """From where a face cannot be read; see :class:`Visibility` for the units.

    Yaw and pitch are limits of what is known rather than of what can be read: up to them the
    network is right as often as it says, and FER2013 has hardly a face beyond.
    """

    min_size_px: float = 18.0
    min_sharpness: float = 0.17
    min_contrast: float = 4.0
    max_white: float = 0.5
    max_yaw: float = 45.0
    max_pitch: float = 30.0
    max_outside: float = 0.3


def visibility_of(
    crop: NDArray[np.uint8],
    face: Face | None = None,
    template: FaceTemplate | None = None,
    size_hw: tuple[int, int] | None = None,
) -> Visibility:
    """Return how well a face can be seen.

    Args:
        crop: uint8 (h, w) or (h, w, 1), as cut out, before its contrast is stretched.
        face: in the pixels of its image; ``None`` for a crop that came ready-made.
        template: by which the face was framed; needed with a face.
        size_hw: of the image; needed with a face.
    """
    pixels = crop.reshape(crop.shape[:2]).astype(np.float64)
    low, high = np.percentile(pixels, RANGE_PERCENTILES)
    shown = {
        "sharpness": _sharpness(pixels),
        "light": float(pixels.mean()),
        "contrast": float(high - low),
        "white": float(np.mean(pixels >= WHITE)),
    }
    if face is None or template is None or size_hw is None:
        return Visibility(None, **shown)
    square = frame(face, template)
    yaw, pitch = _turn(face, template, square) or (None, None)
    return Visibility(square.side, **shown, yaw=yaw, pitch=pitch, outside=_outside(square, size_hw))


def reasons(seen: Visibility, limits: Limits | None = None) -> tuple[str, ...]:
    """Return why a face cannot be read, in the order of :data:`REASONS`; empty if it can."""
    limits = limits or Limits()
    flat = seen.contrast < limits.min_contrast
    holds: Mapping[str, bool] = {
        "too small": seen.size_px is not None and seen.size_px < limits.min_size_px,
        "blurred": seen.sharpness < limits.min_sharpness,
        "dark": flat and seen.light < DARK_BELOW,
        "overexposed": (flat and seen.light >= DARK_BELOW) or seen.white > limits.max_white,
        "turned away": abs(seen.yaw or 0) > limits.max_yaw
        or abs(seen.pitch or 0) > limits.max_pitch,
        "cut off": seen.outside > limits.max_outside,
    }
    return tuple(reason for reason in REASONS if holds[reason])


def why_uncertain(
    confidence: float, seen: Visibility | None, calibration: Calibration
) -> tuple[str, ...]:
    """Return why a reading is uncertain: how its face is seen, or its own probabilities.

    Args:
        confidence: the top probability.
        seen: ``None`` where it is not known.
    """
    unclear = (UNCLEAR,) if confidence < calibration.abstain_below else ()
    return (() if seen is None else reasons(seen)) + unclear


def stretch_contrast(crops: Crops) -> Crops:
    """Return crops, uint8 (N, h, w, 1), in which those of low contrast are stretched.

    Others are returned as they are, and so are those that are nearly flat, which are marked as
    dark. At 6 % of their light the network reads 14 % of held-out rows right as they are, and
    69 % stretched (71 % in full light).
    """
    if len(crops) == 0:
        return crops
    flat = crops.reshape(len(crops), -1)
    low, high = np.percentile(flat, PERCENTILES, axis=1)
    faint = flat.std(axis=1) < LOW_DEVIATION
    rows = np.flatnonzero(faint & (high - low >= Limits().min_contrast))
    if len(rows) == 0:
        return crops
    start, end = STRETCHED_TO
    gain = (end - start) / (high - low)[rows]
    values = (flat[rows] - low[rows, None]) * gain[:, None] + start
    stretched: Crops = crops.copy()
    stretched[rows] = np.clip(np.rint(values), 0, 255).reshape(-1, *crops.shape[1:])
    return stretched


def _sharpness(pixels: NDArray[np.float64]) -> float:
    deviation = float(pixels.std())
    if deviation == 0:
        return 0.0
    inner = 4 * pixels[1:-1, 1:-1]
    around = pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]
    return float((inner - around).std()) / deviation


def _turn(face: Face, template: FaceTemplate, square: Square) -> tuple[float, float] | None:
    """Return yaw and pitch in degrees, from where the nose tip lies between eyes and mouth.

    A head's own size is taken from whichever of its two distances is less foreshortened.
    """
    if len(face.landmarks) != 5 or len(template.landmarks) != 5:
        return None
    points, model = np.array(face.landmarks), np.array(template.landmarks)
    if not np.isfinite(points).all():
        return None
    right = np.array([math.cos(square.roll), math.sin(square.roll)])
    axes = np.stack([right, [-right[1], right[0]]])
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    across = abs(axes[0] @ (points[1] - points[0])) / (model[1, 0] - model[0, 0])
    along = abs(axes[1] @ (mouth - eyes)) / (model[3, 1] - model[0, 1])
    size = max(across, along)
    if size == 0:
        return None
    part = (model[2, 1] - model[0, 1]) / (model[3, 1] - model[0, 1])
    out = axes @ (points[2] - eyes - part * (mouth - eyes)) / (size * NOSE_DEPTH)
    yaw, pitch = np.degrees(np.arcsin(np.clip(out, -1, 1))).tolist()
    return yaw, pitch


def _outside(square: Square, size_hw: tuple[int, int], samples: int = OUTSIDE_SAMPLES) -> float:
    """Return the fraction of a square beyond its image, by a grid of samples."""
    steps = (np.arange(samples) + 0.5) / samples - 0.5
    u, v = np.meshgrid(steps, steps)
    cosine, sine = math.cos(square.roll) * square.side, math.sin(square.roll) * square.side
    x = square.centre.x + u * cosine - v * sine
    y = square.centre.y + u * sine + v * cosine
    height, width = size_hw
    return float(np.mean((x < 0) | (y < 0) | (x >= width) | (y >= height)))
