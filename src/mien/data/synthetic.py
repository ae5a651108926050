"""A small FER2013 of drawn faces, to try everything without anybody's picture.

Cartoons of seven expressions, each a little different, with votes like FER+'s. A network
that reads them reads cartoons: nothing measured on them says anything about people.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mien.data import FERPLUS_LABELS
from mien.data.layouts import CSV_LABELS
from mien.types import CROP_HW, EMOTIONS

__all__ = ["ROWS", "draw_face", "write_drawn"]

#: Faces of each emotion, by split.
ROWS: Mapping[str, int] = {"Training": 60, "PublicTest": 12, "PrivateTest": 12}

_LARGER = 4  # drawn this much larger, so that lines are smooth when it is scaled down
_SIDE_PX = CROP_HW[0] * _LARGER
_VOTERS = 10
_OF_FERPLUS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "sad": "sadness",
    "surprise": "surprise",
}


@dataclass(frozen=True)
class _Look:
    """What makes an expression; lengths in parts of the head's radius.

    Attributes:
        brow_tilt: how much higher the inner end of a brow is than the outer.
        brow_lift: how far brows are above their place at rest.
        eye: half the height of an opened eye.
        mouth: how far the corners of the mouth are above its middle.
        gape: half the height of an opened mouth.
        nose: wrinkles beside the nose.
    """

    brow_tilt: float = 0.0
    brow_lift: float = 0.0
    eye: float = 0.13
    mouth: float = 0.0
    gape: float = 0.0
    nose: bool = False


_LOOKS = {
    "angry": _Look(brow_tilt=-0.2, brow_lift=-0.08, eye=0.1, mouth=-0.12),
    "disgust": _Look(brow_tilt=-0.1, brow_lift=-0.06, eye=0.05, mouth=-0.16, nose=True),
    "fear": _Look(brow_tilt=0.16, brow_lift=0.12, eye=0.2, mouth=-0.1, gape=0.1),
    "happy": _Look(brow_lift=0.03, eye=0.09, mouth=0.24, gape=0.03),
    "neutral": _Look(),
    "sad": _Look(brow_tilt=0.2, eye=0.1, mouth=-0.2),
    "surprise": _Look(brow_lift=0.18, eye=0.2, gape=0.22),
}


def draw_face(emotion: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a face.

    Args:
        emotion: the column in :data:`mien.types.EMOTIONS`.

    Returns:
        uint8 (48, 48), grey.
    """
    skin, paper = generator.integers(120, 226), generator.integers(20, 236)
    hair = int(generator.integers(15, 90))
    picture = Image.new("L", (_SIDE_PX, _SIDE_PX), int(paper))
    radius = _SIDE_PX * generator.uniform(0.36, 0.43)
    centre = _SIDE_PX / 2 + generator.uniform(-0.04, 0.04, 2) * _SIDE_PX
    _Face(ImageDraw.Draw(picture), centre, radius).draw(
        _vary(_LOOKS[EMOTIONS[emotion]], generator), int(skin), hair
    )
    tilted = picture.rotate(generator.normal(0, 5), Image.Resampling.BILINEAR, fillcolor=int(paper))
    blurred = tilted.filter(ImageFilter.GaussianBlur(generator.uniform(0, 1.2) * _LARGER / 2))
    small = np.asarray(blurred.resize(CROP_HW, Image.Resampling.BOX), np.float64)
    slope = np.linspace(-1, 1, CROP_HW[1]) * generator.normal(0, 18)
    noise = generator.normal(0, generator.uniform(3, 11), CROP_HW)
    return np.clip(np.rint(small + slope + noise), 0, 255).astype(np.uint8)


