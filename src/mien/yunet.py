"""YuNet: the default detector, a network of 54,000 weights with five landmarks a face.

``tools/make_yunet.py`` makes its file. This module resizes an image for it and decodes its maps.
"""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL.Image import Resampling, fromarray
from PIL.Image import Image as Pillow

from mien.errors import ConfigError, InputError
from mien.types import Box, Face, Image, Point

__all__ = ["YuNet"]

_STRIDES = (8, 16, 32)  # input pixels per cell of each map
_WORKABLE_FACE_PX = 16
_SMALLEST_SHARE = 20
_SMALLEST_PX = 20
_MIN_INPUT_PX = 128
_MAX_INPUT_PX = 2048
_MAX_OVERLAP = 0.3
_BRIGHT_PERCENTILE = 99.5
_MAX_GAIN = 30


class YuNet:
    def __init__(
        self,
        *,
        min_face_px: int | None = None,
        threshold: float = 0.6,
        threads: int = 0,
        same_size: bool = False,
    ) -> None:
        if min_face_px is not None and min_face_px < 1:
            raise ConfigError(f"min_face_px must be at least 1, not {min_face_px}")
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, not {threshold}")
        self.min_face_px = min_face_px
        self.threshold = threshold
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_cpu_mem_arena = same_size
        options.enable_mem_pattern = same_size
        weights = resources.files("mien") / "assets" / "yunet.onnx"
        self._session = onnxruntime.InferenceSession(
            weights.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, image: Image) -> tuple[Face, ...]:
        height, width = image.shape[:2]
        blob, size_hw = _to_input(image, _input_scale(height, width, self.min_face_px))
        maps = self._session.run(None, {"image": blob})
        found = decode(maps, self.threshold)
        return found.to_faces(width / size_hw[1], height / size_hw[0])


class Found(NamedTuple):
    """Faces in the detector's input: (N, 4) xywh, (N,) and (N, 5, 2) xy; surest first."""

    boxes_xywh: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]

    def to_faces(self, scale_x: float, scale_y: float) -> tuple[Face, ...]:
        """Return them in the pixels of the image."""
        scale = np.array([scale_x, scale_y])
        starts = np.rint(self.boxes_xywh[:, :2] * scale).astype(int)
        ends = np.rint((self.boxes_xywh[:, :2] + self.boxes_xywh[:, 2:]) * scale).astype(int)
        boxes = np.concatenate([starts, np.maximum(ends - starts, 1)], axis=1)
        points = self.landmarks_xy * scale
        return tuple(
            Face(Box(*box), score, tuple(Point(*point) for point in five))
            for box, score, five in zip(
                boxes.tolist(), self.scores.tolist(), points.tolist(), strict=True
            )
        )


def detect_as_is(network: Path, image: Image, threshold: float = 0.5) -> tuple[Face, ...]:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    return decode(session.run(None, {"image": image[None]}), threshold).to_faces(1, 1)


def _input_scale(height: int, width: int, min_face_px: int | None) -> float:
    shorter, longer = sorted((height, width))
    smallest = min_face_px or max(_SMALLEST_PX, shorter / _SMALLEST_SHARE)
    scale = max(min(1.0, _WORKABLE_FACE_PX / smallest), _MIN_INPUT_PX / shorter)
    return min(scale, _MAX_INPUT_PX / longer)


def _to_input(image: Image, scale: float) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    picture = fromarray(image)
    if picture.size != (width, height):
        picture = picture.resize((width, height), Resampling.BILINEAR, reducing_gap=2.0)
    padded_hw = (math.ceil(side / 32) * 32 for side in (height, width))
    blob = np.zeros((1, *padded_hw, 3), np.uint8)
    blob[0, :height, :width] = _brightened(picture)
    return blob, (height, width)


def _brightened(picture: Pillow) -> Pillow:
    counts = np.array(picture.histogram(), np.int64).reshape(3, 256).sum(axis=0)
    reached = np.cumsum(counts) >= _BRIGHT_PERCENTILE / 100 * counts.sum()
    bright = max(int(np.argmax(reached)), 1)
    if bright >= 255:
        return picture
    gain = min(255 / bright, _MAX_GAIN)
    table = np.minimum(np.rint(np.arange(256) * gain), 255).astype(np.uint8).tolist()
    return picture.point(table * 3)


def decode(maps: list[NDArray[np.float32]], threshold: float) -> Found:
    boxes, scores, points = [], [], []
    for level, stride in zip(maps, _STRIDES, strict=True):
        flat = level[0].reshape(16, -1)
        columns = level.shape[3]
        score = np.sqrt(1 / ((1 + np.exp(-flat[0])) * (1 + np.exp(-flat[1]))))
        (cells,) = np.nonzero(score > threshold)
        corner = np.stack([cells % columns, cells // columns]).astype(np.float32)
        values = flat[:, cells]
        size = np.exp(values[4:6]) * stride
        centre = (values[2:4] + corner) * stride
        boxes.append(np.concatenate([centre - size / 2, size]).T)
        scores.append(score[cells])
        points.append(((values[6:].reshape(5, 2, -1) + corner) * stride).transpose(2, 0, 1))
    b, s, p = (np.concatenate(each) for each in (boxes, scores, points))
    kept = _without_overlaps(b, s)
    return Found(b[kept], s[kept], p[kept])


def _without_overlaps(
    boxes_xywh: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.intp]:
    starts, sizes = boxes_xywh[:, :2], boxes_xywh[:, 2:]
    ends, areas = starts + sizes, sizes.prod(axis=1)
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        shared = np.minimum(ends[left], ends[best]) - np.maximum(starts[left], starts[best])
        overlap = np.maximum(shared, 0).prod(axis=1)
        left = left[overlap <= _MAX_OVERLAP * (areas[left] + areas[best] - overlap)]
    return np.array(kept, np.intp)
