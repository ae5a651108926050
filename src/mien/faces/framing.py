"""Framing: how a face is cut out of its image, as the network was trained to see faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling, Transform, fromarray

from mien.card import Framing
from mien.faces.detector import Detector, require_rgb
from mien.faces.template import YUNET, FaceTemplate, Square, frame
from mien.types import Crops, Face, Image, Point, Visibility

__all__ = ["FaceCrops", "Framer", "crop_corners", "crop_faces", "thumbnail"]

# At most this many samples a side are averaged for a pixel of a crop: more change nothing
# that can be seen, and so the time does not grow with the face.
MAX_SAMPLES = 8


@dataclass(frozen=True, slots=True, eq=False)
class FaceCrops:
    """What the network sees, with what is known of each face.

    Attributes:
        pixels: uint8 (N, h, w, 1), grey, in the order of the faces; N may be 0. Crops of low
            contrast are stretched.
        faces: in coordinates of the full image.
        visibility: how well each face can be seen.
    """

    pixels: Crops
    faces: tuple[Face, ...]
    visibility: tuple[Visibility, ...]

    def __len__(self) -> int:
        return len(self.faces)


@dataclass(frozen=True, slots=True)
class Framer:
    """Frames the faces of one detector for one network.

    Attributes:
        template: where the detector's answers lie in a face's frame.
        framing: how a crop of the network lies around that frame.
    """

    template: FaceTemplate = YUNET
    framing: Framing = field(default_factory=Framing)

    @classmethod
    def of(cls, detector: Detector, framing: Framing) -> Framer:
        """Return the framer for a detector's ``template``; that of YuNet if it has none."""
        return cls(getattr(detector, "template", YUNET), framing)

    def square(self, face: Face) -> Square:
        """Return the square that is cut out for a face, in the face's coordinates."""
        found = frame(face, self.template)
        shift = found.side * self.framing.shift_y
        centre = Point(
            found.centre.x - math.sin(found.roll) * shift,
            found.centre.y + math.cos(found.roll) * shift,
        )
        return Square(centre, found.side * self.framing.scale, found.roll)


def crop_faces(
    image: Image,
    faces: Sequence[Face],
    framer: Framer,
    size_hw: tuple[int, int] | None = None,
) -> Crops:
    """Cut faces out of an RGB image as squares, in grey, at the network's size.

    A face that has landmarks is turned upright. Each pixel is the mean of the source pixels
    under it; beyond the image, its border is repeated. Grey is luma by ITU-R BT.601.

    Args:
        size_hw: the size that the faces' coordinates refer to, where ``image`` is a reduced
            form of it; the image's own if ``None``.

    Returns:
        uint8 (N, h, w, 1) in the order of the faces, C-contiguous; N may be 0.

    Raises:
        InputError: the image is not uint8 (H, W, 3).
    """
    require_rgb(image)
    full_h, full_w = size_hw or image.shape[:2]
    scale_xy = np.array([image.shape[1] / full_w, image.shape[0] / full_h])
    crops = np.empty((len(faces), *framer.framing.size_hw, 1), np.uint8)
    for crop, face in zip(crops, faces, strict=True):
        crop[..., 0] = _cut(
            image, _Sides.of(framer.square(face)).scaled(scale_xy), framer.framing.size_hw
        )
    return crops


def crop_corners(face: Face, framer: Framer) -> tuple[Point, Point, Point, Point]:
    """Return where the corners of a face's crop lie in its image, and maybe outside of it.

    They are in the order of the upright crop: top left, top right, bottom right, bottom left.
    """
    square = _Sides.of(framer.square(face))
    centre, x, y = square.centre, square.right / 2, square.down / 2
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


@dataclass(frozen=True, slots=True)
class _Sides:
    """A turned square in pixels: its centre, and its sides along rows and columns, as xy."""

    centre: NDArray[np.float64]
    right: NDArray[np.float64]
    down: NDArray[np.float64]

    @classmethod
    def of(cls, square: Square) -> _Sides:
        right = np.array([math.cos(square.roll), math.sin(square.roll)]) * square.side
        return cls(np.array(square.centre), right, np.array([-right[1], right[0]]))

    @property
    def span(self) -> float:
        """The longer side."""
        return float(max(np.hypot(*self.right), np.hypot(*self.down)))

    def scaled(self, by_xy: NDArray[np.float64]) -> _Sides:
        """Return it in an image of another size."""
        return _Sides(self.centre * by_xy, self.right * by_xy, self.down * by_xy)


def _cut(image: Image, square: _Sides, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the square in grey, at a size (height, width)."""
    height, width = size_hw
    side = min(size_hw)
    part, square = _around(image, square, side)
    per_pixel = min(max(1, math.ceil(square.span / side)), MAX_SAMPLES)
    step_x, step_y = square.right / (width * per_pixel), square.down / (height * per_pixel)
    corner = square.centre - (square.right + square.down) / 2
    sampled = fromarray(part).transform(
        (width * per_pixel, height * per_pixel),
        Transform.AFFINE,
        (step_x[0], step_y[0], corner[0], step_x[1], step_y[1], corner[1]),
        Resampling.BILINEAR,
    )
    return np.asarray(sampled.reduce(per_pixel))


def _around(image: Image, square: _Sides, side_px: int) -> tuple[NDArray[np.uint8], _Sides]:
    """Return what a square of any roll can touch, in grey, and the square in its pixels.

    Outside the image it is the nearest border pixels. A large square is shrunk to what is
    sampled at most, so that neither a face's size nor a box far too large costs memory.
    """
    limits = np.array(image.shape[1::-1])
    reach = square.span / math.sqrt(2) + 2
    # Beyond its reach outside the image, a square holds border pixels alone wherever it lies.
    centre = np.clip(square.centre, -reach, limits + reach)
    start = np.clip(np.floor(centre - reach), 0, limits - 1).astype(np.int64)
    end = np.clip(np.ceil(centre + reach), start + 1, limits).astype(np.int64)
    grey = fromarray(image[start[1] : end[1], start[0] : end[0]]).convert("L")

    shrink = max(1, int(square.span / (side_px * MAX_SAMPLES)))
    moved = _Sides((centre - start) / shrink, square.right / shrink, square.down / shrink)
    reach = moved.span / math.sqrt(2) + 2
    inside = np.asarray(grey.reduce(shrink))
    before = np.maximum(np.ceil(reach - moved.centre), 0).astype(int)
    after = np.maximum(np.ceil(moved.centre + reach - inside.shape[::-1]), 0).astype(int)
    widths = ((before[1], after[1]), (before[0], after[0]))
    padded = np.pad(inside, widths, mode="edge")
    return padded, _Sides(moved.centre + before, moved.right, moved.down)
