"""What detectors of one pass share: the scale of their input, and boxes without overlaps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError
from mien.faces.detector import SmallestFace
from mien.types import CROP_HW, Box, Face, Point

__all__ = ["Detections", "check_options", "input_scale", "needs_px_for"]

SMALLEST = 1 / 20  # the default smallest face as a fraction of the image's shorter side,
SMALLEST_PX = 20  # but not less than this
# Smaller images are enlarged to this: pictures of 48 pixels that are almost all face are found
# at 128 pixels more often than at 64, and not more often at 192.
MIN_INPUT_PX = 128
MAX_INPUT_PX = 2048
CELL_PX = 4  # pixels of its input per cell of the maps of CenterFace's network
# Where an image shrinks by at least twice this, Pillow takes means of whole pixels first.
REDUCING_GAP = 2.0
MAX_OVERLAP = 0.3  # intersection over union above which two boxes are the same face


class Detections(NamedTuple):
    """Faces in a network's input: (N, 4) xywh, (N,) and (N, 5, 2) xy."""

    boxes_xywh: NDArray[np.float32]
    scores: NDArray[np.float32]
    landmarks_xy: NDArray[np.float32]

    def without_overlaps(self) -> Detections:
        """Return the most confident of the boxes of each face, most confident first."""
        starts, sizes = self.boxes_xywh[:, :2], self.boxes_xywh[:, 2:]
        ends, areas = starts + sizes, sizes.prod(axis=1)
        left = np.argsort(-self.scores, kind="stable")
        kept = []
        while len(left):
            best, left = left[0], left[1:]
            kept.append(best)
            shared = np.minimum(ends[left], ends[best]) - np.maximum(starts[left], starts[best])
            overlap = np.maximum(shared, 0).prod(axis=1)
            left = left[overlap <= MAX_OVERLAP * (areas[left] + areas[best] - overlap)]
        rows = np.array(kept, np.intp)
        return Detections(*(values[rows] for values in self))

    def to_faces(self, scale_xy: tuple[float, float]) -> tuple[Face, ...]:
        """Return them in the pixels of the image, in the same order.

        Args:
            scale_xy: image pixels per pixel of the network's input.
        """
        scale = np.array(scale_xy)
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


def check_options(min_face_px: int | None, threshold: float) -> None:
    """Refuse options of a detector that are out of range.

    Raises:
        ConfigError: one is.
    """
    if min_face_px is not None and min_face_px < 1:
        raise ConfigError(f"min_face_px must be at least 1, not {min_face_px}")
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold must lie between 0 and 1, not {threshold}")


def input_scale(size_hw: tuple[int, int], min_face_px: int | None, workable_px: int) -> float:
    """Return how many pixels of a network's input a pixel of the image becomes.

    Args:
        min_face_px: the smallest face to look for; a 20th of the shorter side if ``None``.
        workable_px: the longer side of the smallest face that the network surely finds.
    """
    shorter, longer = sorted(size_hw)
    smallest = min_face_px or max(SMALLEST_PX, shorter * SMALLEST)
    scale = max(min(1.0, workable_px / smallest), MIN_INPUT_PX / shorter)
    return min(scale, MAX_INPUT_PX / longer)


def needs_px_for(min_face_px: int | None) -> int | None:
    """Return the shorter side that suffices for the smallest face, and for its crop.

    A crop wants one pixel of the image for each of its own, so more need not be decoded. A size
    in pixels of the full image cannot be looked for in a smaller one: ``None``.
    """
    return round(CROP_HW[0] / SMALLEST) if min_face_px is None else None


def smallest_face_for(min_face_px: int | None) -> SmallestFace:
    """Return the smallest face that is looked for; see :func:`input_scale`."""
    if min_face_px is None:
        return SmallestFace(SMALLEST_PX, SMALLEST)
    return SmallestFace(min_face_px, 0.0)
