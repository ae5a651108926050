"""What a run is watched by: its averaged weights on held-out rows, plain and degraded."""

from __future__ import annotations

import numpy as np
import torch
from experiments.training.pixels import without_a_face
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from mien.evaluation.degradations import DEGRADATIONS, degrade

__all__ = ["held_out_sets", "macro_f1", "measured", "read_logits"]

_BATCH = 128
_ANSWERED = 0.8  # of the plain rows; the others are uncertain
_NO_FACES = 180

_Crops = NDArray[np.uint8]


def held_out_sets(crops: _Crops) -> dict[str, _Crops]:
    """Return the plain rows, every other one at strengths 3 and 5, and crops without a face.

    The kinds of degradation take turns, so that a set holds all of them.
    """
    sets = {"plain": crops}
    for strength in (3, 5):
        generator = np.random.default_rng([13, strength])
        degraded = crops[::2].copy()
        for number, kind in enumerate(DEGRADATIONS):
            rows = slice(number, None, len(DEGRADATIONS))
            degraded[rows] = degrade(degraded[rows, ..., None], kind, strength, generator)[..., 0]
        sets[f"strength_{strength}"] = degraded
    sets["no_face"] = without_a_face(_NO_FACES, crops, np.random.default_rng(17))
    return sets


def measured(
    network: torch.nn.Module, sets: dict[str, _Crops], truth: NDArray[np.int64], device: str
) -> dict[str, float]:
    """Return a log row's figures of the head ``emotion``: fractions, and nats for the loss."""
    row: dict[str, float] = {}
    logits = {name: read_logits(network, crops, device) for name, crops in sets.items()}
    probabilities = {name: softmax(values, axis=1) for name, values in logits.items()}
    threshold = float(np.quantile(probabilities["plain"].max(axis=1), 1 - _ANSWERED))
    for name, values in probabilities.items():
        answered = values.max(axis=1) >= threshold
        if name == "no_face":
            row["no_face_answered"] = float(answered.mean())
            continue
        right = values.argmax(axis=1) == truth[:: len(truth) // len(values)][: len(values)]
        row[f"{name}_accuracy"] = float(right.mean())
        row[f"{name}_wrong_answered"] = float((answered & ~right).mean())
    plain, rows = logits["plain"], np.arange(len(truth))
    row["plain_loss"] = float(-log_softmax(plain, axis=1)[rows, truth].mean())
    row["plain_macro_f1"] = macro_f1(plain.argmax(axis=1), truth)
    return row


def macro_f1(read: NDArray[np.int64], truth: NDArray[np.int64], classes: int = 7) -> float:
    """Return the mean of F1 over the classes."""
    cells = np.zeros((classes, classes))
    np.add.at(cells, (truth, read), 1)
    total = cells.sum(axis=0) + cells.sum(axis=1)
    return float((2 * np.diag(cells) / np.maximum(total, 1)).mean())


@torch.no_grad()
def read_logits(network: torch.nn.Module, crops: _Crops, device: str) -> NDArray[np.float32]:
    """Return the logits (N, 7) of the head ``emotion`` for crops (N, H, W)."""
    parts = []
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        for start in range(0, len(crops), _BATCH):
            batch = torch.from_numpy(crops[start : start + _BATCH]).to(device)[:, None].float()
            parts.append(network(batch)["emotion"].float().cpu().numpy())
    return np.concatenate(parts)
