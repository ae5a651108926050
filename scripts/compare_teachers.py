"""How well teachers, FER+'s voters and all together say FER2013's label.

    python scripts/compare_teachers.py models/best_model.keras models/glance-57m.keras models/standard_cnn/best_model.keras --data fer2013.csv.gz --votes fer2013new.csv

Prints a table of accuracy and cross-entropy: on rows held out of Training, which neither has
learned, on those trained on, which the networks know by heart, and on PublicTest. What votes
mean is learned from the rows trained on, and the powers of the pool from those held out.
PrivateTest is not looked at.
"""  # noqa: E501

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mien.data import hold_out, load
from mien.evaluation.metrics import accuracy_and_loss
from mien.runtime import open_session
from mien.train.distill import mean_answers, teacher_answers
from mien.train.pool import pool, vote_opinion


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("teachers", type=Path, nargs="+", help="model files with their cards")
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv or .csv.gz")
    parser.add_argument("--votes", type=Path, required=True, help="fer2013new.csv")
    options = parser.parse_args()
    dataset = load(options.data, options.votes)
    sessions = [open_session(teacher) for teacher in options.teachers]
    training = sessions[0].card.recipe["training"]
    rows, held_out = hold_out(dataset, training["validation_split"], training["seed"])
    answers = teacher_answers(options.teachers, dataset, ("emotion",))
    voters = vote_opinion(dataset.votes, dataset.emotion, rows)
    each = [answer["emotion"] for answer in answers]
    asked = {session.card.name: one for session, one in zip(sessions, each, strict=True)}
    asked |= {"their mean": mean_answers(answers)["emotion"], "the voters": voters}
    asked["all, pooled"] = pool([*each, voters], dataset.emotion, held_out)
    parts = {"held out": held_out, "trained on": rows, "PublicTest": dataset.rows("PublicTest")}
    print(f"| asked | {' | '.join(parts)} |\n|---|{'---:|' * len(parts)}")
    for name, opinion in asked.items():
        figures = [
            accuracy_and_loss(np.log(opinion[chosen]), dataset.emotion[chosen])
            for chosen in parts.values()
        ]
        cells = " | ".join(f"{accuracy:.1%}, {loss:.3f}" for accuracy, loss in figures)
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
