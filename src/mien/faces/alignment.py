"""Landmarks of faces that are found already, by CenterFace's network on a small view of each.

YuNet's landmarks stay level however a face is rolled: at a roll of 30 degrees they show 1.5.
CenterFace, on a view of 64 x 64 pixels around the box, shows 28, at 3 % of its time for a photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from mien.faces.detections import CELL_PX, REDUCING_GAP
from mien.runtime import make_session
from mien.types import Box, Face, Image, Point

__all__ = ["Aligner"]

VIEW_PX = 64
VIEW_SCALE = 1.6  # side of the view as a multiple of the box's longer side
MIDDLE = slice(4, 12)  # the cells in which the centre of the view's own face can lie
LEAST_SCORE = 0.15  # below this the view shows no face, and the face keeps its landmarks
BATCH = 16


class Aligner:
    """Finds five landmarks in each of an image's faces. Threads may share one.

    Args:
        threads: for one image; 0 leaves it to ONNX Runtime.
        device: ``auto`` or one of :data:`mien.runtime.DEVICES`.
    """

    def __init__(self, *, threads: int = 0, device: str = "cpu") -> None:
        weights = resources.files("mien") / "assets" / "centerface.onnx"
        # memory kept would stay that of the largest group of faces
        self._session = make_session(
            weights.read_bytes(), device=device, threads=threads, keep_memory=False
        )

    def __call__(self, image: Image, faces: Sequence[Face]) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3) with landmarks, in the same order."""
        aligned: list[Face] = []
        for start in range(0, len(faces), BATCH):
            part = faces[start : start + BATCH]
            views = np.stack([_view(image, face.box) for face in part])
            planes = np.ascontiguousarray(views.transpose(0, 3, 1, 2), np.float32)
            maps = self._session.run(
                ["heatmap", "log_size", "offset", "landmarks"], {"image": planes}
            )
            for face, *own in zip(part, *maps, strict=True):
                points = _decode(own)
                aligned.append(face if points is None else _placed(face, points))
        return tuple(aligned)


def _corner_and_side(box: Box) -> tuple[float, float, float]:
    side = max(box.w, box.h) * VIEW_SCALE
    return box.x + (box.w - side) / 2, box.y + (box.h - side) / 2, side


def _view(image: Image, box: Box) -> NDArray[np.uint8]:
    """Return the view (64, 64, 3) around a box; beyond the image, its border is repeated."""
    left, top, side = _corner_and_side(box)
    top_left = np.floor([top, left]).astype(int)
    bottom_right = np.ceil([top + side, left + side]).astype(int)
    rows, columns = (np.arange(*ends) for ends in zip(top_left, bottom_right, strict=True))
    height, width = image.shape[:2]
    if top_left.min() >= 0 and rows[-1] < height and columns[-1] < width:
        part = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    else:
        part = image[rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)]
    size = (VIEW_PX, VIEW_PX)
    resized = PillowImage.fromarray(part).resize(
        size, PillowImage.Resampling.BILINEAR, reducing_gap=REDUCING_GAP
    )
    return np.asarray(resized)


def _decode(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32] | None:
    """Return the view's landmarks (5, 2), x and y in sides of it; ``None`` if it shows no face.

    The maps are those of :class:`mien.faces.CenterFace`, each (channels, rows, columns).
    """
    heatmap, log_size, offset, landmarks = maps
    middle = heatmap[0, MIDDLE, MIDDLE]
    row, column = np.unravel_index(int(middle.argmax()), middle.shape)
    if middle[row, column] < LEAST_SCORE:
        return None
    at = (slice(None), int(row) + MIDDLE.start, int(column) + MIDDLE.start)
    cell = np.array(at[1:]) + 0.5
    size = np.exp(log_size[at])
    start = cell + offset[at] - size / 2
    points = start + landmarks[at].reshape(5, 2) * size
    return np.asarray(points[:, ::-1] * (CELL_PX / VIEW_PX), np.float32)


def _placed(face: Face, points: NDArray[np.float32]) -> Face:
    left, top, side = _corner_and_side(face.box)
    places = points.astype(np.float64) * side + np.array([left, top])
    return replace(face, landmarks=tuple(Point(*each) for each in places.tolist()))
