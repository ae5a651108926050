"""Faces: where they are in a picture, and how they are cut out of it.

A detected face is framed as the faces were on which the network was trained; the two
numbers for that are measured by ``scripts/measure_crop_geometry.py`` and stand in the card.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mien.errors import ConfigError, InputError
from mien.types import CROP_HW, Box, CropGeometry, Crops, Face, Image, Point

__all__ = ["CenterFace", "Detector", "crop_faces"]

# The side, in pixels of its input, from which the detector finds a face surely: all 29 faces
# of the Solvay photograph of 1927 score 0.56 and more when the largest is 21 pixels wide.
_WORKABLE_FACE_PX = 16
_STRIDE = 32  # of the network's coarsest layer: input sides are multiples of it
_CELL_PX = 4  # input pixels per cell of the output maps
_MAX_OVERLAP = 0.3  # intersection over union above which two boxes are the same face
_SMALLEST_SHARE = 24  # the default minimum: this part of the image's shorter side
_SMALLEST_PX = 20
_MIN_INPUT_PX = 96  # smaller images are enlarged to this
_MAX_INPUT_PX = 2048


class Detector(Protocol):
    """Finds faces; any thread may call it."""

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3), surest first.

        No face is an empty tuple, never an error.
        """
        ...


class CenterFace:
    """The default detector: quick on one core, with five landmarks per face.

    Threads may share one: its session is created here and never changes.

    Args:
        min_face_px: the longer side, in pixels of the image, of the smallest face that must
            be found. A larger number is faster, by its square. If ``None``, a 24th of the
            image's shorter side, and at least 20.
        threshold: faces with a lower score are left out, 0 to 1.
        threads: for one image; 0 leaves it to ONNX Runtime.

    Raises:
        ConfigError: an argument is out of range.

    Source:
        Xu et al. 2019, CenterFace: Joint Face Detection and Alignment Using Face as Point.
    """

    def __init__(
        self, *, min_face_px: int | None = None, threshold: float = 0.4, threads: int = 0
    ) -> None:
        if min_face_px is not None and min_face_px < 1:
            raise ConfigError(f"min_face_px must be at least 1, not {min_face_px}")
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, not {threshold}")
        self.min_face_px = min_face_px
        self.threshold = threshold
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        weights = resources.files("mien") / "assets" / "centerface.onnx"
        self._session = onnxruntime.InferenceSession(
            weights.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3), surest first.

        Raises:
            InputError: the image is not uint8 (H, W, 3).
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise InputError(
                "an image must be RGB, uint8 (H, W, 3), with at least one pixel; "
                f"received {image.dtype} of shape {image.shape}"
            )
        height, width = image.shape[:2]
        input_hw = _input_size(height, width, self.min_face_px)
        shrinks = input_hw[0] < height
        resized = cv2.resize(
            image, input_hw[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        blob = np.ascontiguousarray(resized.transpose(2, 0, 1)[None], np.float32)
        maps = self._session.run(["heatmap", "log_size", "offset", "landmarks"], {"image": blob})
        found = _decode(*(each[0] for each in maps), threshold=self.threshold)
        return found.to_faces(width / input_hw[1], height / input_hw[0])


class _Found(NamedTuple):
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


def _input_size(height: int, width: int, min_face_px: int | None) -> tuple[int, int]:
    """Return height and width of the detector's input, multiples of its stride."""
    shorter, longer = sorted((height, width))
    smallest = min_face_px or max(_SMALLEST_PX, shorter / _SMALLEST_SHARE)
    scale = min(1.0, _WORKABLE_FACE_PX / smallest, _MAX_INPUT_PX / longer)
    scale = max(scale, min(_MIN_INPUT_PX / shorter, _MAX_INPUT_PX / longer))
    return tuple(  # type: ignore[return-value]
        max(1, round(side * scale / _STRIDE)) * _STRIDE for side in (height, width)
    )


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
    kept = np.array(
        cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), threshold, _MAX_OVERLAP), np.intp
    ).ravel()
    parts = landmarks[:, rows[kept], columns[kept]].T.reshape(-1, 5, 2)[:, :, ::-1]
    points = parts * boxes[kept, None, 2:] + boxes[kept, None, :2]
    return _Found(boxes[kept], scores[kept], points)


# At most this many samples a side are averaged for a pixel of a crop: more cannot be told
# from it, and the time does not grow with the face.
_MAX_SAMPLES = 8


def crop_faces(image: Image, faces: Sequence[Face], geometry: CropGeometry) -> Crops:
    """Cut faces out as squares, in grey, at the network's size.

    The square is level with the eyes if the face has landmarks. Each pixel is the mean of
    the source pixels under it; beyond the image, its border is repeated. Grey is luma by
    ITU-R BT.601.

    Returns:
        uint8 (N, 48, 48, 1) in the order of the faces, C-contiguous; N may be 0.
    """
    crops = np.empty((len(faces), *CROP_HW, 1), np.uint8)
    for crop, face in zip(crops, faces, strict=True):
        crop[..., 0] = _crop_one(image, face, geometry)
    return crops


def _crop_one(image: Image, face: Face, geometry: CropGeometry) -> NDArray[np.uint8]:
    side = max(face.box.w, face.box.h)
    span = side * geometry.scale
    samples = min(max(1, math.ceil(span / CROP_HW[0])), _MAX_SAMPLES)
    pixels = CROP_HW[0] * samples
    step = span / pixels
    roll = _roll(face)
    across = step * math.cos(roll), step * math.sin(roll)  # one pixel to the right, in x, y
    down = -across[1], across[0]
    shift = side * geometry.shift_y / step  # in pixels of the sample grid
    centre = (
        face.box.x + face.box.w / 2 + down[0] * shift,
        face.box.y + face.box.h / 2 + down[1] * shift,
    )
    # warpAffine counts from the centre of the first pixel, boxes from its corner
    middle = (pixels - 1) / 2
    to_source = np.array(
        [
            [across[axis], down[axis], centre[axis] - 0.5 - middle * (across[axis] + down[axis])]
            for axis in (0, 1)
        ]
    )
    sampled = cv2.warpAffine(
        image,
        to_source,
        (pixels, pixels),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    reduced = cv2.resize(sampled, CROP_HW[::-1], interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY)


def _roll(face: Face) -> float:
    """Return by how much the eyes slope, in radians; positive is clockwise on the screen."""
    if len(face.landmarks) < 2:
        return 0.0
    right, left = face.landmarks[:2]
    return math.atan2(left.y - right.y, left.x - right.x)
