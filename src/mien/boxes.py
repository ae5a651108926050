"""Geometry of boxes: pure functions. ``xywh`` is a corner and a size, ``xyxy`` two corners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.types import Box, Face

__all__ = ["area", "intersections", "iou", "ious", "largest", "to_xyxy"]

_Rows = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]


def area(box: Box) -> int:
    """Return the area in pixels."""
    return box.w * box.h


def largest(faces: Sequence[Face]) -> tuple[Face, ...]:
    """Return the face with the largest box alone, the first of equals; none of none."""
    return (max(faces, key=lambda face: area(face.box)),) if faces else ()


def iou(one: Box, other: Box) -> float:
    """Return intersection over union, 0 to 1; 0 for two empty boxes."""
    return float(ious(to_xyxy([one]), to_xyxy([other]))[0, 0])


def ious(boxes_xyxy: _Rows, others_xyxy: _Rows) -> NDArray[np.float64]:
    """Return intersection over union of each of N and each of M boxes: float64 (N, M).

    Raises:
        ValueError: an array is not (N, 4).
    """
    shared = intersections(boxes_xyxy, others_xyxy)
    total = _areas(boxes_xyxy)[:, None] + _areas(others_xyxy)[None] - shared
    return np.asarray(np.divide(shared, total, out=np.zeros_like(shared), where=total > 0))


def intersections(boxes_xyxy: _Rows, others_xyxy: _Rows) -> NDArray[np.float64]:
    """Return the common area of each of N and each of M boxes: float64 (N, M).

    Raises:
        ValueError: an array is not (N, 4).
    """
    boxes, others = _checked(boxes_xyxy), _checked(others_xyxy)
    starts = np.maximum(boxes[:, None, :2], others[None, :, :2])
    ends = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(ends - starts, 0, None).prod(axis=2))


def to_xyxy(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Return the corners of boxes: float64 (N, 4), N may be 0."""
    rows = np.array(boxes, np.float64).reshape(-1, 4)
    rows[:, 2:] += rows[:, :2]
    return rows


def _areas(boxes_xyxy: _Rows) -> NDArray[np.float64]:
    boxes = _checked(boxes_xyxy)
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1))


def _checked(boxes_xyxy: _Rows) -> NDArray[np.float64]:
    boxes = np.asarray(boxes_xyxy, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"expected boxes (N, 4), got an array {boxes.shape}")
    return boxes
