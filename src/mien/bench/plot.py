"""Accuracy against latency, a bubble for each model as large as its file."""

from __future__ import annotations

import io
import math

from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from mien.bench.accuracy import Accuracy
from mien.bench.latency import Timing
from mien.bench.models import Model
from mien.bench.report import Report
from mien.errors import ConfigError

__all__ = ["plot_png"]

_INK, _FAINT = "#22303c", "#c9d1d8"
_COLOURS = {".onnx": "#2f6f9f", ".tflite": "#d98032", ".keras": "#6b8f5e"}
_POINTS_PER_MB = 60.0
_TURN = 2 * math.pi / 5
_LOG_FROM = 4  # times the shortest latency; ticks of a narrower log scale would be too few


def plot_png(report: Report) -> bytes:
    """Draw all models of which accuracy and latency are known, as a PNG of 1200 x 750 pixels.

    Latency is that of the first batch size and thread count.

    Raises:
        ConfigError: there is no such model.
    """
    points = _points(report)
    if not points:
        raise ConfigError("nothing to draw: accuracy against latency needs --data")
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for number, (model, timing, accuracy) in enumerate(points, 1):
        place = timing.p50_ms, accuracy.all
        size = max(model.size_bytes / 1e6 * _POINTS_PER_MB, 12)
        colour = _COLOURS[model.path.suffix]
        axes.scatter(
            *place, s=size, color=colour, alpha=0.55, linewidths=0,
            label=f"{number}  {model.name}, {model.size_bytes / 1e6:.1f} MB",
        )  # fmt: skip
        axes.scatter(*place, s=9, color=_INK, linewidths=0)
        # around the bubbles in turn, as forms of one network lie close together
        angle, reach = math.pi / 2 - (number - 1) * _TURN, 8 + size**0.5 / 2
        axes.annotate(
            str(number),
            place,
            xytext=(reach * math.cos(angle), reach * math.sin(angle)),
            textcoords="offset points",
            ha="center",
            va="center",
            color=_INK,
        )
    legend = figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([40])
    first = points[0][1]
    threads = f"{first.threads} thread{'s' * (first.threads != 1)}" if first.threads else ""
    latencies_ms = [timing.p50_ms for _, timing, _ in points]
    wide = max(latencies_ms) > _LOG_FROM * min(latencies_ms)
    axes.set_xscale("log" if wide else "linear")
    scale = "; log scale" if wide else ""
    axes.set_xlabel(f"median latency, ms (batch {first.batch}, {threads}{scale})")
    axes.set_ylabel(f"accuracy on {points[0][2].rows:,} test rows")
    axes.set_title("Accuracy against latency; area = size on disk", color=_INK, loc="left")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if wide:
        axes.xaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
    axes.tick_params(which="both", labelsize=8)
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
