"""Average a run's weights with those that it began with: robust, and as good on clean rows.

    python -m experiments.training.soup OUT --run RUN --start models/best_model.keras \
        --data fer2013.csv.gz --votes fer2013new.csv

A run that learns to read degraded faces forgets a little of clean ones. On the straight line
between both networks lie some that are as good as the first on clean faces and nearly as good as
the second on degraded ones. Every tenth of the line is measured on held-out rows, mirrored and
moved; the point with the highest accuracy at strength 3 is taken whose loss on clean rows is at
most the first network's. ``OUT`` is then a run like others: ``state.pt``, ``weights.npz``.

Source:
    Wortsman et al., "Robust Fine-Tuning of Zero-Shot Models", CVPR 2022.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from experiments.training.data import read
from experiments.training.figures import held_out_sets, macro_f1, measured, read_logits
from experiments.training.nets import keras_arrays
from experiments.training.recipe import read_recipe
from experiments.training.weights import begin_with, build, restored
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from mien.train.augment import moved

__all__ = ["between", "chosen", "views_of"]

_POINTS = np.linspace(0, 1, 11)

Weights = Mapping[str, torch.Tensor]


def between(first: Weights, second: Weights, part: float) -> dict[str, torch.Tensor]:
    """Return the weights a ``part`` of the way from the first to the second."""
    return {
        name: torch.lerp(value, second[name], part) if value.is_floating_point() else value
        for name, value in first.items()
    }


def views_of(crops: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return crops (N, H, W) as they are, mirrored, and moved by a pixel: six views."""
    framed = crops[..., None]
    return [
        np.ascontiguousarray(moved(side, down, right)[..., 0])
        for side in (framed, np.ascontiguousarray(framed[:, :, ::-1]))
        for down, right in ((0, 0), (1, 1), (-1, -1))
    ]


def on_clean_rows(
    network: torch.nn.Module, views: list[NDArray[np.uint8]], truth: NDArray[np.int64], device: str
) -> dict[str, float]:
    """Return accuracy, macro F1 and the loss at the best temperature over all views."""
    logits = np.concatenate([read_logits(network, view, device) for view in views])
    labels, rows = np.tile(truth, len(views)), np.arange(len(truth) * len(views))

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[rows, labels].mean())

    best = minimize_scalar(loss, bounds=(0.5, 2), method="bounded")
    read_as = logits.argmax(axis=1)
    return {
        "views_accuracy": float((read_as == labels).mean()),
        "views_macro_f1": macro_f1(read_as, labels),
        "views_loss": float(best.fun),
    }


def chosen(log: list[dict[str, float]]) -> dict[str, float]:
    """Return the row of the point to take; the first one has ``part`` 0."""
    allowed = [row for row in log if row["views_loss"] <= log[0]["views_loss"]]
    return max(allowed, key=lambda row: row["strength_3_accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--part", type=float, help="take this point, and measure no other")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "torch")  # for the .keras files
    torch.set_num_threads(options.threads)
    fit, held_out = read(options.data, options.votes)
    recipe = read_recipe(options.run / "recipe.yaml")
    second = restored(options.run / "state.pt")
    network = build(recipe.network, recipe.dropout).eval()
    begin_with(network, options.start, fit.crops)
    first = {name: value.clone() for name, value in network.state_dict().items()}
    if options.start.suffix == ".keras":  # it has no second opinion: take the run's
        opinion = {n: v for n, v in second.state_dict().items() if "second_opinion" in n}
        first |= opinion
    network.to(options.device)
    sets, views = held_out_sets(held_out.crops), views_of(held_out.crops)
    log = []
    for part in _POINTS if options.part is None else (options.part,):
        network.load_state_dict(between(first, second.state_dict(), float(part)))
        row = {"part": float(part)} | on_clean_rows(
            network, views, held_out.emotion, options.device
        )
        log.append(row | measured(network, sets, held_out.emotion, options.device))
        print(" ".join(f"{k} {v:.4g}" for k, v in log[-1].items()), flush=True)
    part = chosen(log)["part"]
    print(f"taken: {part:.1f}")
    network.load_state_dict(between(first, second.state_dict(), part))
    options.out.mkdir(parents=True, exist_ok=True)
    shutil.copy(options.run / "recipe.yaml", options.out / "recipe.yaml")
    torch.save({"averaged": network.state_dict()}, options.out / "state.pt")
    arrays = keras_arrays(network)
    flat = {f"{name}/{n}": a for name, each in arrays.items() for n, a in enumerate(each)}
    np.savez(options.out / "weights.npz", **flat)
    with (options.out / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(log[0]))
        writer.writeheader()
        writer.writerows({key: f"{value:.5g}" for key, value in row.items()} for row in log)


if __name__ == "__main__":
    main()