def write_drawn(folder: Path, rows: Mapping[str, int] = ROWS, seed: int = 0) -> tuple[Path, Path]:
    """Write ``fer2013.csv`` and ``fer2013new.csv`` of drawn faces, and return their paths.

    Args:
        rows: faces of each emotion, by split.
    """
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    data, votes = folder / "fer2013.csv", folder / "fer2013new.csv"
    with (
        data.open("w", newline="", encoding="utf-8") as left,
        votes.open("w", newline="", encoding="utf-8") as right,
    ):
        faces, people = csv.writer(left), csv.writer(right)
        faces.writerow(["emotion", "pixels", "Usage"])
        people.writerow(["Usage", "Image name", *FERPLUS_LABELS, "unknown", "NF"])
        for usage, count in rows.items():
            for index in range(count * len(CSV_LABELS)):
                number = index % len(CSV_LABELS)
                emotion = CSV_LABELS[number]
                pixels = draw_face(EMOTIONS.index(emotion), generator).ravel()
                faces.writerow([number, " ".join(map(str, pixels)), usage])
                people.writerow([usage, "", *_votes(emotion, generator)])
    return data, votes


def _vary(look: _Look, generator: np.random.Generator) -> _Look:
    strength = generator.uniform(0.55, 1.1)
    shake = generator.normal(0, 0.015, 3)
    return _Look(
        brow_tilt=look.brow_tilt * strength + shake[0],
        brow_lift=look.brow_lift * strength + shake[1],
        eye=look.eye * generator.uniform(0.85, 1.15),
        mouth=look.mouth * strength + shake[2],
        gape=look.gape * strength,
        nose=look.nose,
    )


def _votes(emotion: str, generator: np.random.Generator) -> list[int]:
    """Return ten votes over FER+'s eight categories, unknown and no-face."""
    share = np.full(len(FERPLUS_LABELS), 0.02)
    share[FERPLUS_LABELS.index(_OF_FERPLUS[emotion])] = 1
    return [*generator.multinomial(_VOTERS, share / share.sum()).tolist(), 0, 0]


class _Face:
    """A pen whose unit is the radius of the head."""

    def __init__(
        self, pen: ImageDraw.ImageDraw, centre: NDArray[np.float64], radius: float
    ) -> None:
        self._pen, self._centre, self._radius = pen, centre, radius

    def draw(self, look: _Look, skin: int, hair: int) -> None:
        self._oval(0, -0.12, 1.04, 1.08, hair)
        self._oval(0, 0.05, 0.92, 1.05, skin)
        for side in (-1, 1):
            self._eye(side, look, skin)
            inner, outer = -0.42 - look.brow_lift - look.brow_tilt, -0.42 - look.brow_lift
            self._line([(side * 0.16, inner), (side * 0.58, outer)], hair, 0.09)
            if look.nose:
                self._line([(side * 0.09, 0.02), (side * 0.24, 0.18)], skin // 2, 0.05)
        self._line([(0.02, -0.05), (-0.06, 0.24), (0.07, 0.26)], int(skin * 0.7), 0.05)
        self._mouth(look, skin)

    def _eye(self, side: int, look: _Look, skin: int) -> None:
        self._oval(side * 0.37, -0.16, 0.19, look.eye, min(255, skin + 50))
        self._oval(side * 0.37, -0.16, 0.085, min(0.085, look.eye), 20)

    def _mouth(self, look: _Look, skin: int) -> None:
        along = np.linspace(-1, 1, 15)
        middle = 0.58 - look.mouth * (along**2 - 0.5)
        opened = look.gape * (1 - along**2)
        upper = list(zip(0.36 * along, middle - opened, strict=True))
        lower = list(zip(0.36 * along, middle + opened, strict=True))
        if look.gape > 0:
            points = [self._at(*point) for point in (*upper, *reversed(lower))]
            self._pen.polygon(points, fill=35)
        self._line(upper, skin // 3, 0.06)
        self._line(lower, skin // 3, 0.06)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (self._centre[0] + x * self._radius, self._centre[1] + y * self._radius)

    def _oval(self, x: float, y: float, half_width: float, half_height: float, grey: int) -> None:
        start = self._at(x - half_width, y - half_height)
        end = self._at(x + half_width, y + half_height)
        self._pen.ellipse([*start, *end], fill=grey)

    def _line(self, points: list[tuple[float, float]], grey: int, width: float) -> None:
        self._pen.line(
            [self._at(*point) for point in points],
            fill=grey,
            width=max(1, round(width * self._radius)),
            joint="curve",
        )
