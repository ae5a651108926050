"""Accuracy against latency, a bubble for each model as large as its file."""

from __future__ import annotations

import io

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mien.bench.accuracy import Accuracy
from mien.bench.latency import Timing
from mien.bench.models import Model
from mien.bench.report import Report
from mien.errors import ConfigError

__all__ = ["plot_png"]

_INK, _FAINT = "#22303c", "#c9d1d8"
_COLOURS = {".onnx": "#2f6f9f", ".tflite": "#d98032", ".keras": "#6b8f5e"}
_POINTS_PER_MB = 60.0


def plot_png(report: Report) -> bytes:
    """Draw all models of which accuracy and latency are known, as a PNG.

    Latency is that of the first batch size and thread count.

    Raises:
        ConfigError: there is no such model.
    """
    points = _points(report)
    if not points:
        raise ConfigError("nothing to draw: accuracy against latency needs --data")
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for model, timing, accuracy in points:
        colour = _COLOURS[model.path.suffix]
        size = max(model.size_bytes / 1e6 * _POINTS_PER_MB, 12)
        axes.scatter(timing.p50_ms, accuracy.all, s=size, color=colour, alpha=0.55, linewidths=0)
        axes.scatter(timing.p50_ms, accuracy.all, s=9, color=_INK, linewidths=0)
        axes.annotate(
            f"{model.name}\n{model.size_bytes / 1e6:.1f} MB",
            (timing.p50_ms, accuracy.all),
            xytext=(0, 9 + (size**0.5) / 2),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            color=_INK,
        )
    first = points[0][1]
    threads = f"{first.threads} thread{'s' * (first.threads != 1)}" if first.threads else ""
    axes.set_xscale("log")
    axes.set_xlabel(f"median latency, ms (batch {first.batch}, {threads}; log scale)")
    axes.set_ylabel(f"accuracy on {points[0][2].rows:,} test rows")
    axes.set_title("Accuracy against latency; area = size on disk", color=_INK, loc="left")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.grid(color=_FAINT, linewidth=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(0.18, 0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _points(report: Report) -> list[tuple[Model, Timing, Accuracy]]:
    points = []
    for model in report.models:
        timing = next((each for each in report.timings if each.model == model.name), None)
        accuracy = (report.accuracy or {}).get(model.name)
        if timing is not None and accuracy is not None:
            points.append((model, timing, accuracy))
    return points
