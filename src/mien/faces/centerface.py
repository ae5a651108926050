"""CenterFace, a detector in a single pass with five landmarks a face."""

from __future__ import annotations

import math
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling, fromarray

from mien.errors import ConfigError
from mien.faces.detector import SmallestFace, require_rgb
from mien.runtime import make_session
from mien.types import CROP_HW, Box, Face, Image, Point

__all__ = ["CenterFace"]

# The longer side, in pixels of its input, from which the detector finds a face surely: of the
# 29 faces of the Solvay photograph of 1927, 12 to 21 pixels there, the lowest score is 0.56.
_WORKABLE_FACE_PX = 16
_SMALLEST_SHARE = 20  # the default minimum is this part of the image's shorter side,
_SMALLEST_PX = 20  # but not less than this
# Smaller images are enlarged to this: of FER2013's pictures, 48 pixels a side and almost all
# face, 91 % are found at 64 pixels and 98 % at 128, and no more at 192.
_MIN_INPUT_PX = 128
_MAX_INPUT_PX = 2048
_STRIDE = 32  # of the network's coarsest layer: input sides are multiples of it
_CELL_PX = 4  # input pixels per cell of the output maps
_MAX_OVERLAP = 0.3  # intersection over union above which two boxes are the same face

# The smallest face looked for by default is a 20th of the shorter side, and its crop wants one
# pixel for each of its own: more of a photo need not be decoded.
_ENOUGH_PX = _SMALLEST_SHARE * CROP_HW[0]


class CenterFace:
    """A detector that is quick on one core, with five landmarks per face.

    Threads may share one: its session is created here and never changes.

    Args:
        min_face_px: the longer side, in pixels of the image, of the smallest face to look
            for. A larger number is faster, by its square. If ``None``, a 20th of the image's
            shorter side, and at least 20. Images are never enlarged for it, and never
            looked at with more than 2048 pixels a side.
        threshold: faces with a lower score are left out, 0 to 1.
        threads: for one image; 0 leaves it to ONNX Runtime.
        same_size: the images will all have one size, as those of a video; memory is then kept
            from one to the next.
        device: ``auto`` or one of :data:`mien.runtime.DEVICES`.

    Raises:
        ConfigError: an argument is out of range.

    Source:
        Xu et al. 2019, CenterFace: Joint Face Detection and Alignment Using Face as Point.
    """

    def __init__(
        self,
        *,
        min_face_px: int | None = None,
        threshold: float = 0.4,
        threads: int = 0,
        same_size: bool = False,
        device: str = "cpu",
    ) -> None:
        if min_face_px is not None and min_face_px < 1:
            raise ConfigError(f"min_face_px must be at least 1, not {min_face_px}")
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, not {threshold}")
        self.min_face_px = min_face_px
        self.smallest_face = (
            SmallestFace(_SMALLEST_PX, 1 / _SMALLEST_SHARE)
            if min_face_px is None
            else SmallestFace(min_face_px, 0.0)
        )
        self.needs_px = _ENOUGH_PX if min_face_px is None else None
        self.threshold = threshold
        weights = resources.files("mien") / "assets" / "centerface.onnx"
        # Memory kept would stay that of the largest image; without it, the memory of a video
        # swings between 300 and 400 MB instead of staying at 255.
        self._session = make_session(
            weights.read_bytes(), device=device, threads=threads, keep_memory=same_size
        )

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3), most confident first.

        Raises:
            InputError: the image is not uint8 (H, W, 3).
        """
        require_rgb(image)
        height, width = image.shape[:2]
        blob, size_hw = _to_input(image, _input_scale(height, width, self.min_face_px))
        maps = self._session.run(["heatmap", "log_size", "offset", "landmarks"], {"image": blob})
        found = _decode(*(each[0] for each in maps), threshold=self.threshold)
        return found.to_faces(width / size_hw[1], height / size_hw[0])


class _Found(NamedTuple):
    """Faces in the detector's input: (N, 4) xywh, (N,) and (N, 5, 2) xy; most confident first."""

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


def _input_scale(height: int, width: int, min_face_px: int | None) -> float:
    """Return how many pixels of the detector's input an image pixel becomes."""
    shorter, longer = sorted((height, width))
    smallest = min_face_px or max(_SMALLEST_PX, shorter / _SMALLEST_SHARE)
    scale = max(min(1.0, _WORKABLE_FACE_PX / smallest), _MIN_INPUT_PX / shorter)
    return min(scale, _MAX_INPUT_PX / longer)


def _to_input(image: Image, scale: float) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Return the detector's input, float32 (1, 3, h, w), and the image's size inside it.

    The image is resized in proportion; black to the right and below fills up the stride.
    """
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    picture = fromarray(image)
    if picture.size != (width, height):  # a triangle over all source pixels, so nothing aliases
        picture = picture.resize((width, height), Resampling.BILINEAR, reducing_gap=2.0)
    padded_hw = (math.ceil(side / _STRIDE) * _STRIDE for side in (height, width))
    blob = np.zeros((1, 3, *padded_hw), np.float32)
    blob[0, :, :height, :width] = np.asarray(picture).transpose(2, 0, 1)
    return blob, (height, width)


def _decode(
    heatmap: NDArray[np.float32],
    log_size: NDArray[np.float32],
    offset: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    *,
    threshold: float,
) -> _Found:
    """Read the network's maps, each (channels, rows, columns).

    Channels: 1 score; logarithms of height and width in cells; offset of the centre from
    the cell's, y and x in cells; five landmarks, y and x in parts of the box.
    """
    rows, columns = np.nonzero(heatmap[0] > threshold)
    scores = heatmap[0, rows, columns]
    size = np.exp(log_size[::-1, rows, columns].T) * _CELL_PX
    cells = np.stack([columns, rows], axis=1) + 0.5
    centres = (cells + offset[::-1, rows, columns].T) * _CELL_PX
    boxes = np.concatenate([centres - size / 2, size], axis=1).astype(np.float32)
    kept = _without_overlaps(boxes, scores)
    parts = landmarks[:, rows[kept], columns[kept]].T.reshape(-1, 5, 2)[:, :, ::-1]
    points = parts * boxes[kept, None, 2:] + boxes[kept, None, :2]
    return _Found(boxes[kept], scores[kept], points)


def _without_overlaps(
    boxes_xywh: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.intp]:
    """Return the rows to keep, most confident first: one box for each face."""
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
