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
class Reading:
    """What one face was read as.

    Attributes:
        face: the face that was read.
        probabilities: one per label, each 0 to 1, sum 1, calibrated, unrounded.
        labels: the names of the columns, in the same order.
        set: the labels that hold the true one with the probability the model's card
            states (90 % unless it says otherwise), most probable first; never empty.
        uncertain: the model would rather not name a single emotion.
        identity: the same number for the same person over the frames of a video;
            ``None`` in a still picture.
    """

    face: Face
    probabilities: tuple[float, ...]
    labels: tuple[str, ...] = EMOTIONS
    set: tuple[str, ...] = ()
    uncertain: bool = False
    identity: int | None = None

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
