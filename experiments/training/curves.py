"""Draw the logs of runs into ``curves.png``: held-out accuracy, plain and degraded, and loss.

python -m experiments.training.curves experiments/training/runs
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

__all__ = ["draw"]

_SHOWN = {
    "plain_accuracy": ("plain", "#2f6f9f"),
    "strength_3_accuracy": ("strength 3", "#c9905a"),
    "strength_5_accuracy": ("strength 5", "#a3553a"),
    "strength_5_wrong_answered": ("wrong and answered, strength 5", "#6b7780"),
}


def draw(folder: Path) -> Figure:
    """Return one column for each run in ``folder`` that has a log."""
    logs = {path.parent.name: _read(path) for path in sorted(folder.glob("*/log.csv"))}
    figure = Figure(figsize=(3.2 * len(logs), 5.5), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, len(logs), sharey="row", squeeze=False)
    for column, (name, log) in enumerate(logs.items()):
        epochs = [row["epoch"] for row in log]
        for key, (label, color) in _SHOWN.items():
            upper[column].plot(epochs, [row[key] for row in log], label=label, color=color)
        lower[column].plot(epochs, [row["plain_loss"] for row in log], color="#2f6f9f")
        upper[column].set_title(name)
        upper[column].yaxis.set_major_formatter(PercentFormatter(1))
        lower[column].set(xlabel="epoch")
    lower[0].set_ylabel("loss, plain rows")
    figure.legend(*upper[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    for axes in (*upper, *lower):
        axes.grid(color="#c9d1d8", linewidth=0.6, alpha=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _read(path: Path) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


if __name__ == "__main__":
    root = Path(sys.argv[1])
    draw(root).savefig(root / "curves.png")
