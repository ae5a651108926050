"""Bars, tables and diagrams as HTML: plain text in, markup out, every text escaped.

Colours of text and lines follow the page's theme (``currentColor``); those of expressions are
:data:`mien.palette.EXPRESSION_COLORS`. Classes are styled in ``static/style.css``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from mien.palette import colors_of
from mien.text import clock, duration, percent

__all__ = [
    "TimelineRow",
    "class_table",
    "confusion_table",
    "data_uri",
    "distribution",
    "empty_state",
    "fields",
    "reliability_plot",
    "sentence",
    "swatches",
    "time_shares",
    "timeline",
]


def data_uri(jpeg: bytes) -> str:
    """Return a JPEG as what an image's ``src`` may be."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def sentence(message: str) -> str:
    """Return an error's message as a sentence; a file's name at its start is left as it is."""
    first = message.split(" ", 1)[0]
    start = message[:1].upper() if first.isalpha() else message[:1]
    return start + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")


def distribution(counts: Mapping[str, int]) -> str:
    """Return a bar for each label with its number of faces, as long as its part of the most."""
    total, most = sum(counts.values()), max(counts.values(), default=0)
    rows = [
        (label, count / most if most else 0.0, f"{count} ({percent(count / max(total, 1))})")
        for label, count in counts.items()
    ]
    return _bar_list(rows, colors_of(counts))


def _bar_list(rows: Sequence[tuple[str, float, str]], colors: Mapping[str, str]) -> str:
    lines = [
        f'<li><span class="mien-name">{escape(label.capitalize())}</span>'
        f'<span class="mien-track"><span class="mien-fill" style="width:{share:.2%};'
        f'background:{colors[label]}"></span></span>'
        f'<span class="mien-value">{escape(text)}</span></li>'
        for label, share, text in rows
    ]
    return f'<ul class="mien-bars">{"".join(lines)}</ul>'


def swatches(labels: Sequence[str]) -> str:
    """Return the legend of the expressions' colours."""
    items = "".join(
        f'<li><span style="background:{color}"></span>{escape(label)}</li>'
        for label, color in colors_of(labels).items()
    )
    return f'<ul class="mien-legend">{items}</ul>'


def empty_state(title: str, text: str) -> str:
    """Return what stands where results will be."""
    return f'<div class="mien-empty"><p>{escape(title)}</p><p>{escape(text)}</p></div>'


def fields(pairs: Sequence[tuple[str, str]]) -> str:
    """Return a list of names and values."""
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="mien-fields">{items}</dl>'


def class_table(rows: Sequence[Mapping[str, float | str]]) -> str:
    """Return precision, recall, F1 and rows of each class.

    Args:
        rows: with ``label``, ``precision``, ``recall``, ``f1`` (parts of 1) and ``support``.
    """
    colors = colors_of(str(row["label"]) for row in rows)
    body = "".join(
        f'<tr><th scope="row"><span class="mien-dot" style="background:'
        f'{colors[str(row["label"])]}"></span>{escape(str(row["label"]).capitalize())}</th>'
        + "".join(f"<td>{float(row[name]):.2f}</td>" for name in ("precision", "recall", "f1"))
        + f"<td>{int(row['support']):,}</td></tr>"
        for row in rows
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in _CLASS_HEAD)
    return f'<table class="mien-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


_CLASS_HEAD = ("Expression", "Precision", "Recall", "F1", "Faces")


def confusion_table(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> str:
    """Return the confusion matrix: rows are true labels, in percent of each row."""
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in labels)
    body = ""
    for label, row in zip(labels, confusion, strict=True):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td style="--share:{count / total:.3f}" title="{count:,} of {total:,}">'
            f"{count / total * 100:.0f}</td>"
            for count in row
        )
        body += f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'
    return (
        '<div class="mien-scroll"><table class="mien-confusion">'
        "<caption>Rows: the true label. Columns: what was read. Percent of the row.</caption>"
        f'<thead><tr><th scope="col">true \\ read</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def reliability_plot(
    confidence: Sequence[float], accuracy: Sequence[float], weight: Sequence[float], faces: int
) -> str:
    """Return accuracy against confidence; a dot's area is its fraction of the faces.

    A bin with fewer than 20 faces is an empty dot, and the line leaves it out: its accuracy is
    chance. It is a picture by a data URI, as the page takes drawings out of markup, and has colours
    that show on light and dark, since it cannot see the page's theme.
    """
    side, edge = 300, 34
    span = side - 2 * edge

    def x(share: float) -> float:
        return edge + share * span

    def y(share: float) -> float:
        return side - edge - share * span

    most, few = max(weight, default=1.0), ' class="few"'
    bins = list(zip(confidence, accuracy, weight, strict=True))
    line = " ".join(f"{x(c):.1f},{y(a):.1f}" for c, a, w in bins if w * faces >= _FEWEST_FACES)
    dots = "".join(
        f'<circle{"" if w * faces >= _FEWEST_FACES else few} cx="{x(c):.1f}" cy="{y(a):.1f}" '
        f'r="{2.5 + 6 * (w / most) ** 0.5:.1f}"/>'
        for c, a, w in bins
    )
    ticks = "".join(
        f'<text x="{x(t):.0f}" y="{side - edge + 16}" text-anchor="middle">{t:.0%}</text>'
        f'<text x="{edge - 6}" y="{y(t) + 4:.0f}" text-anchor="end">{t:.0%}</text>'
        f'<line x1="{x(0):.0f}" x2="{x(1):.0f}" y1="{y(t):.0f}" '
        f'y2="{y(t):.0f}"/>'
        for t in (0, 0.5, 1)
    )
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}">'
        f"<style>{_PLOT_STYLE}</style>{ticks}"
        f'<line class="perfect" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>'
        f'<polyline points="{line}"/>{dots}'
        f'<text x="{side / 2}" y="{side - 2}" text-anchor="middle">confidence</text>'
        f'<text x="{edge}" y="{edge - 12}" text-anchor="middle">accuracy</text></svg>'
    )
    return (
        f'<img class="mien-plot" src="data:image/svg+xml;base64,{_base64(drawing)}" '
        'alt="Accuracy against confidence; the dashed line is perfect calibration">'
    )


