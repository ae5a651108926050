"""Faces: where they are in a picture, and how they are cut out of it.

A detected face is framed as the faces were on which the network was trained; the two
numbers for that are measured by ``scripts/measure_crop_geometry.py`` and stand in the card.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL.Image import Resampling, Transform, fromarray

from mien.errors import ConfigError, InputError
from mien.types import CROP_HW, Box, CropGeometry, Crops, Face, Image, Point

__all__ = ["CenterFace", "Detector", "crop_corners", "crop_faces", "thumbnail"]

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

# At most this many samples a side are averaged for a pixel of a crop: more change nothing
# that can be seen, and so the time does not grow with the face.
_MAX_SAMPLES = 8


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
        min_face_px: the longer side, in pixels of the image, of the smallest face to look
            for. A larger number is faster, by its square. If ``None``, a 20th of the image's
            shorter side, and at least 20. Images are never enlarged for it, and never
            looked at with more than 2048 pixels a side.
        threshold: faces with a lower score are left out, 0 to 1.
        threads: for one image; 0 leaves it to ONNX Runtime.
        same_size: the images will all have one size, as those of a video; memory is then kept
            from one to the next.

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
    ) -> None:
        if min_face_px is not None and min_face_px < 1:
            raise ConfigError(f"min_face_px must be at least 1, not {min_face_px}")
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, not {threshold}")
        self.min_face_px = min_face_px
        self.threshold = threshold
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # An arena would keep the memory of the largest image for ever; without one, the memory
        # of a video swings between 300 and 400 MB instead of staying at 255.
        options.enable_cpu_mem_arena = same_size
        options.enable_mem_pattern = same_size
        weights = resources.files("mien") / "assets" / "centerface.onnx"
        self._session = onnxruntime.InferenceSession(
            weights.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3), surest first.

        Raises:
            InputError: the image is not uint8 (H, W, 3).
        """
        _require_rgb(image)
        height, width = image.shape[:2]
        blob, size_hw = _to_input(image, _input_scale(height, width, self.min_face_px))
        maps = self._session.run(["heatmap", "log_size", "offset", "landmarks"], {"image": blob})
        found = _decode(*(each[0] for each in maps), threshold=self.threshold)
        return found.to_faces(width / size_hw[1], height / size_hw[0])


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
    """Return the rows to keep, surest first: of boxes of the same face, the surest."""
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


def crop_faces(image: Image, faces: Sequence[Face], geometry: CropGeometry) -> Crops:
    """Cut faces out of an RGB image as squares, in grey, at the network's size.

    A face that has landmarks is turned upright. Each pixel is the mean of the source pixels
    under it; beyond the image, its border is repeated. Grey is luma by ITU-R BT.601.

    Returns:
        uint8 (N, 48, 48, 1) in the order of the faces, C-contiguous; N may be 0.

    Raises:
        InputError: the image is not uint8 (H, W, 3).
    """
    _require_rgb(image)
    crops = np.empty((len(faces), *CROP_HW, 1), np.uint8)
    for crop, face in zip(crops, faces, strict=True):
        crop[..., 0] = _cut(image, face, geometry)
    return crops


def crop_corners(face: Face, geometry: CropGeometry) -> tuple[Point, Point, Point, Point]:
    """Return where the corners of a face's crop lie in its image, and maybe outside of it.

    They are in the order of the upright crop: top left, top right, bottom right, bottom left.
    """
    centre, right, down, span = _square(face, geometry)
    x, y = right * span / 2, down * span / 2
    corners = (centre - x - y, centre + x - y, centre + x + y, centre - x + y)
    top_left, top_right, bottom_right, bottom_left = (Point(*each.tolist()) for each in corners)
    return top_left, top_right, bottom_right, bottom_left


