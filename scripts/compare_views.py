"""How steadily networks read a face that is mirrored or moved by one pixel.

    python scripts/compare_views.py src/mien/assets/glance.onnx models/standard_cnn/standard_cnn.onnx --data fer2013.csv.gz

On the rows held out of Training: the part of the faces that get another label when they are
mirrored, or moved by a pixel to the right, down, or both; and what averaging the logits of such
views gains in cross-entropy, which is what the network loses by being unsteady.
"""  # noqa: E501

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mien.data import hold_out, load
from mien.evaluation.evaluate import classify
from mien.evaluation.metrics import accuracy_and_loss
from mien.runtime import open_session
from mien.train.augment import moved
from mien.types import Logits

MOVES = ((0, 0), (0, 1), (1, 0), (1, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+", help="model files with their cards")
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv or .csv.gz")
    options = parser.parse_args()
    dataset = load(options.data)
    print("| network | one view | mirrored | moved | mean of both mirrorings | of four places |")
    print(f"|---|{'---:|' * 5}")
    for path in options.models:
        session = open_session(path)
        training = session.card.recipe["training"]
        _, rows = hold_out(dataset, training["validation_split"], training["seed"])
        crops, truth = dataset.crops[rows], dataset.emotion[rows]
        places = [classify(session, moved(crops, *move)) for move in MOVES]
        mirrored = classify(session, np.ascontiguousarray(crops[:, :, ::-1]))
        one = places[0]
        changed = [f"{turned(one, [mirrored]):.1%}", f"{turned(one, places[1:]):.1%}"]
        means = [one, (one + mirrored) / 2, np.mean(places, axis=0)]
        temperature = session.card.calibration.temperature
        figures = [accuracy_and_loss(logits / temperature, truth) for logits in means]
        alone, *averaged = (f"{accuracy:.1%}, {loss:.3f}" for accuracy, loss in figures)
        print(f"| {session.card.name} | {' | '.join([alone, *changed, *averaged])} |")


def turned(before: Logits, after: list[Logits]) -> float:
    """Return the part of the rows that get another label, the mean over ``after``."""
    return float(np.mean([before.argmax(axis=1) != each.argmax(axis=1) for each in after]))


if __name__ == "__main__":
    main()
