"""How a model reads test faces that light, sharpness, framing or cover have spoilt.

A fixed, seeded sample of the test rows is degraded in every way and strength of
:mod:`mien.evaluation.degradations`; so is what shows no expression at all. What matters most is how
often a reading is wrong without being marked uncertain.

Source:
    Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations", ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from mien.calibration import expected_calibration_error, softmax
from mien.data import Dataset
from mien.errors import DataError
from mien.evaluation.degradations import DEGRADATIONS, STRENGTHS, UNREADABLE, degrade, unreadable
from mien.evaluation.evaluate import TEST_SPLITS, classify
from mien.evaluation.report import Part
from mien.runtime import Session
from mien.types import Crops, Logits

__all__ = [
    "Degraded",
    "Robustness",
    "Unreadable",
    "card_figures",
    "degradations_part",
    "evaluate_degradations",
    "from_report",
    "plot_degradations",
    "sample_test_rows",
]

ROWS = 1000
UNREADABLE_CROPS = 100  # of each kind
_SEED = 2019
_VOTES = 5  # of ten: a row counts as unreadable from this many for "unknown" or "no face"

_Truth = NDArray[np.int64]


@dataclass(frozen=True)
class Degraded:
    """Figures on rows degraded in one way; fractions of the rows, sets in labels.

    Attributes:
        kind: a key of ``DEGRADATIONS``; ``clean`` at strength 0; ``all`` for the mean over kinds.
        wrong_answered: wrong and not marked uncertain.
    """

    kind: str
    strength: int
    accuracy: float
    ece: float
    set_coverage: float
    mean_set_size: float
    answered: float
    wrong_answered: float


@dataclass(frozen=True)
class Unreadable:
    """How many crops without an expression are answered all the same."""

    kind: str
    count: int
    answered: float


@dataclass(frozen=True)
class Robustness:
    """All figures of one model.

    Attributes:
        rows: how many rows each figure is measured on.
        degraded: ``clean``, every kind at every strength, then ``all`` at every strength.
        unreadable: every kind of crop without an expression, then ``all``.
    """

    rows: int
    degraded: tuple[Degraded, ...]
    unreadable: tuple[Unreadable, ...]

    def at(self, kind: str, strength: int) -> Degraded:
        """Return the figures of one kind and strength."""
        return next(d for d in self.degraded if (d.kind, d.strength) == (kind, strength))


def sample_test_rows(dataset: Dataset, count: int = ROWS) -> Dataset:
    """Return the same ``count`` test rows every time, or all if there are fewer.

    Raises:
        DataError: there is no test row.
    """
    rows = dataset.rows(*(name for names in TEST_SPLITS for name in names))
    if len(rows) == 0:
        raise DataError("the data has no test rows: expected PublicTest, PrivateTest or test/")
    chosen = np.random.default_rng(_SEED).permutation(rows)[:count]
    return dataset.take(np.sort(chosen))


def evaluate_degradations(
    session: Session, rows: Dataset, on_crops: Callable[[int, int], None] = lambda done, total: None
) -> Robustness:
    """Measure the session's head ``emotion`` on ``rows``, degraded in every way.

    Args:
        rows: labelled crops, as :func:`sample_test_rows` returns them.
        on_crops: called with (done, total) as crops are classified.
    """
    total = len(rows) * (1 + len(DEGRADATIONS) * len(STRENGTHS))
    total += len(UNREADABLE) * UNREADABLE_CROPS
    done = 0

    def count(crops: int) -> None:
        nonlocal done
        done += crops
        on_crops(min(done, total), total)

    def read(crops: Crops) -> Logits:
        return classify(session, crops, on_batch=count)[session.card.default_head]

    found = [_measured("clean", 0, session, read(rows.crops), rows.emotion)]
    for number, kind in enumerate(DEGRADATIONS):
        for strength in STRENGTHS:
            generator = np.random.default_rng([_SEED, number, strength])
            crops = degrade(rows.crops, kind, strength, generator)
            found.append(_measured(kind, strength, session, read(crops), rows.emotion))
    found += [_mean([d for d in found if d.strength == strength]) for strength in STRENGTHS]
    return Robustness(len(rows), tuple(found), tuple(_unreadable(session, rows, read)))


def _measured(
    kind: str, strength: int, session: Session, logits: Logits, truth: _Truth
) -> Degraded:
    confidence = session.card.calibration
    probabilities = softmax(logits, confidence.temperature)
    top, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    chosen = probabilities >= confidence.set_threshold
    chosen[np.arange(len(truth)), probabilities.argmax(axis=1)] = True  # a set is never empty
    answered = top >= confidence.abstain_below
    return Degraded(
        kind,
        strength,
        accuracy=float(right.mean()),
        ece=expected_calibration_error(probabilities, truth),
        set_coverage=float(chosen[np.arange(len(truth)), truth].mean()),
        mean_set_size=float(chosen.sum(axis=1).mean()),
        answered=float(answered.mean()),
        wrong_answered=float((answered & ~right).mean()),
    )


def _mean(found: Sequence[Degraded]) -> Degraded:
    figures = [asdict(each) for each in found]
    names = [name for name in figures[0] if name not in ("kind", "strength")]
    means = {name: float(np.mean([each[name] for each in figures])) for name in names}
    return Degraded("all", found[0].strength, **means)


def _unreadable(
    session: Session, rows: Dataset, read: Callable[[Crops], Logits]
) -> list[Unreadable]:
    confidence = session.card.calibration
    sets: dict[str, Crops] = {}
    for number, kind in enumerate(UNREADABLE):
        generator = np.random.default_rng([_SEED, 100 + number])
        made = [
            unreadable(kind, rows.crops.shape[1], rows.crops, generator)
            for _ in range(UNREADABLE_CROPS)
        ]
        sets[kind] = np.stack(made)[..., None]
    found = []
    for kind, crops in sets.items():
        top = softmax(read(crops), confidence.temperature).max(axis=1)
        found.append(Unreadable(kind, len(crops), float((top >= confidence.abstain_below).mean())))
    mean = float(np.mean([each.answered for each in found]))
    found.append(Unreadable("all", sum(each.count for each in found), mean))
    if rows.votes is not None and (voted := rows.votes[:, 8:].sum(axis=1) >= _VOTES).any():
        top = softmax(read(rows.crops[voted]), confidence.temperature).max(axis=1)
        answered = float((top >= confidence.abstain_below).mean())
        found.append(Unreadable("voted unknown or no face", int(voted.sum()), answered))
    return found


def card_figures(measured: Robustness) -> dict[str, dict[str, float]]:
    """Return what a model card holds: the mean over kinds by strength, and unreadable crops."""
    figures = {}
    for strength in STRENGTHS:
        values = asdict(measured.at("all", strength))
        del values["kind"], values["strength"]
        figures[f"degraded, strength {strength}"] = values
    everything = next(each for each in measured.unreadable if each.kind == "all")
    figures["unreadable"] = {"answered": everything.answered}
    return figures


def from_report(content: Mapping[str, Any]) -> Robustness:
    """Return the figures that a ``report.json`` holds.

    Raises:
        DataError: it holds none.
    """
    if "degradations" not in content:
        raise DataError("the report has no degradations: make it with --degradations")
    found = content["degradations"]
    return Robustness(
        found["rows"],
        tuple(Degraded(**each) for each in found["degraded"]),
        tuple(Unreadable(**each) for each in found["unreadable"]),
    )


def degradations_part(measured: Robustness) -> Part:
    """Return the part of a report that tells of degradations."""
    clean = measured.at("clean", 0)
    kinds = [*DEGRADATIONS, "all"]
    page = [
        "## Degraded faces",
        f"{measured.rows} test rows, the same each time, degraded in {len(DEGRADATIONS)} ways at "
        f"five strengths. Clean, {clean.accuracy:.1%} are right, {clean.answered:.1%} answered, "
        f"and {clean.wrong_answered:.1%} wrong and answered (not marked uncertain).",
        "Accuracy, and in brackets wrong and answered:",
        _table(measured, kinds, lambda d: f"{d.accuracy:.1%} ({d.wrong_answered:.1%})"),
        "The mean over all kinds:",
        _means(measured),
        "Crops that show no expression, and how many are answered all the same:",
        _nothing(measured),
        "![Degradations](emotion_degradations.png)",
    ]
    return Part("degradations", asdict(measured), "\n\n".join(page))


def _table(measured: Robustness, kinds: Sequence[str], cell: Callable[[Degraded], str]) -> str:
    lines = ["| Degradation | " + " | ".join(map(str, STRENGTHS)) + " |"]
    lines.append("|---|" + "---:|" * len(STRENGTHS))
    for kind in kinds:
        cells = " | ".join(cell(measured.at(kind, strength)) for strength in STRENGTHS)
        lines.append(f"| {kind.replace('_', ' ')} | {cells} |")
    return "\n".join(lines)


def _means(measured: Robustness) -> str:
    lines = [
        "| Strength | Accuracy | ECE | Sets hold the truth | Labels in a set | Answered "
        "| Wrong and answered |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    found = (measured.at("clean", 0), *(measured.at("all", s) for s in STRENGTHS))
    lines += [
        f"| {each.strength or 'clean'} | {each.accuracy:.1%} | {each.ece:.1%} "
        f"| {each.set_coverage:.1%} | {each.mean_set_size:.2f} | {each.answered:.1%} "
        f"| {each.wrong_answered:.1%} |"
        for each in found
    ]
    return "\n".join(lines)


def _nothing(measured: Robustness) -> str:
    lines = ["| Crops | Number | Answered |", "|---|---:|---:|"]
    lines += [
        f"| {each.kind.replace('_', ' ')} | {each.count} | {each.answered:.1%} |"
        for each in measured.unreadable
    ]
    return "\n".join(lines)


def plot_degradations(measured: Robustness) -> Figure:
    """Draw accuracy, and wrong and answered, over the strength of every kind."""
    kinds = [*DEGRADATIONS, "all"]
    columns = 5
    figure = Figure(figsize=(10, 6.4), dpi=120, layout="constrained")
    grid = figure.subplots(len(kinds) // columns, columns, sharex=True, sharey=True)
    strengths = (0, *STRENGTHS)
    for axes, kind in zip(grid.flat, kinds, strict=True):
        found = [measured.at("clean", 0), *(measured.at(kind, s) for s in STRENGTHS)]
        axes.plot(strengths, [d.accuracy for d in found], color="#2f6f9f", label="right")
        wrong = [d.wrong_answered for d in found]
        axes.plot(strengths, wrong, color="#d98032", label="wrong and answered")
        axes.set(title=kind.replace("_", " "), ylim=(0, 1), xticks=strengths)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(color="#c9d1d8", linewidth=0.6, alpha=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.supxlabel("strength", fontsize=9)
    return figure
