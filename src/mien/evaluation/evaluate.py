"""A model judged on the test splits: each split, with and without images seen in training.

Nothing is chosen here. A test image whose exact pixels stand in Training too was learned by
heart; every split is therefore judged twice, with and without such images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.calibration import softmax
from mien.card import ModelCard
from mien.data import Dataset, majority
from mien.errors import DataError, ModelError
from mien.evaluation.metrics import Curve, Scores, accuracy_coverage, reliability, score
from mien.runtime import Session
from mien.types import Crops, Logits

__all__ = [
    "TEST_SPLITS",
    "Result",
    "card_metrics",
    "classify",
    "evaluate",
    "headline",
    "heads_with_truth",
    "judged",
    "mean_logits",
    "truth_of",
]

#: The sets of splits that are judged, where the data has them.
TEST_SPLITS = (("PublicTest",), ("PrivateTest",), ("PublicTest", "PrivateTest"), ("Test",))

_BATCH = 256


@dataclass(frozen=True)
class Result:
    """One model head judged on one set of rows.

    Attributes:
        split: the splits that the rows are from, joined by " + ".
        unseen: images whose exact pixels stand in Training are left out.
        flip: logits are the mean of a crop's and of its mirror image's.
    """

    head: str
    labels: tuple[str, ...]
    split: str
    unseen: bool
    flip: bool
    scores: Scores
    reliability: Curve
    accuracy_coverage: Curve

    @property
    def name(self) -> str:
        """The split, and what is special about the rows or the reading of them."""
        flags = (", unseen" if self.unseen else "", ", flip" if self.flip else "")
        return self.split + "".join(flags)


def evaluate(
    session: Session,
    dataset: Dataset,
    *,
    flip: bool = False,
    on_crops: Callable[[int, int], None] = lambda done, total: None,
) -> list[Result]:
    """Evaluate every head that the data has the truth of, on every test split that it has.

    The head ``ferplus`` is evaluated against the majority of the FER+ votes, heads with the
    labels of the data set against its labels; the network runs once for all of them.

    Args:
        flip: evaluate flip averaging, too.
        on_crops: called with (done, total) as crops are classified.

    Returns:
        The default head's results first.

    Raises:
        DataError: there is no test row, or the truth of no head.
        ModelError: the model gave something else than finite numbers.
    """
    rows = dataset.rows(*(name for names in TEST_SPLITS for name in names))
    if len(rows) == 0:
        raise DataError("the data has no test rows: expected PublicTest, PrivateTest or test/")
    heads = heads_with_truth(session.card, dataset)
    if not heads:
        raise DataError(_no_truth(session.card, dataset))
    total = len(rows) * (1 + flip)
    done = 0

    def count(crops: int) -> None:
        nonlocal done
        done += crops
        on_crops(done, total)

    tests = dataset.take(rows)
    seen = dataset.seen_in_training()[rows]
    plain = classify(session, tests.crops, on_batch=count)
    mirrored = classify(session, tests.crops[:, :, ::-1], on_batch=count) if flip else None
    results: list[Result] = []
    for head in heads:
        results += _evaluate_head(session.card, head, tests, seen, plain[head], flip=False)
        if mirrored is not None:
            both = mean_logits(plain[head], mirrored[head])
            results += _evaluate_head(session.card, head, tests, seen, both, flip=True)
    return results


def classify(
    session: Session, crops: Crops, *, on_batch: Callable[[int], None] = lambda crops: None
) -> dict[str, Logits]:
    """Return the logits of any number of crops, by head; a batch at a time.

    Raises:
        ModelError: the model gave something else than finite numbers.
    """
    parts = [session(crops[:0])]
    for start in range(0, len(crops), _BATCH):
        batch = np.ascontiguousarray(crops[start : start + _BATCH])
        parts.append(session(batch))
        on_batch(len(batch))
    logits = {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}
    if not all(np.isfinite(each).all() for each in logits.values()):
        raise ModelError(f"{session.card.name} gave logits that are not finite numbers")
    return logits


def heads_with_truth(card: ModelCard, dataset: Dataset) -> list[str]:
    """Return the heads that the data has the truth of, the default one first."""
    names = sorted(card.heads, key=lambda name: name != card.default_head)
    return [
        name
        for name in names
        if (dataset.votes is not None if name == "ferplus" else _same_labels(card, name, dataset))
    ]


def judged(
    card: ModelCard,
    logits: Logits,
    truth: NDArray[np.int64],
    split: str,
    *,
    head: str | None = None,
    unseen: bool = False,
    flip: bool = False,
) -> Result:
    """Evaluate logits (N, C) of a head against true columns (N,).

    Args:
        head: the card's default one if ``None``.

    Raises:
        InputError: there is no row, or not one truth for each.
    """
    name = card.default_head if head is None else head
    labels, calibration = card.head(name).labels, card.head(name).calibration
    probabilities = softmax(logits, calibration.temperature)
    return Result(
        name,
        labels,
        split,
        unseen,
        flip,
        score(logits, truth, labels, calibration),
        reliability(probabilities, truth),
        accuracy_coverage(probabilities, truth),
    )


def truth_of(head: str, dataset: Dataset) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return each row's true column for a head, and the rows that have one.

    Raises:
        DataError: the head is FER+'s, and no votes were joined.
    """
    if head != "ferplus":
        return dataset.emotion, np.ones(len(dataset), bool)
    if dataset.votes is None:
        raise DataError("the head 'ferplus' is judged by FER+ votes: give --votes fer2013new.csv")
    return majority(dataset.votes)


