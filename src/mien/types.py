"""The words of mien: read this file first.

Arrays, by the names used everywhere:

    Image    uint8   (H, W, 3)       RGB, row 0 at the top
    Crops    uint8   (N, h, w, 1)    grey, 0-255, C-contiguous; h and w of the card; N may be 0
    Logits   float32 (N, C)          unnormalised; columns in the order of a head's labels

Coordinates are source pixels with the origin at the outer corner of the top left pixel;
x grows to the right, y downwards. Nothing here reads or writes anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CROP_HW",
    "EMOTIONS",
    "Box",
    "Crops",
    "Face",
    "Image",
    "Logits",
    "Point",
    "Reading",
    "Visibility",
]

Image: TypeAlias = NDArray[np.uint8]
Crops: TypeAlias = NDArray[np.uint8]
Logits: TypeAlias = NDArray[np.float32]

#: Height and width of FER2013's images in pixels. What a network takes is in its card.
CROP_HW = (48, 48)


#: The seven labels of FER2013, in the column order of the networks trained on it.
EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


class Box(NamedTuple):
    """A rectangle in source pixels: columns ``[x, x + w)``, rows ``[y, y + h)``.

    It may reach outside the image; whoever cuts it out pads.
    """

    x: int
    y: int
    w: int
    h: int


class Point(NamedTuple):
    """A position in source pixels, between pixels too."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Face:
    """A face that a detector found.

    Attributes:
        box: where it is.
        score: how sure the detector is, 0 to 1.
        landmarks: right eye, left eye, nose tip, right and left mouth corner, in that
            order, where right and left are the person's own: the right eye is on the
            left of the picture. Empty if the detector gives none.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] = ()

    def scaled(self, by_xy: tuple[float, float]) -> Face:
        """Return the face in an image that is ``by_xy`` times as wide and as high."""
        by_x, by_y = by_xy
        x, y, w, h = self.box
        start_x, start_y = round(x * by_x), round(y * by_y)
        size = round((x + w) * by_x) - start_x, round((y + h) * by_y) - start_y
        points = tuple(Point(each.x * by_x, each.y * by_y) for each in self.landmarks)
        return replace(self, box=Box(start_x, start_y, *size), landmarks=points)


@dataclass(frozen=True, slots=True)
class Visibility:
    """How well a face can be seen.

    Attributes:
        size_px: side of the square that was cut out, in pixels of the image; ``None`` where the
            crop came ready-made.
        sharpness: standard deviation of the crop's Laplacian in its own standard deviations, as
            the network sees it; 0 if it is flat. FER2013's pictures have 0.55 to 1.2.
        light: mean of the crop as it was in the image, 0 to 255.
        contrast: from its 2nd to its 98th percentile, 0 to 255.
        white: fraction of its pixels that are white.
        yaw: estimated, in degrees; positive where the nose points to the right of the image.
            ``None`` without landmarks.
        pitch: estimated, in degrees; positive where the face looks down. ``None`` likewise.
        outside: fraction of the square that lies beyond the image.
    """

    size_px: float | None
    sharpness: float
    light: float
    contrast: float
    white: float
    yaw: float | None = None
    pitch: float | None = None
    outside: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What one face was read as.

    Attributes:
        face: the face that was read.
        probabilities: one per label, each 0 to 1, sum 1, calibrated, unrounded.
        labels: the names of the columns, in the same order.
        set: the labels that hold the true one with the probability the model's card
            states (90 % unless it says otherwise), most probable first; never empty.
        uncertain: no single expression should be named; ``reasons`` say why.
        reasons: why the reading is uncertain, of :data:`mien.faces.REASONS` and
            ``expression unclear``; empty if it is not.
        visibility: how well the face can be seen; ``None`` where that is not known.
        identity: the same number for the same person over the frames of a video;
            ``None`` in a still picture.
    """

    face: Face
    probabilities: tuple[float, ...]
    labels: tuple[str, ...] = EMOTIONS
    set: tuple[str, ...] = ()
    uncertain: bool = False
    identity: int | None = None
    reasons: tuple[str, ...] = ()
    visibility: Visibility | None = None

    def scaled(self, by_xy: tuple[float, float]) -> Reading:
        """Return the reading with its face in an image of another size."""
        return replace(self, face=self.face.scaled(by_xy))

    @property
    def top(self) -> str:
        """The most probable label; the first in label order if several are equal."""
        return self.labels[max(range(len(self.labels)), key=self.probabilities.__getitem__)]

    @property
    def confidence(self) -> float:
        """The probability of :attr:`top`."""
        return max(self.probabilities)
