"""Measure from where a face cannot be read, on rows held out of training and made worse.

    python experiments/visibility/choose_thresholds.py fer2013.csv.gz

For each degradation: how often the network is right, as it is and after the contrast stretch, and
by how much its mean probability is above that. Then the same by what a crop shows of itself, over
all degradations of a kind: thresholds are where the gap passes five points.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import data
from mien.calibration import softmax
from mien.faces.template import YUNET
from mien.faces.visibility import stretch_contrast, visibility_of
from mien.faces.yunet import YuNet
from mien.runtime import open_session

Pixels = NDArray[np.uint8]


@dataclass
class Answers:
    """Per crop: whether the network is right, its top probability, and what the crop shows."""

    right: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    shown: Mapping[str, NDArray[np.float64]]


def light(gain: float) -> Callable[[Pixels], Pixels]:
    return lambda crop: np.clip(np.rint(crop * float(gain)), 0, 255).astype(np.uint8)


def haze(contrast: float) -> Callable[[Pixels], Pixels]:
    return lambda crop: np.rint(128 + (crop - 128.0) * contrast).astype(np.uint8)


def blur(radius: float) -> Callable[[Pixels], Pixels]:
    return lambda crop: cv2.GaussianBlur(crop, None, radius, borderType=cv2.BORDER_REPLICATE)


def shrink(side: int) -> Callable[[Pixels], Pixels]:
    def change(crop: Pixels) -> Pixels:
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, crop.shape[::-1], interpolation=cv2.INTER_LINEAR)

    return change


def outside(fraction: float) -> Callable[[Pixels], Pixels]:
    """Repeat the border of the image over one side of the crop, each side in turn."""

    def change(crop: Pixels) -> Pixels:
        side = int(crop.sum()) % 4
        turned = np.rot90(crop, side).copy()
        columns = round(len(crop) * fraction)
        turned[:, :columns] = turned[:, columns : columns + 1]
        return np.rot90(turned, -side)

    return change


DEGRADATIONS: dict[str, dict[str, Callable[[Pixels], Pixels]]] = {
    "contrast": {
        **{f"light {gain}": light(gain) for gain in (0.2, 0.1, 0.06, 0.03, 0.02, 0.01)},
        **{f"haze {contrast}": haze(contrast) for contrast in (0.3, 0.15, 0.08)},
    },
    "white": {f"light {gain}": light(gain) for gain in (1.5, 2, 3)},
    "sharpness": {
        **{f"blur {radius}": blur(radius) for radius in (0.5, 0.75, 1, 1.5, 2, 3)},
        **{f"{side} px": shrink(side) for side in (32, 24, 20, 16, 12, 8, 6)},
    },
    "outside": {f"outside {part}": outside(part) for part in (0.1, 0.2, 0.3, 0.4, 0.5)},
}
EDGES = {
    "contrast": (0, 2, 3, 4, 5, 6, 10, 25, 60, 256),
    "white": (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 1.01),
    "sharpness": (0, 0.08, 0.11, 0.14, 0.17, 0.2, 0.25, 0.35, 0.5, 0.7, 9),
    "yaw": (0, 10, 20, 30, 40, 50, 60, 91),
    "pitch": (0, 10, 20, 30, 40, 50, 60, 91),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=700)
    arguments = parser.parse_args()
    dataset = data.load(arguments.data)
    held = data.hold_out(dataset, 0.05, seed=1)[1]
    held = np.random.default_rng(0).permutation(held)[: arguments.rows]
    crops, truth = dataset.crops[held, :, :, 0], dataset.emotion[held]

    print("| | right, % | stretched | probability above right, points |\n|---|---:|---:|---:|")
    clean = answers("clean", crops, truth)
    for kind, degradations in DEGRADATIONS.items():
        found = [clean]
        for name, change in degradations.items():
            found.append(answers(name, np.stack([change(crop) for crop in crops]), truth))
        if kind in EDGES:
            print_bins(kind, found)
    print_turn(crops, clean)


def answers(name: str, crops: Pixels, truth: NDArray[np.int64]) -> Answers:
    stretched = stretch_contrast(crops[..., None])
    plain, right, confidence = (*classify(crops[..., None], truth)[:1], *classify(stretched, truth))
    gap = confidence.mean() - right.mean()
    print(f"| {name} | {100 * plain.mean():.1f} | {100 * right.mean():.1f} | {100 * gap:+.1f} |")
    seen = [visibility_of(crop) for crop in crops]
    shown = {key: np.array([getattr(each, key) for each in seen]) for key in DEGRADATIONS}
    return Answers(right, confidence, shown)


def classify(
    crops: Pixels, truth: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    session = open_session(threads=1)
    parts = [session(crops[start : start + 128])["emotion"] for start in range(0, len(crops), 128)]
    found = softmax(np.concatenate(parts), session.card.calibration.temperature)
    return found.argmax(axis=1) == truth, found.max(axis=1).astype(np.float64)


def print_bins(kind: str, found: list[Answers]) -> None:
    values = np.concatenate([each.shown[kind] for each in found])
    right = np.concatenate([each.right for each in found])
    confidence = np.concatenate([each.confidence for each in found])
    print_gaps(kind, values, right, confidence)


def print_gaps(
    kind: str,
    values: NDArray[np.float64],
    right: NDArray[np.bool_],
    confidence: NDArray[np.float64],
) -> None:
    for low, high in zip(EDGES[kind], EDGES[kind][1:], strict=False):
        rows = (values >= low) & (values < high)
        if rows.any():
            gap = 100 * (confidence[rows].mean() - right[rows].mean())
            print(
                f"    {kind} {low} to {high}: {rows.sum()} crops, "
                f"{100 * right[rows].mean():.1f} % right, {gap:+.1f}"
            )


def print_turn(crops: Pixels, clean: Answers) -> None:
    """Print the gap by the yaw and pitch of the pictures themselves, enlarged to 128 pixels."""
    detector = YuNet(threads=1)
    rows, turns = [], []
    for row, crop in enumerate(crops):
        enlarged = cv2.resize(crop, (128, 128), interpolation=cv2.INTER_CUBIC)
        for face in detector(np.repeat(enlarged[..., None], 3, axis=2))[:1]:
            seen = visibility_of(crop, face, YUNET, (128, 128))
            rows.append(row)
            turns.append((abs(seen.yaw or 0), abs(seen.pitch or 0)))
    for kind, values in zip(("yaw", "pitch"), np.array(turns).T, strict=True):
        print_gaps(kind, values, clean.right[rows], clean.confidence[rows])


if __name__ == "__main__":
    main()