_FEWEST_FACES = 20  # with fewer, a bin's accuracy is off by 10 points and more by chance

_PLOT_STYLE = (
    "text{font:11px sans-serif;fill:#7d7d78}line{stroke:#7d7d78;opacity:.3}"
    ".perfect{stroke-dasharray:5 5;opacity:1}"
    "polyline{fill:none;stroke:#2d8fd0;stroke-width:2}circle{fill:#2d8fd0}"
    ".few{fill:none;stroke:#2d8fd0;stroke-dasharray:2 2}"
)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """One person of a video.

    Attributes:
        name: such as "Person 3".
        words: what was seen of them, in short.
        spans: start and end in seconds, label, whether it is uncertain.
        thumb_uri: a data URI of the face; empty without one.
    """

    name: str
    words: str
    spans: Sequence[tuple[float, float, str, bool]]
    thumb_uri: str = ""


def timeline(rows: Sequence[TimelineRow], duration_s: float) -> str:
    """Return a strip for each person: what was shown when.

    What has ``data-seek`` moves the video there when it is clicked, by ``static/seek.js``.

    Args:
        duration_s: what the whole width stands for.
        labels: of the model, whose colors the spans have.
    """
    whole = max(duration_s, 1e-9)
    colors = colors_of(label for row in rows for _, _, label, _ in row.spans)
    body = "".join(_timeline_row(row, whole, colors) for row in rows)
    marks = "".join(f"<span>{clock(duration_s * part / 4)}</span>" for part in range(5))
    return (
        '<div class="mien-timeline" tabindex="0" role="region" aria-label="People over time">'
        f'<ul>{body}</ul></div><div class="mien-clock">{marks}</div>'
    )


def _timeline_row(row: TimelineRow, whole_s: float, colors: Mapping[str, str]) -> str:
    first_s = row.spans[0][0] if row.spans else 0.0
    thumb = (
        f'<img src="{escape(row.thumb_uri)}" alt="" width="40" height="40">'
        if row.thumb_uri
        else ""
    )
    return (
        f'<li><button type="button" data-seek="{first_s:.3f}" '
        f'title="Go to {clock(first_s)}, where they are first seen">{thumb}'
        f'<span><b class="mien-name">{escape(row.name)}</b>'
        f'<span class="mien-soft">{escape(row.words)}</span></span></button>'
        f'<span class="mien-strip" data-seek="0" data-length="{whole_s:.3f}">'
        + "".join(_span(*span, whole_s, colors) for span in row.spans)
        + "</span></li>"
    )


def time_shares(seen_s: float, shares: Mapping[str, float], uncertain: float) -> str:
    """Return how long someone was seen, and which expressions led for how much of it."""
    parts = [
        f"{label} {percent(share)}"
        for label, share in sorted(shares.items(), key=lambda item: -item[1])[:2]
        if share > 0
    ]
    if uncertain >= 0.005:
        parts.append(f"uncertain {percent(uncertain)}")
    return f"{duration(seen_s)}: " + ", ".join(parts) if parts else duration(seen_s)


def _span(
    start_s: float,
    end_s: float,
    label: str,
    uncertain: bool,
    whole_s: float,
    colors: Mapping[str, str],
) -> str:
    words = f"{clock(start_s)} to {clock(end_s)}: {label}" + (", uncertain" if uncertain else "")
    kind = ' class="mien-faint"' if uncertain else ""
    return (
        f'<i{kind} style="left:{start_s / whole_s:.3%};width:{(end_s - start_s) / whole_s:.3%};'
        f'background:{colors[label]}" title="{escape(words)}"></i>'
    )
