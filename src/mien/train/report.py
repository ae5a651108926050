"""A report on a model: ``report.json`` for programs, ``report.md`` and plots for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.card import ModelCard
from mien.train.evaluate import Result, headline
from mien.train.files import replacing
from mien.train.plots import PLOTS

__all__ = ["PROTOCOL", "as_dict", "as_markdown", "write_report"]

#: How every figure of a report came about.
PROTOCOL = (
    "Nothing was fitted or chosen here: temperature and thresholds are those of the model's "
    "card. 'Unseen' leaves out test images whose exact pixels stand in Training too. Intervals "
    "are 95 % bootstrap intervals over rows. 'Flip' is the mean of the logits of a crop and of "
    "its mirror image. FER+ is judged by the majority of its votes: more than half, single "
    "votes dropped."
)


def write_report(results: Sequence[Result], card: ModelCard, folder: Path) -> None:
    """Write JSON, Markdown and four plots for each head into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "report.json", json.dumps(as_dict(results, card), indent=2) + "\n")
    _write(folder / "report.md", as_markdown(results, card))
    for head in _heads(results):
        for name, plot in PLOTS.items():
            with replacing(folder / f"{head}_{name}.png") as beside:
                plot(headline(results, head)).savefig(beside)


def as_dict(results: Sequence[Result], card: ModelCard) -> dict[str, Any]:
    """Return the report as plain dicts, lists, numbers and strings; parts of 1."""
    return {
        "model": card.name,
        "version": card.version,
        "protocol": PROTOCOL,
        "results": [
            {
                "head": each.head,
                "labels": list(each.labels),
                "split": each.split,
                "unseen": each.unseen,
                "flip": each.flip,
                **asdict(each.scores),
            }
            for each in results
        ],
    }


def as_markdown(results: Sequence[Result], card: ModelCard) -> str:
    """Return the report as a Markdown page; the plots are referred to by file name."""
    parts = [f"# {card.name} {card.version}", PROTOCOL]
    for head in _heads(results):
        best = headline(results, head)
        parts += [
            f"## Head `{head}`",
            _overview([each for each in results if each.head == head]),
            f"### Each class, {best.split}",
            _classes(best),
            _in_words(best),
            "\n".join(f"![{name}]({head}_{name}.png)" for name in PLOTS),
        ]
    return "\n\n".join(parts) + "\n"


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
        f"Prediction sets hold the true label in {scores.set_coverage:.1%} of the cases, with "
        f"{scores.mean_set_size:.2f} labels on average. The {scores.answered:.1%} of faces that "
        f"the model names a single emotion for are right in {scores.accuracy_answered:.1%}; the "
        f"surest 80 % in {scores.accuracy_at_80:.1%}."
    )


def _heads(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(each.head for each in results))


def _write(path: Path, text: str) -> None:
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
