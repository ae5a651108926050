"""How well teachers, FER+'s voters and both together say FER2013's label.

    python scripts/compare_teachers.py models/best_model.keras models/glance-57m.keras --data fer2013.csv.gz --votes fer2013new.csv

Prints a table of accuracy and cross-entropy: on rows held out of Training, which neither has
learned, on those trained on, which the networks know by heart, and on PublicTest. What votes
mean is learned from the rows trained on, and the powers of the pool from those held out.
PrivateTest is not looked at.
"""  # noqa: E501

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mien.train.data import hold_out, load
from mien.train.distill import teacher_targets
from mien.train.pool import vote_opinion, with_votes
from mien.train.session import open_any_session


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("teachers", type=Path, nargs="+", help="model files with their cards")
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv or .csv.gz")
    parser.add_argument("--votes", type=Path, required=True, help="fer2013new.csv")
    options = parser.parse_args()
    dataset = load(options.data, options.votes)
    training = open_any_session(options.teachers[0]).card.recipe["training"]
    rows, held_out = hold_out(dataset, training["validation_split"], training["seed"])
    teachers = teacher_targets(options.teachers, dataset, ("emotion",))["emotion"]
    assert dataset.votes is not None
    opinions = {
        "the teachers": teachers,
        "the voters": vote_opinion(dataset.votes, dataset.emotion, rows),
        "both": with_votes(teachers, dataset, rows, held_out),
    }
    parts = {"held out": held_out, "trained on": rows, "PublicTest": dataset.rows("PublicTest")}
    print(f"| asked | {' | '.join(parts)} |\n|---|{'---:|' * len(parts)}")
    for asked, opinion in opinions.items():
        cells = []
        for chosen in parts.values():
            truth = dataset.emotion[chosen]
            right = (opinion[chosen].argmax(axis=1) == truth).mean()
            entropy = -np.log(opinion[chosen, truth]).mean()
            cells.append(f"{right:.1%}, {entropy:.3f}")
        print(f"| {asked} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
