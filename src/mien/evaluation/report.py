"""A report on a model: ``report.json`` for programs, ``report.md`` and plots for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.card import ModelCard
from mien.evaluation.evaluate import Result, headline
from mien.evaluation.metrics import Curve
from mien.evaluation.plots import PLOTS
from mien.files import atomic_write

__all__ = ["PROTOCOL", "Part", "as_dict", "as_markdown", "write_report"]

#: How every figure of a report came about.
PROTOCOL = (
    "Nothing was fitted or chosen here: temperature and thresholds are those of the model's "
    "card. 'Unseen' leaves out test images whose exact pixels stand in Training too. Intervals "
    "are 95 % bootstrap intervals over rows. 'Flip' is the mean of the logits of a crop and of "
    "its mirror image. FER+ is judged by the majority of its votes: more than half, single "
    "votes dropped."
)

_CURVE_STEPS = 100


@dataclass(frozen=True)
class Part:
    """Something more that a report says: ``content`` for programs, ``markdown`` for people.

    Attributes:
        key: the name in ``report.json``.
        content: plain dicts, lists, numbers and strings.
        markdown: begins with its own heading of the second level.
        leading: it stands before the figures of the heads, not after them.
    """

    key: str
    content: Any
    markdown: str
    leading: bool = False


def write_report(
    results: Sequence[Result],
    card: ModelCard,
    folder: Path,
    *,
    protocol: str = PROTOCOL,
    parts: Sequence[Part] = (),
) -> None:
    """Write JSON, Markdown and the plots of each head into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    content = as_dict(results, card, protocol=protocol, parts=parts)
    _write(folder / "report.json", json.dumps(content, indent=2) + "\n")
    _write(folder / "report.md", as_markdown(results, card, protocol=protocol, parts=parts))
    for head in _heads(results):
        for name, plot in PLOTS.items():
            with atomic_write(folder / f"{head}_{name}.png") as temporary:
                plot(headline(results, head)).savefig(temporary)


def as_dict(
    results: Sequence[Result],
    card: ModelCard,
    *,
    protocol: str = PROTOCOL,
    parts: Sequence[Part] = (),
) -> dict[str, Any]:
    """Return the report as plain dicts, lists, numbers and strings; parts of 1.

    Each result holds its :class:`~mien.evaluation.metrics.Scores` by name, and two curves:
    ``reliability``, the confidence ``x``, accuracy ``y`` and part of the rows ``weight`` of
    each bin; and ``accuracy_coverage``, the accuracy ``y`` on the surest part ``x`` of the
    rows, one point for each per cent of them.
    """
    return {
        "model": card.name,
        "version": card.version,
        "protocol": protocol,
        "results": [
            {
                "head": each.head,
                "labels": list(each.labels),
                "split": each.split,
                "unseen": each.unseen,
                "flip": each.flip,
                **asdict(each.scores),
                "reliability": _points(each.reliability),
                "accuracy_coverage": _thinned(each.accuracy_coverage),
            }
            for each in results
        ],
        **{part.key: part.content for part in parts},
    }


def as_markdown(
    results: Sequence[Result],
    card: ModelCard,
    *,
    protocol: str = PROTOCOL,
    parts: Sequence[Part] = (),
) -> str:
    """Return the report as a Markdown page; the plots are referred to by file name."""
    page = [f"# {card.name} {card.version}", protocol]
    page += [part.markdown for part in parts if part.leading]
    for head in _heads(results):
        best = headline(results, head)
        page += [
            f"## Head `{head}`",
            _overview([each for each in results if each.head == head]),
            "### How sure",
            _how_sure([each for each in results if each.head == head]),
            _in_words(best),
            f"### Each class, {best.split}",
            _classes(best),
            "\n".join(f"![{name}]({head}_{name}.png)" for name in PLOTS),
        ]
    page += [part.markdown for part in parts if not part.leading]
    return "\n\n".join(page) + "\n"


def _overview(results: Sequence[Result]) -> str:
    lines = [
        "| Split | Rows | Accuracy | 95 % interval | Macro F1 | Weighted F1 | Top 2 | ECE | NLL |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in results:
        scores = each.scores
        interval = scores.accuracy_interval
        lines.append(
            f"| {each.name} | {scores.count} | {scores.accuracy:.2%} "
            f"| {interval.low:.1%} to {interval.high:.1%} | {scores.macro_f1:.3f} "
            f"| {scores.weighted_f1:.3f} | {scores.top2_accuracy:.2%} | {scores.ece:.2%} "
            f"| {scores.nll:.3f} |"
        )
    return "\n".join(lines)


def _how_sure(results: Sequence[Result]) -> str:
    lines = [
        "| Split | ECE | By chance alone | Sets hold the truth | Labels in a set | Uncertain "
        "| Accuracy of the rest | Accuracy of the surest 80 % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in results:
        scores = each.scores
        lines.append(
            f"| {each.name} | {scores.ece:.2%} | {scores.ece_by_chance:.2%} "
            f"| {scores.set_coverage:.2%} "
            f"| {scores.mean_set_size:.2f} | {scores.uncertain} ({1 - scores.answered:.1%}) "
            f"| {scores.accuracy_answered:.2%} | {scores.accuracy_at_80:.2%} |"
        )
    return "\n".join(lines)


def _classes(result: Result) -> str:
    lines = [
        "| Emotion | Precision | Recall | F1-Score | Support |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.label.capitalize()} | {each.precision:.2f} | {each.recall:.2f} "
        f"| {each.f1:.2f} | {each.support} |"
        for each in result.scores.per_class
    ]
    return "\n".join(lines)


def _in_words(result: Result) -> str:
    scores = result.scores
    return (
        f"On {result.split}, prediction sets hold the true label in {scores.set_coverage:.1%} of "
        f"the cases, with {scores.mean_set_size:.2f} labels on average. `uncertain` marks "
        f"{scores.uncertain} of {scores.count} faces; the others are right in "
        f"{scores.accuracy_answered:.1%}, and the surest 80 % in {scores.accuracy_at_80:.1%}. "
        f"The calibration error is {scores.ece:.1%}; were every confidence true, it would be "
        f"{scores.ece_by_chance:.1%}, by chance alone."
    )


def _points(curve: Curve) -> dict[str, list[float]]:
    return {"x": curve.x.tolist(), "y": curve.y.tolist(), "weight": curve.weight.tolist()}


def _thinned(curve: Curve) -> dict[str, list[float]]:
    """Return at most a point for each per cent, since there is one for each row."""
    steps = np.arange(1, _CURVE_STEPS + 1) / _CURVE_STEPS
    chosen = np.unique(np.searchsorted(curve.x, steps - 1e-12))  # 0.07 is not 7 / 100
    return {"x": curve.x[chosen].tolist(), "y": curve.y[chosen].tolist()}


def _heads(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(each.head for each in results))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
