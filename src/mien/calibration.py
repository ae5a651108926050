"""Probabilities that can be believed: pure functions on logits and probabilities.

Source:
    temperature scaling and ECE: Guo et al., "On Calibration of Modern Neural Networks",
    ICML 2017; the score that the temperature is fitted by: Brier, "Verification of Forecasts
    Expressed in Terms of Probability", 1950; prediction sets: Sadinle et al., "Least
    Ambiguous Set-Valued Classifiers", JASA 2019, with the finite-sample quantile of Vovk et
    al.'s split conformal prediction.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.card import Calibration
from mien.errors import InputError
from mien.types import Logits

__all__ = [
    "Probabilities",
    "abstention_threshold",
    "expected_calibration_error",
    "fit_calibration",
    "fit_temperature",
    "prediction_set",
    "set_threshold",
    "softmax",
]

#: float64 (N, C), rows summing to 1, columns in the card's label order.
Probabilities: TypeAlias = NDArray[np.float64]
_Truth: TypeAlias = NDArray[np.integer[Any]]


def softmax(logits: Logits, temperature: float = 1.0) -> Probabilities:
    """Return float64 (N, C), rows summing to 1, of ``logits / temperature``."""
    scaled = logits.astype(np.float64) / temperature
    with np.errstate(invalid="ignore"):  # infinite logits give NaN; who uses it looks
        weights = np.exp(scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def fit_temperature(logits: Logits, truth: _Truth) -> float:
    """Return the temperature with the least Brier score, between 0.05 and 20; to 0.01 %.

    The Brier score, unlike cross-entropy, does not follow the few rows whose label is all but
    impossible, of which noisy labels have many. With half of the held-out rows to fit on and
    the other half to judge by, it left Glance's confidence closer to its accuracy:
    ``docs/models.md``.

    Raises:
        InputError: there is no row, or not one truth for each.
    """
    _check_rows(logits, truth)
    grid = np.linspace(np.log(0.05), np.log(20.0), 61)  # one valley is deepest, not the only one
    best = int(np.argmin([_brier(logits, truth, np.exp(each)) for each in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    ratio = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if _brier(logits, truth, np.exp(left)) <= _brier(logits, truth, np.exp(right)):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def set_threshold(probabilities: Probabilities, truth: _Truth, coverage: float) -> float:
    """Return the least probability that a label in a prediction set has.

    With it, sets of exchangeable new rows hold the true label with at least ``coverage``
    probability, whatever the network. With too few rows to promise that, it is 0: every
    label belongs to every set.

    Raises:
        InputError: there is no row, or not one truth for each.
    """
    _check_rows(probabilities, truth)
    count = len(truth)
    scores = np.sort(probabilities[np.arange(count), truth])
    rank = count + 1 - math.ceil((count + 1) * coverage)  # from below: the smallest kept score
    return float(scores[rank - 1]) if rank >= 1 else 0.0


def prediction_set(
    probabilities: tuple[float, ...], labels: tuple[str, ...], threshold: float
) -> tuple[str, ...]:
    """Return the labels at least ``threshold`` probable, most probable first; never empty."""
    order = sorted(range(len(labels)), key=lambda column: -probabilities[column])
    chosen = tuple(labels[column] for column in order if probabilities[column] >= threshold)
    return chosen or (labels[order[0]],)


def abstention_threshold(probabilities: Probabilities, answered: float) -> float:
    """Return the top probability that the part ``answered`` of the rows reaches.

    Raises:
        InputError: there is no row.
    """
    if len(probabilities) == 0:
        raise InputError("expected at least one held-out row, got none")
    return float(np.quantile(probabilities.max(axis=1), 1 - answered))


def expected_calibration_error(
    probabilities: Probabilities, truth: _Truth, bins: int = 15
) -> float:
    """Return the mean distance of confidence from accuracy over equally wide bins.

    Weighted by the rows of a bin; 0 to 1, and 0 if there is no row.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    index = calibration_bins(confidence, bins)
    weight = np.bincount(index, minlength=bins)
    gap = np.abs(
        np.bincount(index, confidence, minlength=bins) - np.bincount(index, right, minlength=bins)
    )
    return float(gap.sum() / max(weight.sum(), 1))


def calibration_bins(confidence: NDArray[np.float64], bins: int = 15) -> NDArray[np.int64]:
    """Return the number of each confidence's bin; bins are equally wide, closed above."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def fit_calibration(
    logits: Logits, truth: _Truth, *, coverage: float = 0.9, answered: float = 0.8
) -> Calibration:
    """Fit everything that the card says about confidence, on held-out rows.

    Args:
        logits: float32 (N, C) of rows that were not trained on.
        truth: (N,) columns.
        coverage: of the prediction sets.
        answered: the part of readings that are to name one emotion; the rest is uncertain.

    Raises:
        InputError: there is no row, or not one truth for each.
    """
    temperature = fit_temperature(logits, truth)
    probabilities = softmax(logits, temperature)
    return Calibration(
        temperature=temperature,
        coverage=coverage,
        set_threshold=set_threshold(probabilities, truth, coverage),
        abstain_below=abstention_threshold(probabilities, answered),
    )


def _brier(logits: Logits, truth: _Truth, temperature: float) -> float:
    """Return the mean square distance of the probabilities from the truth, less 1."""
    probabilities = softmax(logits, temperature)
    of_truth = probabilities[np.arange(len(truth)), truth]
    return float((np.square(probabilities).sum(axis=1) - 2 * of_truth).mean())


def _check_rows(values: NDArray[np.floating[Any]], truth: _Truth) -> None:
    if len(values) == 0 or len(values) != len(truth):
        raise InputError(
            "expected at least one held-out row and one truth for each, "
            f"got {len(values)} and {len(truth)}"
        )
