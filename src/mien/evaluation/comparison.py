"""Two models on the same labelled faces: what changed, and whether the faces can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.calibration import fit_temperature
from mien.card import ModelCard
from mien.evaluation.resample import Counts, Figure, Judged, changes
from mien.types import Logits

__all__ = ["ENOUGH_LABELLED", "Comparison", "compare", "verdict"]

#: So many labelled faces it takes to fit a temperature: one number, from rows that differ.
ENOUGH_LABELLED = 100

_FOLDS = 5


@dataclass(frozen=True)
class Comparison:
    """The model before and after, on the same labelled faces.

    Attributes:
        count: how many faces.
        before: figures by name; see :class:`~mien.evaluation.groups.GroupScore`.
        after: with the new statistics and the old temperature.
        change: after less before, with 95 % bootstrap intervals over faces.
        fitted_ece: the calibration error after, with a temperature fitted on the other
            faces (in five parts, each read with that of the other four); ``None`` if there
            are too few.
    """

    count: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    change: Mapping[str, Figure]
    fitted_ece: float | None


def compare(
    card: ModelCard,
    before: Logits,
    after: Logits,
    truth: NDArray[np.int64],
    people: Sequence[str] = (),
    *,
    seed: int = 0,
) -> Comparison:
    """Hold the logits of both networks for the same labelled faces against the truth.

    Args:
        people: (N,) the same text for the same person, empty where not known.

    Raises:
        InputError: there is no face, or not one truth for each.
    """
    earlier, later = (
        Judged(logits, truth, card.labels, card.calibration, people) for logits in (before, after)
    )
    fitted_ece = None
    parts = np.random.default_rng(seed).permutation(len(truth)) % _FOLDS
    part = parts[Counts.of(later).units]  # a person is in one part alone
    if len(truth) >= ENOUGH_LABELLED and len(np.unique(part)) > 1:
        scaled = after / _cross_fitted(after, truth, part)[:, None]
        level = replace(card.calibration, temperature=1.0)
        fitted_ece = _figures(Judged(scaled, truth, card.labels, level))["ece"]
    return Comparison(
        len(truth),
        _figures(earlier),
        _figures(later),
        changes(earlier, later, seed=seed),
        fitted_ece,
    )


def verdict(comparison: Comparison) -> str:
    """Return one sentence on whether the adaptation helped, as far as the faces can tell."""
    change = comparison.change["accuracy"]
    low, high = change.interval.low, change.interval.high
    moved = f"accuracy {100 * change.value:+.1f} points"
    span = f"{moved}, 95 %: {100 * low:+.1f} to {100 * high:+.1f}"
    if low > 0:
        return f"the adaptation helped: {span}"
    if high < 0:
        return f"the adaptation did harm, so keep the model as it was: {span}"
    return f"no difference that {comparison.count} pictures can show: {span}"


def _cross_fitted(
    logits: Logits, truth: NDArray[np.int64], part: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return each row's temperature, fitted on the parts that the row is not in."""
    temperatures = np.ones(len(truth), np.float32)
    for each in np.unique(part):
        inside = part == each
        temperatures[inside] = fit_temperature(logits[~inside], truth[~inside])
    return temperatures


def _figures(judged: Judged) -> dict[str, float]:
    counts = Counts.of(judged)
    figures = counts.figures(counts.columns.sum(axis=0))
    return {name: float(value) for name, value in figures.items() if np.isfinite(value)}
