"""Which score to fit a model's temperature by, found on the rows held out of Training alone.

    python scripts/compare_temperatures.py --data fer2013.csv.gz --votes fer2013new.csv

Half of the held-out rows fit a temperature by each score, the other half judge it, 100 times
over; for a network that was trained with label smoothing, also after undoing what that did. ECE
over 15 bins of so few rows is mostly noise, so the distance that matters is the largest gap
between summed confidence and summed right answers over the rows sorted by confidence, which
needs no bins. The temperatures fitted on all held-out rows are then read on PublicTest.
PrivateTest is not looked at.

Source:
    the distance: Gupta et al., "Calibration of Neural Networks using Splines", ICLR 2021.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.calibration import expected_calibration_error, softmax
from mien.data import Dataset, hold_out, load
from mien.evaluation.audit import OPINIONS
from mien.evaluation.evaluate import classify, truth_of
from mien.evaluation.metrics import ece_by_chance
from mien.runtime import open_session

REPEATS = 100
TEMPERATURES = np.exp(np.linspace(np.log(0.5), np.log(2.0), 139))  # 1 % apart


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv or .csv.gz")
    parser.add_argument("--votes", type=Path, required=True, help="fer2013new.csv")
    parser.add_argument("--model", type=Path, help="mien's own model if left out")
    options = parser.parse_args()
    dataset = load(options.data, options.votes)
    card = open_session(options.model).card
    training = card.recipe["training"]
    fit, held_out = hold_out(dataset, training["validation_split"], training["seed"])
    parts = {"held out": held_out, "trained on": fit, "PublicTest": dataset.rows("PublicTest")}
    print("mean part of the voters who are for the label:")
    for name, rows in parts.items():
        print(f"  {name}: {votes_for_label(dataset.take(rows)):.2%} of {len(rows)} rows")
    for head in card.heads:
        session = open_session(options.model, head=head)
        known = [
            usable_rows(head, dataset.take(rows)) for rows in (held_out, dataset.rows("PublicTest"))
        ]
        logits = [classify(session, crops) for crops, _ in known]
        report(head, *(Rows(each, truth) for each, (_, truth) in zip(logits, known, strict=True)))
        smoothing = training["label_smoothing"]
        if smoothing > 0 and head == "emotion":
            undone = [without_smoothing(each, smoothing) for each in logits]
            report(
                f"{head}, label smoothing of {smoothing} undone first",
                *(Rows(each, truth) for each, (_, truth) in zip(undone, known, strict=True)),
            )


def votes_for_label(rows: Dataset) -> float:
    assert rows.votes is not None
    of_label = rows.votes[np.arange(len(rows)), OPINIONS[rows.emotion]]
    return float((of_label / rows.votes.sum(axis=1)).mean())


def usable_rows(head: str, rows: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    truth, usable = truth_of(head, rows)
    return rows.crops[usable], truth[usable]


def without_smoothing(logits: NDArray[np.float32], smoothing: float) -> NDArray[np.float32]:
    """Return the logits of what the network would say, had it learned the labels themselves.

    A network trained on targets smoothed by s learns (1 - s) p + s / C.
    """
    learned = softmax(logits)
    share = (learned - smoothing / learned.shape[1]) / (1 - smoothing)
    return np.log(np.maximum(share, 1e-4)).astype(np.float32)


class Rows:
    """Rows as they are read at each temperature: scores (temperatures, rows)."""

    def __init__(self, logits: NDArray[np.float32], truth: NDArray[np.int64]) -> None:
        self.truth = truth
        self.probabilities = [softmax(logits, each) for each in TEMPERATURES]
        rows = np.arange(len(truth))
        self.scores = {
            "cross-entropy": self._scores(lambda p: -np.log(p[rows, truth])),
            "Brier": self._scores(lambda p: np.square(p).sum(1) - 2 * p[rows, truth] + 1),
        }
        right = logits.argmax(axis=1) == truth
        self.confidence = self._scores(lambda p: p.max(axis=1))
        self.gap = self.confidence - right

    def _scores(self, score: object) -> NDArray[np.float64]:
        return np.stack([score(each) for each in self.probabilities])  # type: ignore[operator]

    def distance(self, index: int, rows: NDArray[np.int64]) -> float:
        """Return the largest gap of the sums over the rows sorted by confidence."""
        order = rows[np.argsort(self.confidence[index, rows])]
        return float(np.abs(np.cumsum(self.gap[index, order])).max() / len(rows))

    def fit(self, score: str, rows: NDArray[np.int64]) -> int:
        """Return the index of the best temperature by a score, or by the distance itself."""
        if score == "distance":
            found = [self.distance(index, rows) for index in range(len(TEMPERATURES))]
            return int(np.argmin(found))
        return int(self.scores[score][:, rows].mean(axis=1).argmin())


def report(head: str, held: Rows, public: Rows) -> None:
    print(f"\n{head}: {len(held.truth)} held-out rows, {len(public.truth)} of PublicTest\n")
    print(
        "| fitted by | temperature | distance, held out | ECE, held out | distance, PublicTest "
        "| ECE, PublicTest | cross-entropy, PublicTest |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    everyone, all_public = np.arange(len(held.truth)), np.arange(len(public.truth))
    for score in (*held.scores, "distance"):
        generator = np.random.default_rng(0)
        judged = []
        for _ in range(REPEATS):
            fit, judge = np.array_split(generator.permutation(everyone), 2)
            index = held.fit(score, fit)
            judged.append((held.distance(index, judge), ece(held, index, judge)))
        distance, error = np.mean(judged, axis=0)
        index = held.fit(score, everyone)
        print(
            f"| {score} | {TEMPERATURES[index]:.3f} | {distance:.2%} | {error:.2%} "
            f"| {public.distance(index, all_public):.2%} | {ece(public, index, all_public):.2%} "
            f"| {public.scores['cross-entropy'][index].mean():.4f} |"
        )
        if score == "Brier":
            perfect = (
                ece_by_chance(held.probabilities[index]),
                ece_by_chance(public.probabilities[index]),
            )
    print(
        f"\nECE of rows whose labels are drawn from the probabilities themselves: "
        f"{perfect[0]:.2%} held out, {perfect[1]:.2%} on PublicTest."
    )


def ece(rows: Rows, index: int, chosen: NDArray[np.int64]) -> float:
    return expected_calibration_error(rows.probabilities[index][chosen], rows.truth[chosen])


if __name__ == "__main__":
    main()
