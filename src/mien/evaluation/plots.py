"""The pictures of a report, one function each, in one plain style.

Nothing is shown on a screen and no global state is touched; a figure is returned.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from mien.evaluation.evaluate import Result

__all__ = ["PLOTS", "confusion", "coverage", "per_class", "prediction_sets", "reliability"]

_INK, _FAINT, _BLUE, _ORANGE = "#22303c", "#c9d1d8", "#2f6f9f", "#d98032"
_CONFUSION_COLOURS = "Blues"


def confusion(result: Result) -> Figure:
    """Draw how often each true label (row) was read as each label (column)."""
    counts = np.array(result.scores.confusion)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side_inches = 2.2 + 0.62 * len(counts)
    figure, axes = _figure(side_inches, side_inches, _title("Confusion", result))
    axes.imshow(share, cmap=_CONFUSION_COLOURS, vmin=0, vmax=1)
    for row, column in np.ndindex(counts.shape):
        colour = "white" if share[row, column] > 0.55 else _INK
        axes.text(
            column, row - 0.1, f"{share[row, column]:.0%}", ha="center", va="center", color=colour
        )
        axes.text(
            column,
            row + 0.24,
            str(counts[row, column]),
            ha="center",
            va="center",
            color=colour,
            fontsize=7,
        )
    axes.set_xticks(range(len(counts)), result.labels, rotation=40, ha="right")
    axes.set_yticks(range(len(counts)), result.labels)
    axes.set(xlabel="read as", ylabel="true label")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def reliability(result: Result) -> Figure:
    """Draw accuracy against confidence, and how many rows have each confidence."""
    curve = result.reliability
    figure, axes = _figure(5.2, 5.2, _title("Reliability", result))
    axes.bar(
        curve.x,
        curve.weight / curve.weight.max() * 0.2,
        width=0.045,
        color=_FAINT,
        label="rows at this confidence",
    )
    axes.plot((0, 1), (0, 1), color=_INK, linewidth=1, linestyle=(0, (4, 4)), label="perfect")
    axes.plot(
        curve.x,
        curve.y,
        color=_BLUE,
        marker="o",
        markersize=5,
        linewidth=1.8,
        label="model",
        clip_on=False,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    axes.set_aspect("equal")
    axes.text(0.97, 0.25, f"ECE {result.scores.ece:.1%}", ha="right", color=_INK)
    axes.legend(loc="upper left", frameon=False)
    _percent(axes, x=True)
    return figure


def per_class(result: Result) -> Figure:
    """Draw precision and recall of each class, with its number of rows."""
    classes = result.scores.per_class
    figure, axes = _figure(7.2, 1.6 + 0.48 * len(classes), _title("Each class", result))
    place = np.arange(len(classes))
    for offset, name, colour in ((-0.19, "precision", _BLUE), (0.19, "recall", _ORANGE)):
        values = [getattr(each, name) for each in classes]
        axes.barh(place + offset, values, height=0.36, color=colour, label=name)
        for y, value in zip(place + offset, values, strict=True):
            axes.text(value + 0.01, y, f"{value:.0%}", va="center", fontsize=8, color=_INK)
    axes.set_yticks(place, [f"{each.label} ({each.support})" for each in classes])
    axes.set(xlim=(0, 1.08), ylim=(len(classes) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper right", bbox_to_anchor=(1, -0.06), ncols=2, frameon=False)
    _percent(axes, x=True, y=False)
    return figure


def coverage(result: Result) -> Figure:
    """Draw the accuracy when only the most confident part of the rows is answered."""
    curve = result.accuracy_coverage
    shown = curve.x >= 0.05  # a handful of rows makes the curve's start mere noise
    figure, axes = _figure(5.6, 4.2, _title("Answering the surest", result))
    axes.plot(curve.x[shown], curve.y[shown], color=_BLUE, linewidth=1.8)
    marks = ((0.8, result.scores.accuracy_at_80), (1.0, result.scores.accuracy))
    for x, y in marks:
        axes.plot(x, y, marker="o", color=_ORANGE, markersize=6, clip_on=False, zorder=3)
        axes.annotate(
            f"{y:.1%}", (x, y), (-6, -12), textcoords="offset points", ha="right", color=_INK
        )
    floor = np.floor(min(curve.y[shown].min(), result.scores.accuracy) * 10) / 10
    axes.set(xlim=(0, 1), ylim=(max(floor - 0.05, 0), 1))
    axes.set(xlabel="part of the faces that are answered", ylabel="accuracy on them")
    _percent(axes, x=True)
    return figure


def prediction_sets(result: Result) -> Figure:
    """Draw how many labels the prediction sets have, and how often each size holds the truth."""
    scores = result.scores
    sizes = [each for each in scores.set_sizes if each.count > 0]
    figure, axes = _figure(5.6, 4.2, _title("Prediction sets", result))
    place = range(len(sizes))
    share = [each.count / scores.count for each in sizes]
    axes.bar(place, share, width=0.62, color=_FAINT, label="faces with a set of this size")
    axes.plot(
        place,
        [each.coverage for each in sizes],
        color=_BLUE,
        marker="o",
        linewidth=1.8,
        label="sets that hold the true label",
        clip_on=False,
    )
    for x, each in zip(place, sizes, strict=True):
        axes.annotate(
            f"{each.coverage:.0%}",
            (x, each.coverage),
            (0, 7),
            textcoords="offset points",
            ha="center",
            color=_INK,
            fontsize=9,
        )
    axes.axhline(scores.set_coverage, color=_ORANGE, linewidth=1.2, linestyle=(0, (4, 4)))
    axes.set_xticks(place, [str(each.labels) for each in sizes])
    axes.set(ylim=(0, 1.08), yticks=np.linspace(0, 1, 6))
    axes.set_xlabel(
        f"labels in the set: {scores.mean_set_size:.2f} on average, "
        f"{scores.set_coverage:.1%} hold the truth"
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False)
    _percent(axes)
    return figure


#: Every plot by the name of its file.
PLOTS = {
    "confusion": confusion,
    "reliability": reliability,
    "classes": per_class,
    "coverage": coverage,
    "sets": prediction_sets,
}


def _figure(width_inches: float, height_inches: float, title: str) -> tuple[Figure, Axes]:
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(width_inches, height_inches), dpi=150, layout=layout)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=10, color=_INK, pad=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _title(what: str, result: Result) -> str:
    flipped = ", flip averaging" if result.flip else ""
    return f"{what}: {result.head}, {result.split}{flipped}, {result.scores.count} faces"


def _percent(axes: Axes, *, x: bool = False, y: bool = True) -> None:
    for axis, wanted in ((axes.xaxis, x), (axes.yaxis, y)):
        if wanted:
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
            axis.grid(color=_FAINT, linewidth=0.6, alpha=0.7)
    axes.set_axisbelow(True)
