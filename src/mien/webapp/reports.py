"""What is known about the model: its card, and the report of its evaluation if there is one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.card import ModelCard

__all__ = ["ClassFigures", "find_report", "headline_result", "split_rows"]

# A split's figures on the page, by their names in card and report.
_SHOWN = (
    ("accuracy", "Accuracy", "{:.1%}"),
    ("macro_f1", "Macro F1", "{:.3f}"),
    ("top2_accuracy", "Top 2", "{:.1%}"),
    ("ece", "Calibration error", "{:.1%}"),
    ("set_coverage", "Sets hold the truth", "{:.1%}"),
    ("mean_set_size", "Labels in a set", "{:.2f}"),
)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """The head's result that the page shows; parts of 1.

    Attributes:
        confusion: counts; rows are true labels, in label order.
        reliability: confidence, accuracy and weight of each bin; empty if not recorded.
    """

    split: str
    count: int
    labels: tuple[str, ...]
    per_class: tuple[dict[str, Any], ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[tuple[float, float, float], ...] = ()


def find_report(model: Path) -> dict[str, Any] | None:
    """Return the evaluation report beside a weights file, or ``None``.

    It is ``glance.report.json`` beside ``glance.onnx``, or ``report.json`` in that folder. One
    that cannot be read is none: the page lives without it.
    """
    for name in (f"{model.name.split('.')[0]}.report.json", "report.json"):
        try:
            content = json.loads(model.with_name(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and isinstance(content.get("results"), list):
            return content
    return None


def headline_result(report: dict[str, Any], head: str) -> ClassFigures | None:
    """Return the head's result on most rows, plain (no flip averaging); ``None`` if none fits."""
    results = [
        each
        for each in report["results"]
        if isinstance(each, dict) and each.get("head") == head and not each.get("flip")
    ]
    if not results:
        return None
    best = max(results, key=lambda each: each.get("count", 0))
    try:
        curve = best.get("reliability") or {"x": [], "y": [], "weight": []}
        return ClassFigures(
            split=str(best["split"]),
            count=int(best["count"]),
            labels=tuple(best["labels"]),
            per_class=tuple(best["per_class"]),
            confusion=tuple(tuple(row) for row in best["confusion"]),
            reliability=tuple(zip(curve["x"], curve["y"], curve["weight"], strict=True)),
        )
    except (KeyError, TypeError, ValueError):
        return None


def split_rows(card: ModelCard) -> list[dict[str, str]]:
    """Return the card's figures, one row a split, with the columns that any split has."""
    known = [each for each in _SHOWN if any(each[0] in row for row in card.metrics.values())]
    return [
        {
            "Split": split,
            **{
                title: form.format(values[name]) if name in values else "–"
                for name, title, form in known
            },
        }
        for split, values in card.metrics.items()
    ]
