"""Bars, tables and diagrams as HTML: plain text in, markup out, every text escaped.

Colours of text and lines follow the page's theme (``currentColor``); those of emotions are
:data:`mien.palette.EXPRESSION_COLORS`. Classes are styled in ``static/style.css``.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from mien.palette import colors_of
from mien.text import percent
from mien.types import EMOTIONS, Reading

__all__ = [
    "bars",
    "class_table",
    "confusion_table",
    "distribution",
    "empty_state",
    "face_card",
    "fields",
    "headline",
    "reliability_plot",
    "sentence",
    "swatches",
    "timeline",
]


def sentence(message: str) -> str:
    """Return an error's message as a sentence; a file's name at its start is left as it is."""
    first = message.split(" ", 1)[0]
    start = message[:1].upper() if first.isalpha() else message[:1]
    return start + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")


def headline(reading: Reading) -> str:
    """Return what the face shows, in words: an emotion, or a question if it is uncertain."""
    if not reading.uncertain:
        return f"{reading.top.capitalize()}, {percent(reading.confidence)}"
    likely = reading.set[:2] or (reading.top,)
    return " or ".join(likely).capitalize() + "?"


def face_card(
    reading: Reading, coverage: float, thumb_uri: str = "", why: tuple[str, str] | None = None
) -> str:
    """Return one face: its picture, what it shows, how sure that is, and all probabilities.

    Args:
        coverage: the probability with which the card says that a set holds the true label.
        thumb_uri: a data URI; no picture if empty.
        why: the face under its heatmap, as a data URI, and what the reading rests on, in words.
    """
    likely = ", ".join(reading.set) or reading.top
    sure = (
        f"Not sure enough to name one. At {percent(coverage)} confidence it is one of: {likely}."
        if reading.uncertain
        else f"At {percent(coverage)} confidence: {likely}."
    )
    picture = f'<img src="{escape(thumb_uri)}" alt="" width="64" height="64">' if thumb_uri else ""
    shares = dict(zip(reading.labels, reading.probabilities, strict=True))
    kind = "mien-face mien-unsure" if reading.uncertain else "mien-face"
    reason = _why(*why) if why else ""
    return (
        f'<section class="{kind}" style="--emotion:{colors_of(reading.labels)[reading.top]}">'
        f'<header>{picture}<div><p class="mien-top">{escape(headline(reading))}</p>'
        f'<p class="mien-soft">{escape(sure)}</p></div></header>{bars(shares)}{reason}</section>'
    )


def _why(tile_uri: str, words: str) -> str:
    return (
        f'<figure class="mien-why"><img src="{escape(tile_uri)}" alt="" width="128" height="128">'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )


def bars(shares: Mapping[str, float]) -> str:
    """Return a bar for each label, most probable first."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    rows = [(label, share, percent(share)) for label, share in ordered]
    return _bar_list(rows, colors_of(shares))


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
    """Return the legend of the emotions' colours."""
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


_CLASS_HEAD = ("Emotion", "Precision", "Recall", "F1", "Faces")


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
    confidence: Sequence[float], accuracy: Sequence[float], weight: Sequence[float]
) -> str:
    """Return accuracy against confidence; a dot's area is its part of the faces.

    It is a picture by a data URI, as the page takes drawings out of markup, and has colours
    that show on light and dark, since it cannot see the page's theme.
    """
    side, edge = 300, 34
    span = side - 2 * edge

    def x(share: float) -> float:
        return edge + share * span

    def y(share: float) -> float:
        return side - edge - share * span

    most = max(weight, default=1.0)
    line = " ".join(f"{x(c):.1f},{y(a):.1f}" for c, a in zip(confidence, accuracy, strict=True))
    dots = "".join(
        f'<circle cx="{x(c):.1f}" cy="{y(a):.1f}" r="{2.5 + 6 * (w / most) ** 0.5:.1f}"/>'
        for c, a, w in zip(confidence, accuracy, weight, strict=True)
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


_PLOT_STYLE = (
    "text{font:11px sans-serif;fill:#7d7d78}line{stroke:#7d7d78;opacity:.3}"
    ".perfect{stroke-dasharray:5 5;opacity:1}"
    "polyline{fill:none;stroke:#2d8fd0;stroke-width:2}circle{fill:#2d8fd0}"
)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def timeline(
    rows: Sequence[tuple[str, Sequence[tuple[float, float, str, bool]]]],
    duration_s: float,
    labels: Sequence[str] = EMOTIONS,
) -> str:
    """Return a strip for each person: what was shown when.

    Args:
        rows: a name, and spans: start and end in seconds, label, whether it is uncertain.
        duration_s: what the whole width stands for.
        labels: of the model, whose colors the spans have.
    """
    whole = max(duration_s, 1e-9)
    colors = colors_of(labels)
    body = "".join(
        f'<li><span class="mien-name">{escape(name)}</span><span class="mien-strip">'
        + "".join(_span(*span, whole, colors[span[2]]) for span in spans)
        + "</span></li>"
        for name, spans in rows
    )
    marks = "".join(f"<span>{_clock(duration_s * part / 4)}</span>" for part in range(5))
    return f'<div class="mien-timeline"><ul>{body}</ul><div class="mien-clock">{marks}</div></div>'


def _span(
    start_s: float, end_s: float, label: str, uncertain: bool, whole_s: float, color: str
) -> str:
    words = f"{_clock(start_s)} to {_clock(end_s)}: {label}" + (", uncertain" if uncertain else "")
    kind = ' class="mien-faint"' if uncertain else ""
    return (
        f'<i{kind} style="left:{start_s / whole_s:.3%};width:{(end_s - start_s) / whole_s:.3%};'
        f'background:{color}" title="{escape(words)}"></i>'
    )


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
