"""Figures of merit: pure functions from logits and true labels to numbers.

Nothing here is fitted: temperature and thresholds come from the model's card, where they
were fitted on held-out Training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from mien.calibration import (
    Probabilities,
    calibration_bins,
    expected_calibration_error,
    softmax,
)
from mien.card import Calibration
from mien.errors import InputError
from mien.types import Logits

__all__ = [
    "ClassScore",
    "Curve",
    "Interval",
    "Scores",
    "SetSize",
    "accuracy",
    "accuracy_and_loss",
    "accuracy_coverage",
    "accuracy_interval",
    "ece_by_chance",
    "prediction_sets",
    "reliability",
    "score",
]

_Truth = NDArray[np.integer[Any]]
_BOOTSTRAPS = 10_000
_CHANCES = 100


@dataclass(frozen=True)
class Interval:
    """Holds the true value in 95 % of repetitions; parts of 1."""

    low: float
    high: float


@dataclass(frozen=True)
class ClassScore:
    """How one class fares; ``support`` is its number of rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class SetSize:
    """The prediction sets of one size: on how many rows, and how often they hold the truth."""

    labels: int
    count: int
    coverage: float


@dataclass(frozen=True)
class Scores:
    """Everything that is said about one model on one set of rows; parts of 1.

    Attributes:
        accuracy_interval: bootstrap over rows, 95 %.
        nll: negative log-likelihood in nats, after the card's temperature.
        ece: expected calibration error over 15 bins, after the card's temperature.
        ece_by_chance: what ``ece`` would be on average were every confidence true; see
            :func:`ece_by_chance`.
        set_coverage: part of the prediction sets that hold the true label.
        mean_set_size: labels in a prediction set.
        set_sizes: the sets by their number of labels, from one label to all.
        uncertain: number of rows that the card's ``abstain_below`` marks as uncertain.
        answered: part of the other rows, which are named.
        accuracy_answered: accuracy on those.
        accuracy_at_80: accuracy on the 80 % of rows with the highest confidence.
        confusion: rows are true labels, columns are what was read, both in label order.
    """

    count: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    weighted_f1: float
    top2_accuracy: float
    nll: float
    ece: float
    ece_by_chance: float
    set_coverage: float
    mean_set_size: float
    set_sizes: tuple[SetSize, ...]
    uncertain: int
    answered: float
    accuracy_answered: float
    accuracy_at_80: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Curve:
    """Points of a plot; ``weight`` is the part of all rows behind each."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    weight: NDArray[np.float64]


def score(
    logits: Logits, truth: _Truth, labels: tuple[str, ...], confidence: Calibration
) -> Scores:
    """Judge logits (N, C) against true columns (N,).

    Raises:
        InputError: there is no row, or not one truth for each.
    """
    if len(logits) == 0 or len(logits) != len(truth):
        raise InputError(
            f"expected at least one row and one truth for each, got {len(logits)} and {len(truth)}"
        )
    columns = np.arange(len(labels))
    probabilities = softmax(logits, confidence.temperature)
    read, top = logits.argmax(axis=1), probabilities.max(axis=1)
    right = read == truth
    answered = top >= confidence.abstain_below
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, read, labels=columns, zero_division=0.0
    )
    chosen = prediction_sets(probabilities, confidence.set_threshold)
    return Scores(
        count=len(truth),
        accuracy=accuracy(read, truth),
        accuracy_interval=accuracy_interval(right),
        macro_f1=float(f1[support > 0].mean()),
        weighted_f1=float(np.average(f1, weights=support)),
        top2_accuracy=_top2_accuracy(probabilities, truth),
        nll=float(log_loss(truth, probabilities, labels=columns)),
        ece=expected_calibration_error(probabilities, truth),
        ece_by_chance=ece_by_chance(probabilities),
        set_coverage=float(chosen[np.arange(len(truth)), truth].mean()),
        mean_set_size=float(chosen.sum(axis=1).mean()),
        set_sizes=_set_sizes(chosen, truth),
        uncertain=int((~answered).sum()),
        answered=float(answered.mean()),
        accuracy_answered=float(right[answered].mean()) if answered.any() else 0.0,
        accuracy_at_80=_at_coverage(accuracy_coverage(probabilities, truth), 0.8),
        per_class=tuple(
            ClassScore(label, float(p), float(r), float(f), int(count))
            for label, p, r, f, count in zip(labels, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(
            tuple(row) for row in confusion_matrix(truth, read, labels=columns).tolist()
        ),
    )


def accuracy(read: _Truth, truth: _Truth) -> float:
    """Return the fraction of rows (N,) in which two columns are the same, N at least 1."""
    return float((read == truth).mean())


def _top2_accuracy(probabilities: Probabilities, truth: _Truth) -> float:
    """Return how often the truth is one of the two most probable labels; scikit-learn's
    function refuses two labels.
    """
    two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return float((two == truth[:, None]).any(axis=1).mean())


def accuracy_and_loss(logits: Logits, truth: _Truth) -> tuple[float, float]:
    """Return the accuracy, a part of 1, and the cross-entropy in nats, uncalibrated."""
    columns = np.arange(logits.shape[1])
    loss = float(log_loss(truth, softmax(logits), labels=columns))
    return accuracy(logits.argmax(axis=1), truth), loss


def accuracy_interval(right: NDArray[np.bool_], seed: int = 0) -> Interval:
    """Return the 95 % bootstrap interval of the mean of right and wrong answers.

    Drawing N rows with replacement and counting the right ones is one binomial draw, so
    that 10,000 repetitions cost nothing.

    Source:
        Efron, "Bootstrap Methods", 1979; the percentile interval.
    """
    draws = np.random.default_rng(seed).binomial(len(right), right.mean(), _BOOTSTRAPS)
    low, high = np.quantile(draws / len(right), (0.025, 0.975))
    return Interval(float(low), float(high))


def ece_by_chance(probabilities: NDArray[np.float64], bins: int = 15, seed: int = 0) -> float:
    """Return the mean calibration error of as many rows whose confidences are all true.

    Of few rows, more or fewer than promised are right by chance, and the error counts
    either; one that is not above this shows nothing wrong.

    Source:
        Broecker and Smith, "Increasing the Reliability of Reliability Diagrams", Weather and
        Forecasting, 2007: consistency resampling.
    """
    top = probabilities.max(axis=1)
    right = np.random.default_rng(seed).random((_CHANCES, len(top))) < top
    cells = calibration_bins(top, bins) + bins * np.arange(_CHANCES)[:, None]
    gaps = np.bincount(cells.ravel(), (right - top).ravel(), minlength=bins * _CHANCES)
    return float(np.abs(gaps).sum() / (_CHANCES * max(len(top), 1)))


def prediction_sets(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Mark each row's prediction set: bool (N, C), as :func:`mien.calibration.prediction_set`.

    The labels at least ``threshold`` probable, and the most likely one in any case: a set is
    never empty.
    """
    chosen = probabilities >= threshold
    chosen[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return np.asarray(chosen)


def reliability(probabilities: NDArray[np.float64], truth: _Truth, bins: int = 15) -> Curve:
    """Return mean confidence and accuracy of each equally wide bin that holds rows."""
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    index = calibration_bins(top, bins)
    count = np.bincount(index, minlength=bins)
    full = count > 0
    sums = (np.bincount(index, values, minlength=bins)[full] for values in (top, right))
    confidence, accuracy = (total / count[full] for total in sums)
    return Curve(confidence, accuracy, count[full] / len(truth))


def accuracy_coverage(probabilities: NDArray[np.float64], truth: _Truth) -> Curve:
    """Return the accuracy when only the most confident part of the rows is answered.

    Source:
        Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", 2017.
    """
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    right = (probabilities.argmax(axis=1) == truth)[order]
    answered = np.arange(1, len(truth) + 1)
    coverage = answered / len(truth)
    return Curve(coverage, np.cumsum(right) / answered, np.full(len(truth), 1 / len(truth)))


def _set_sizes(chosen: NDArray[np.bool_], truth: _Truth) -> tuple[SetSize, ...]:
    sizes = chosen.sum(axis=1)
    held = chosen[np.arange(len(truth)), truth]
    rows = [sizes == size for size in range(1, chosen.shape[1] + 1)]
    return tuple(
        SetSize(size, int(of.sum()), float(held[of].mean()) if of.any() else 0.0)
        for size, of in enumerate(rows, start=1)
    )


def _at_coverage(curve: Curve, coverage: float) -> float:
    return float(curve.y[np.searchsorted(curve.x, coverage)])
