"""Does adapting without labels help? FER2013's own pictures, made worse, tell.

    python scripts/adaptation_experiment.py fer2013.csv.gz
    python scripts/adaptation_experiment.py fer2013.csv.gz --choose-prior

PublicTest is halved. One half, spoilt, is what the network is adapted to, without its labels;
the other half, spoilt the same way, is what is judged. ``--choose-prior`` does the same on
the rows of Training that the shipped weights held out, for several weights of the old
statistics, so that the default is not chosen on test rows. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import data
from mien.evaluation.comparison import compare
from mien.evaluation.evaluate import classify
from mien.train.adapt import PRIOR, adapt
from mien.train.session import KerasSession, load_network
from mien.types import Crops

Spoil = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def darkened(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """To a quarter of its brightness."""
    return np.rint(face * 0.25).astype(np.uint8)


def low_contrast(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """To a quarter of its contrast, and lighter, as through mist."""
    return np.rint(160 + 0.25 * (face - 127.5)).astype(np.uint8)


def blurred(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """By a Gaussian of 1.5 pixels."""
    return np.asarray(cv2.GaussianBlur(face, (0, 0), 1.5), np.uint8)


def as_poor_jpeg(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At quality 10."""
    _, packed = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 10])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def noisy(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """With a Gaussian's 25 levels."""
    noise = np.random.default_rng(int(face.sum())).normal(0, 25, face.shape)
    return np.clip(np.rint(face + noise), 0, 255).astype(np.uint8)


SHIFTS: dict[str, Spoil] = {
    "none": lambda face: face,
    "dark": darkened,
    "flat": low_contrast,
    "blur": blurred,
    "jpeg": as_poor_jpeg,
    "noise": noisy,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path, default=Path("models/best_model.keras"))
    parser.add_argument("--faces", type=int, nargs="+", default=[20, 500])
    parser.add_argument("--judged", type=int, help="judge so many faces, not half of all")
    parser.add_argument("--shifts", nargs="+", default=list(SHIFTS), choices=SHIFTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choose-prior", action="store_true")
    options = parser.parse_args()

    dataset = data.load(options.data)
    model, card = load_network(options.model)
    rows = dataset.rows("PublicTest")
    if options.choose_prior:
        training = card.recipe["training"]
        _, rows = data.hold_out(dataset, training["validation_split"], training["seed"])
    priors = [0, 16, 64, 256] if options.choose_prior else [PRIOR]
    order = np.random.default_rng(options.seed).permutation(rows)
    unlabelled, judged = order[: len(order) // 2], order[len(order) // 2 :][: options.judged]
    truth = dataset.emotion[judged]
    print(f"{card.name} {card.version}; {len(judged)} faces judged\n")
    print("| shift | faces | prior | moved | accuracy | adapted | change (95 %) | ECE | adapted |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in options.shifts:
        spoil = SHIFTS[name]
        shown = spoilt(dataset.crops[judged], spoil)
        before = classify(KerasSession(model, card), shown)
        for count in options.faces:
            seen = spoilt(dataset.crops[unlabelled[:count]], spoil)
            for prior in priors:
                adapted, done = adapt(model, seen, prior=prior)
                after = classify(KerasSession(adapted, card), shown)
                found = compare(card, before, after, truth)
                change = found.change["accuracy"]
                print(
                    f"| {name} | {done.faces} | {prior} | {done.moved:.2f} "
                    f"| {found.before['accuracy']:.1%} | {found.after['accuracy']:.1%} "
                    f"| {100 * change.value:+.1f} ({100 * change.interval.low:+.1f} to "
                    f"{100 * change.interval.high:+.1f}) "
                    f"| {found.before['ece']:.1%} | {found.after['ece']:.1%} |",
                    flush=True,
                )


def spoilt(crops: Crops, spoil: Spoil) -> Crops:
    return np.stack([spoil(crop[..., 0]) for crop in crops])[..., None]


if __name__ == "__main__":
    main()
