"""What a reading rests on: hide a crop bit by bit, and see where its label suffers.

    (explanation,) = explain(predictor, crops)
    explanation.heatmap        # float32 (h, w): how much each place matters
    explanation.region         # the square that matters most, and
    explanation.hidden         # how probable the label is without it

Of the crops of FER2013, the square that is named costs the label more than almost any other
of its size: ``tests/test_explain.py`` holds that. A map tells what the network looks at, not
whether it is right to.

Source:
    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014.
    RISE's random masks (Petsiuk et al., BMVC 2018) named no better places at four times the
    cost, and patches with soft edges named worse ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.calibration import Probabilities
from mien.errors import ConfigError
from mien.faces import Framer, crop_corners
from mien.predictor import Predictor
from mien.runtime import check_crops
from mien.text import percent
from mien.types import Box, Crops, Face

__all__ = [
    "Explanation",
    "Heatmap",
    "Occlusion",
    "column_of",
    "cover",
    "explain",
    "in_words",
    "part_of_face",
    "region_of",
]

#: float32 (h, w), in the pixels of a crop; what its values mean, says who made it.
Heatmap: TypeAlias = NDArray[np.float32]

# A fall of probability that nobody would call one.
_NO_FALL = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What the probability of one label rests on in one crop.

    Attributes:
        label: the label that is explained.
        probability: of the label, 0 to 1, as in the reading.
        heatmap: float32 (h, w), row 0 at the top. By occlusion, each value is the mean fall
            of the label's probability over the patches that hide its place, those around it
            counting most, from -1 to 1: above 0 the reading rests on the place, below 0 the
            place speaks against it, and about 0 it does not matter. By Grad-CAM, values are 0
            to 1 without a unit, and the largest is 1 if any is above 0.
        region: the square, in pixels of the crop, that matters most. By occlusion, the patch
            that costs the label most.
        hidden: the probability of the label with that square hidden.
    """

    label: str
    probability: float
    heatmap: Heatmap
    region: Box
    hidden: float


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Hides a crop behind one patch at a time, a square of the crop's mean grey.

    Attributes:
        patch_px: the patch's side, at least 2 and at most the crop's.
        stride_px: from a patch to the next, 1 to ``patch_px``, so that nothing is left out.
            Time grows with its inverse square: 81 hidden crops at 4.

    Raises:
        ConfigError: a value is out of range.
    """

    patch_px: int = 16
    stride_px: int = 4

    def __post_init__(self) -> None:
        if self.patch_px < 2:
            raise ConfigError(f"patch_px must be at least 2, not {self.patch_px}")
        if not 1 <= self.stride_px <= self.patch_px:
            raise ConfigError(
                f"stride_px must be 1 to patch_px, {self.patch_px}, not {self.stride_px}"
            )

    def patches(self, size_hw: tuple[int, int]) -> list[Box]:
        """Return the patches of a crop, row by row; the last ones end at its edges.

        Raises:
            ConfigError: a patch is larger than the crop.
        """
        side = self.patch_px
        if side > min(size_hw):
            raise ConfigError(f"patch_px must be at most the crop's {min(size_hw)}, not {side}")
        rows, columns = (self._starts(length) for length in size_hw)
        return [Box(column, row, side, side) for row in rows for column in columns]

    def batch(self, crop: Crops) -> Crops:
        """Return the crop (1, height, width, 1), and then once for each patch, hidden by it."""
        patches = self.patches((crop.shape[1], crop.shape[2]))
        return np.concatenate([crop, *(cover(crop, patch) for patch in patches)])

    def heatmap(self, falls: NDArray[np.float64], size_hw: tuple[int, int]) -> Heatmap:
        """Return the mean of the falls (N,) of the patches over each pixel."""
        down, across = (self._closeness(length) for length in size_hw)
        grid = falls.reshape(len(down), len(across))
        sums = down.T @ grid @ across
        return np.asarray(sums / np.outer(down.sum(axis=0), across.sum(axis=0)), np.float32)

    def explanation(
        self,
        probabilities: Probabilities,
        labels: tuple[str, ...],
        size_hw: tuple[int, int],
        column: int | None = None,
    ) -> Explanation:
        """Explain one crop by what the network gave for its :meth:`batch`.

        Args:
            probabilities: (1 + patches, C), in the order of the batch.
            labels: of the columns.
            size_hw: of the crop.
            column: of the label to explain; the crop's most probable one if ``None``.
        """
        own, hidden = probabilities[0], probabilities[1:]
        column = int(own.argmax()) if column is None else column
        left = hidden[:, column]
        worst = int(left.argmin())
        return Explanation(
            labels[column],
            float(own[column]),
            self.heatmap(own[column] - left, size_hw),
            self.patches(size_hw)[worst],
            float(left[worst]),
        )

    def _starts(self, length: int) -> list[int]:
        last = length - self.patch_px
        return sorted({*range(0, last + 1, self.stride_px), last})

    def _closeness(self, length: int) -> NDArray[np.float64]:
        """Return the weight of each pixel in each patch along a side: 1 in the middle, then less.

        At a patch's edges it comes to 0, so that the map shows none of them.
        """
        middles = np.array(self._starts(length)) + self.patch_px / 2
        distance = np.abs(np.arange(length) + 0.5 - middles[:, None])
        return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.minimum(2 * distance / self.patch_px, 1)))


def explain(
    predictor: Predictor,
    crops: Crops,
    label: str | None = None,
    occlusion: Occlusion | None = None,
) -> tuple[Explanation, ...]:
    """Explain the label of each crop, by occlusion.

    Args:
        crops: uint8 (N, h, w, 1), of the size in the network's card.
        label: one of the card's; each crop's most probable one if ``None``.

    Raises:
        InputError: the crops are not of the card's size.
        ConfigError: the model has no such label.
    """
    check_crops(crops, predictor.card)
    column = None if label is None else column_of(label, predictor.card.name, predictor.labels)
    occlusion = occlusion or Occlusion()
    size_hw = (crops.shape[1], crops.shape[2])
    found = []
    for at in range(len(crops)):
        logits = predictor.classify(occlusion.batch(crops[at : at + 1]))
        probabilities = predictor.probabilities(logits)
        found.append(occlusion.explanation(probabilities, predictor.labels, size_hw, column))
    return tuple(found)


def region_of(heatmap: Heatmap, share: float = 1 / 3) -> Box:
    """Return the square where the map's sum is greatest, the first of several equal ones.

    Args:
        share: its side as a part of the map's shorter one.
    """
    side = max(1, round(min(heatmap.shape) * share))
    sums = np.pad(heatmap.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    row, column = np.unravel_index(int(windows.argmax()), windows.shape)
    return Box(int(column), int(row), side, side)


def cover(crops: Crops, region: Box) -> Crops:
    """Return a copy of crops (N, height, width, 1), a square of each in its mean grey."""
    covered: Crops = crops.copy()
    rows, columns = slice(region.y, region.y + region.h), slice(region.x, region.x + region.w)
    covered[:, rows, columns] = np.rint(_neutral(crops))
    return covered


def in_words(explanation: Explanation, face: Face, framer: Framer) -> str:
    """Return an explanation as a clause: which part it rests on, and what hiding that changes."""
    part = part_of_face(explanation.region, face, framer) or "one place"
    it = "them" if " and " in part or part == "the eyes" else "it"
    label, before, after = explanation.label, explanation.probability, explanation.hidden
    if before - after < _NO_FALL:
        return f"rests on no place alone: with {part} hidden, {label} stays at {percent(after)}"
    return (
        f"rests mostly on {part}: with {it} hidden, {label} falls from {percent(before)} "
        f"to {percent(after)}"
    )


def part_of_face(region: Box, face: Face, framer: Framer) -> str:
    """Say in words what lies in a region of a face's crop: "the eyes and the nose".

    Empty if the face has no landmarks.
    """
    if len(face.landmarks) < 5:
        return ""
    points = _in_crop(face, framer)
    inside = [
        region.x <= x < region.x + region.w and region.y <= y < region.y + region.h
        for x, y in points.tolist()
    ]
    names = [
        ("", "an eye", "the eyes")[sum(inside[:2])],
        "the nose" if inside[2] else "",
        "the mouth" if any(inside[3:]) else "",
    ]
    if any(names):
        *first, last = filter(None, names)
        return f"{', '.join(first)} and {last}" if first else last
    middle = region.y + region.h / 2
    if middle < points[:2, 1].mean():
        return "the forehead"
    return "the chin" if middle > points[3:5, 1].mean() else "a cheek"


def _in_crop(face: Face, framer: Framer) -> NDArray[np.float64]:
    """Return the five landmarks, and the mouth's middle, as xy in crop pixels (6, 2)."""
    top_left, top_right, _, bottom_left = np.array(crop_corners(face, framer))
    axes = np.stack([top_right - top_left, bottom_left - top_left])
    points = np.array(face.landmarks[:5])
    points = np.concatenate([points, points[3:5].mean(axis=0, keepdims=True)])
    return np.asarray(
        (points - top_left) @ axes.T / (axes**2).sum(axis=1) * framer.framing.size_hw[::-1]
    )


def column_of(label: str, model: str, labels: tuple[str, ...]) -> int:
    """Return the column of a label of a model.

    Raises:
        ConfigError: the model has no such label.
    """
    if label not in labels:
        raise ConfigError(f"{model} has no label '{label}': choose one of {', '.join(labels)}")
    return labels.index(label)


def _neutral(crops: Crops) -> NDArray[np.float32]:
    """Return the mean grey of each crop: (N, 1, 1, 1)."""
    return np.asarray(crops.mean(axis=(1, 2, 3), keepdims=True), np.float32)
