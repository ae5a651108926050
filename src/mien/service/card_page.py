"""The model card as a page for people; ``/model_info`` is the same for programs."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from mien.card import ModelCard

__all__ = ["card_body"]

# The measures that the page shows, by their names in the card, with what a person calls them.
_MEASURES = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "top2_accuracy": "Top-2 accuracy",
    "ece": "Calibration error",
    "set_coverage": "Sets with the true label",
}


def card_body(card: ModelCard) -> str:
    """Return the page's HTML below its header."""
    parts = (
        f"<h1>{escape(card.name or 'The model')} {escape(card.version)}</h1>",
        f"<p>It reads one of {len(card.labels)} expressions off a face: "
        f"{escape(', '.join(card.labels))}. An expression is not an emotion.</p>",
        _section("For", card.intended_use),
        _section("Not for", card.prohibited_use),
        _measures(card.metrics),
        f"<p>{escape(card.protocol)}</p>" if card.protocol else "",
        _section("Data", card.data),
        _section("Size", f"{card.parameters:,} parameters" if card.parameters else ""),
        _section("Licence", card.licence),
        '<p><a href="/model_info">The same as JSON</a></p>',
    )
    return "\n".join(part for part in parts if part)


def _section(title: str, text: str) -> str:
    return f"<h2>{escape(title)}</h2><p>{escape(text)}</p>" if text else ""


def _measures(metrics: Mapping[str, Mapping[str, float]]) -> str:
    if not metrics:
        return ""
    names = [name for name in _MEASURES if any(name in row for row in metrics.values())]
    head = "".join(f'<th scope="col">{_MEASURES[name]}</th>' for name in names)
    rows = "".join(
        f'<tr><th scope="row">{escape(split)}</th>'
        + "".join(
            f"<td>{values[name]:.1%}</td>" if name in values else "<td>–</td>" for name in names
        )
        + "</tr>"
        for split, values in metrics.items()
    )
    return (
        "<h2>On test images</h2>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Results on test images"><table>'
        f'<thead><tr><th scope="col">Images</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