def headline(results: Sequence[Result], head: str, *, flip: bool = False) -> Result:
    """Return the result on the most rows, those seen in training included."""
    fitting = [each for each in results if each.head == head and each.flip == flip]
    return max(fitting, key=lambda each: each.scores.count)


def card_metrics(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Return the figures that a model card holds, by split; parts of 1 (``nll``: nats)."""
    first = results[0].head
    metrics: dict[str, dict[str, float]] = {}
    for each in results:
        name = each.split if each.head == first else f"{each.head} {each.split}"
        figures = metrics.setdefault(name, {})
        suffix = ("_flip" if each.flip else "") + ("_unseen" if each.unseen else "")
        figures[f"accuracy{suffix}"] = each.scores.accuracy
        if not suffix:
            figures |= _figures(each.scores)
    return metrics


def _figures(scores: Scores) -> dict[str, float]:
    return {
        "accuracy_low": scores.accuracy_interval.low,
        "accuracy_high": scores.accuracy_interval.high,
        "macro_f1": scores.macro_f1,
        "weighted_f1": scores.weighted_f1,
        "top2_accuracy": scores.top2_accuracy,
        "nll": scores.nll,
        "ece": scores.ece,
        "set_coverage": scores.set_coverage,
        "mean_set_size": scores.mean_set_size,
        "answered": scores.answered,
        "accuracy_answered": scores.accuracy_answered,
        "accuracy_at_80": scores.accuracy_at_80,
    }


def mean_logits(one: Logits, other: Logits) -> Logits:
    """Return the mean of two logits, as of a crop and its mirror image."""
    return np.asarray((one + other) / 2, np.float32)


def _evaluate_head(
    card: ModelCard,
    head: str,
    tests: Dataset,
    seen: NDArray[np.bool_],
    logits: Logits,
    *,
    flip: bool,
) -> Iterator[Result]:
    truth, usable = truth_of(head, tests)
    for splits in TEST_SPLITS:
        chosen = np.isin(tests.split, splits) & usable
        if not all((tests.split[chosen] == split).any() for split in splits):
            continue
        for unseen in (False, True):
            rows = chosen & ~seen if unseen else chosen
            if rows.any():
                yield judged(
                    card,
                    logits[rows],
                    truth[rows],
                    " + ".join(splits),
                    head=head,
                    unseen=unseen,
                    flip=flip,
                )


def _same_labels(card: ModelCard, head: str, dataset: Dataset) -> bool:
    return card.head(head).labels == dataset.labels


def _no_truth(card: ModelCard, dataset: Dataset) -> str:
    if "ferplus" in card.heads:
        return "the head 'ferplus' is evaluated by FER+ votes: give --votes fer2013new.csv"
    return (
        f"{card.name} reads {', '.join(card.labels)}, but the labels of the data are "
        f"{', '.join(dataset.labels)}: name data with the model's labels"
    )
