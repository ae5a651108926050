"""Figures of merit of resampled faces: what intervals, groups and comparisons stand on.

A figure is made of weighted counts, so that a resample is a vector of weights, and all
resamples are one matrix product. Where it is known who is in a picture, people are drawn
and not pictures: ten pictures of one person tell less than ten people.

Source:
    Efron, "Bootstrap Methods", 1979, percentile intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.calibration import calibration_bins, softmax
from mien.card import Calibration
from mien.errors import InputError
from mien.evaluation.metrics import Interval, prediction_sets
from mien.types import Logits

__all__ = ["Counts", "Figure", "Judged", "changes", "interval_of", "resampled"]

_BOOTSTRAPS = 1000
_BINS = 15
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Labelled faces as a model reads them.

    Attributes:
        logits: float32 (N, C), columns in the order of ``labels``.
        truth: int64 (N,), the true columns.
        confidence: the model's.
        people: (N,) the same text for the same person, empty where it is not known; ``()``
            if it is known of nobody.
    """

    logits: Logits
    truth: NDArray[np.int64]
    labels: tuple[str, ...]
    confidence: Calibration
    people: Sequence[str] = ()


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % bootstrap interval."""

    value: float
    interval: Interval


@dataclass(frozen=True)
class Counts:
    """What the figures are made of: one row a face, one column for each thing to count.

    The first C * C columns are the cells of the confusion matrix, true label by label read;
    the next 15 hold confidence less being right, in the column of the confidence's bin; the
    last hold what is only to be averaged.
    """

    columns: _Floats
    labels: tuple[str, ...]
    units: NDArray[np.int64]
    named: NDArray[np.bool_]

    _AVERAGED = ("top2_accuracy", "nll", "set_coverage", "mean_set_size", "answered")

    @classmethod
    def of(cls, judged: Judged) -> Counts:
        """Count every face; faces of the same person share a unit."""
        probabilities = softmax(judged.logits, judged.confidence.temperature)
        truth, rows = judged.truth, np.arange(len(judged.truth))
        classes = len(judged.labels)
        read, top = judged.logits.argmax(axis=1), probabilities.max(axis=1)
        own = probabilities[rows, truth]
        chosen = prediction_sets(probabilities, judged.confidence.set_threshold)
        cells = np.zeros((len(rows), classes * classes))
        cells[rows, truth * classes + read] = 1
        bins = np.zeros((len(rows), _BINS))
        bins[rows, calibration_bins(top, _BINS)] = top - (read == truth)
        averaged = (
            (probabilities > own[:, None]).sum(axis=1) < 2,
            -np.log(np.maximum(own, np.finfo(float).tiny)),
            chosen[rows, truth],
            chosen.sum(axis=1),
            top >= judged.confidence.abstain_below,
        )
        people = list(judged.people) or [""] * len(rows)
        names = [person or row for row, person in enumerate(people)]
        order = {name: unit for unit, name in enumerate(dict.fromkeys(names))}
        return cls(
            np.hstack([cells, bins, np.stack(averaged, axis=1)]),
            judged.labels,
            np.array([order[name] for name in names]),
            np.array([bool(person) for person in people]),
        )

    def per_unit(self, rows: NDArray[np.bool_]) -> tuple[_Floats, NDArray[np.int64]]:
        """Return the sums (U, columns) of each person, or face of an unknown one, and who."""
        people, index = np.unique(self.units[rows], return_inverse=True)
        sums = np.zeros((len(people), self.columns.shape[1]))
        np.add.at(sums, index, self.columns[rows])
        return sums, people

    def figures(self, sums: _Floats) -> dict[str, _Floats]:
        """Return every figure of sums (..., columns); NaN where there is nothing to average."""
        classes = len(self.labels)
        cells = sums[..., : classes * classes].reshape(*sums.shape[:-1], classes, classes)
        total = cells.sum(axis=(-2, -1))
        right = np.diagonal(cells, axis1=-2, axis2=-1)
        support, named = cells.sum(axis=-1), cells.sum(axis=-2)
        with np.errstate(invalid="ignore"):  # 0 / 0 where a class has no face
            recall = right / support
            f1 = np.where(support > 0, 2 * right / (support + named), np.nan)
        bins = sums[..., classes * classes : classes * classes + _BINS]
        averaged = sums[..., classes * classes + _BINS :] / total[..., None]
        return {
            "accuracy": right.sum(axis=-1) / total,
            "macro_f1": np.nanmean(f1, axis=-1),
            "ece": np.abs(bins).sum(axis=-1) / total,
            **{name: averaged[..., at] for at, name in enumerate(self._AVERAGED)},
            **{f"recall_{label}": recall[..., at] for at, label in enumerate(self.labels)},
        }


def resampled(sums: _Floats, generator: np.random.Generator) -> _Floats:
    """Return the totals (1000, columns) of as many units as there are, drawn with replacement.

    Args:
        sums: (U, columns), see :meth:`Counts.per_unit`.
    """
    units = len(sums)
    weights = np.full(units, 1 / units)
    return np.concatenate(
        [generator.multinomial(units, weights, size=100) @ sums for _ in range(_BOOTSTRAPS // 100)]
    )


def changes(before: Judged, after: Judged, *, seed: int = 0) -> dict[str, Figure]:
    """Return by how much each figure changed on the same faces, the later less the earlier.

    Each resample draws the same faces for both, so that what makes faces easy or hard to
    both does not widen the interval.

    Raises:
        InputError: the two are not of the same faces.
    """
    if len(before.truth) != len(after.truth) or (before.truth != after.truth).any():
        raise InputError("two readings can be compared on the same faces alone")
    first, second = Counts.of(before), Counts.of(after)
    every = np.ones(len(before.truth), bool)
    sums = np.hstack([first.per_unit(every)[0], second.per_unit(every)[0]])
    totals = np.vstack([sums.sum(axis=0), resampled(sums, np.random.default_rng(seed))])
    earlier, later = (
        counts.figures(part)
        for counts, part in zip((first, second), np.split(totals, 2, axis=1), strict=True)
    )
    found = {}
    for name, values in later.items():
        change = values - earlier[name]
        if np.isfinite(change[0]):
            found[name] = Figure(float(change[0]), interval_of(change[1:]))
    return found


def interval_of(draws: _Floats) -> Interval:
    """Return what holds 95 % of the draws; draws that are NaN are left out."""
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return Interval(float(low), float(high))