def thumbnail(image: Image, face: Face, side_px: int, *, room: float = 1.0) -> Image:
    """Return the square around a face's box, ``room`` times as large, as a picture to show.

    Returns:
        uint8 (side_px, side_px, 3); beyond the image, its border is repeated.
    """
    box, limits = face.box, image.shape[:2]
    side = max(round(max(box.w, box.h) * room), 1)
    starts = (box.y + (box.h - side) // 2, box.x + (box.w - side) // 2)
    rows, columns = (
        np.clip(np.linspace(start, start + side - 1, min(side, 4 * side_px)), 0, limit - 1)
        for start, limit in zip(starts, limits, strict=True)
    )
    part = image[rows.round().astype(int)[:, None], columns.round().astype(int)]
    return np.asarray(fromarray(part).resize((side_px, side_px), Resampling.BOX))


def _cut(image: Image, face: Face, geometry: CropGeometry) -> NDArray[np.uint8]:
    """Return the face's square in grey (48, 48)."""
    centre, right, down, span = _square(face, geometry)
    part, centre, span = _around(image, centre, span)
    per_pixel = min(max(1, math.ceil(span / CROP_HW[0])), _MAX_SAMPLES)
    samples = CROP_HW[0] * per_pixel
    step_x, step_y = right * span / samples, down * span / samples
    corner = centre - (right + down) * span / 2
    sampled = fromarray(part).transform(
        (samples, samples),
        Transform.AFFINE,
        (step_x[0], step_y[0], corner[0], step_x[1], step_y[1], corner[1]),
        Resampling.BILINEAR,
    )
    return np.asarray(sampled.reduce(per_pixel))


def _square(
    face: Face, geometry: CropGeometry
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Return a crop's centre, the unit vectors along its rows and columns, and its side."""
    box, roll = face.box, _roll(face)
    side = max(box.w, box.h)
    right = np.array([math.cos(roll), math.sin(roll)])
    down = np.array([-right[1], right[0]])
    centre = np.array([box.x + box.w / 2, box.y + box.h / 2]) + down * side * geometry.shift_y
    return centre, right, down, side * geometry.scale


def _around(
    image: Image, centre: NDArray[np.float64], span: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64], float]:
    """Return what a square of any roll can touch, in grey, and centre and span in its pixels.

    Outside the image it is the nearest border pixels. A large square is shrunk to what is
    sampled at most, so that neither a face's size nor a box far too large costs memory.
    """
    limits = np.array(image.shape[1::-1])
    reach = span / math.sqrt(2) + 2
    # Beyond its reach outside the image, a square holds border pixels alone wherever it lies.
    centre = np.clip(centre, -reach, limits + reach)
    start = np.clip(np.floor(centre - reach), 0, limits - 1).astype(np.int64)
    end = np.clip(np.ceil(centre + reach), start + 1, limits).astype(np.int64)
    grey = fromarray(image[start[1] : end[1], start[0] : end[0]]).convert("L")

    shrink = max(1, int(span / (CROP_HW[0] * _MAX_SAMPLES)))
    centre, span = (centre - start) / shrink, span / shrink
    reach = span / math.sqrt(2) + 2
    inside = np.asarray(grey.reduce(shrink))
    before = np.maximum(np.ceil(reach - centre), 0).astype(int)
    after = np.maximum(np.ceil(centre + reach - inside.shape[::-1]), 0).astype(int)
    widths = ((before[1], after[1]), (before[0], after[0]))
    return np.pad(inside, widths, mode="edge"), centre + before, span


def _roll(face: Face) -> float:
    """Return by how much a face leans, in radians, clockwise on the screen.

    The eyes, the mouth and the line between them vote. By the eyes alone, faces turned by
    known 30 degrees were measured 2 to 4 degrees too low, and less surely.
    """
    if len(face.landmarks) < 5:
        return 0.0
    right_eye, left_eye, _, right_mouth, left_mouth = np.array(face.landmarks[:5])
    across = left_eye - right_eye + left_mouth - right_mouth
    down = (right_mouth + left_mouth - right_eye - left_eye) / 2
    return math.atan2(across[1] - down[0], across[0] + down[1])


def _require_rgb(image: Image) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(
            "an image must be RGB, uint8 (H, W, 3), with at least one pixel; "
            f"received {image.dtype} of shape {image.shape}"
        )
