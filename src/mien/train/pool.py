"""What networks and FER+'s voters say of FER2013's label together, as a target.

Ten people who looked at a picture know something about its label that no network trained on
these pictures does, and the other way round. Both are asked, and their opinions multiplied,
each to a power that makes the product as good as it can be on rows held out.

Source:
    Genest and Zidek, "Combining Probability Distributions", Statistical Science, 1986: the
    logarithmic opinion pool.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from mien.calibration import softmax
from mien.data import Dataset
from mien.errors import ConfigError
from mien.types import EMOTIONS

__all__ = ["Voters", "pool", "vote_opinion", "with_votes"]

_Opinion = NDArray[np.float32]
_Rows = NDArray[np.int64]

_LEAST = 1e-6  # no opinion may forbid a label


def with_votes(
    teachers: Sequence[_Opinion], dataset: Dataset, rows: _Rows, held_out: _Rows
) -> _Opinion:
    """Return the teachers' probabilities of each label, pooled with the voters'.

    Args:
        teachers: float32 (N, 7) each, rows as in ``dataset``, columns as in ``EMOTIONS``.
        rows: those trained on; what votes mean is learned from them.
        held_out: those that the powers are fitted on.

    Returns:
        float32 (N, 7), rows summing to 1.

    Raises:
        ConfigError: there are no votes, or nothing is held out.
    """
    opinions = [*teachers, _voters(dataset, rows, held_out)]
    return pool(opinions, dataset.emotion, held_out)


@dataclass(frozen=True)
class Voters:
    """What the voters say, to be pooled with teachers that look at augmented pictures.

    Attributes:
        opinion: float32 (N, 7), rows as in the data set.
        powers: of the teachers' mean and of the voters' opinion.
    """

    opinion: _Opinion
    powers: NDArray[np.float64]

    @classmethod
    def beside(
        cls,
        ask: Callable[[NDArray[np.float32]], _Opinion],
        dataset: Dataset,
        rows: _Rows,
        held_out: _Rows,
    ) -> Voters:
        """Fit both powers on the plain pictures held out.

        Args:
            ask: the teachers' mean, (N, 7) for crops (N, H, W, 1).
            rows: those trained on; what votes mean is learned from them.

        Raises:
            ConfigError: there are no votes, or nothing is held out.
        """
        opinion = _voters(dataset, rows, held_out)
        said = ask(dataset.crops[held_out].astype(np.float32))
        return cls(opinion, _powers([said, opinion[held_out]], dataset.emotion[held_out]))

    def pooled_with(self, teachers: _Opinion, voters: _Opinion) -> _Opinion:
        """Return both opinions (N, 7) of the same pictures, multiplied."""
        return _product([teachers, voters], self.powers)


def vote_opinion(votes: NDArray[np.number[Any]], labels: _Rows, rows: _Rows) -> _Opinion:
    """Return how probable each label is given a picture's votes alone.

    Multinomial logistic regression on the counts and their logarithms: 147 numbers, which
    cannot learn single rows by heart.

    Args:
        votes: (N, 10), FER+'s categories.
        labels: (N,) columns of ``EMOTIONS``, of which ``rows`` are looked at.

    Returns:
        float32 (N, 7); a label that is not among the rows has probability 0.
    """
    counts = votes.astype(np.float64)
    features = np.hstack([counts / 10, np.log1p(counts)])
    model = LogisticRegression(max_iter=2000).fit(features[rows], labels[rows])
    opinion = np.zeros((len(votes), len(EMOTIONS)), np.float32)
    opinion[:, model.classes_] = model.predict_proba(features)
    return opinion


def pool(opinions: Sequence[_Opinion], labels: _Rows, held_out: _Rows) -> _Opinion:
    """Multiply opinions (N, C), each to the power that is best for the rows held out."""
    known = [opinion[held_out] for opinion in opinions]
    return _product(opinions, _powers(known, labels[held_out]))


def _voters(dataset: Dataset, rows: _Rows, held_out: _Rows) -> _Opinion:
    if dataset.votes is None or len(held_out) == 0:
        raise ConfigError(
            "the recipe asks the voters (teacher_votes): give --votes fer2013new.csv, and hold "
            "rows out (validation_split above 0)"
        )
    return vote_opinion(dataset.votes, dataset.emotion, rows)


def _powers(opinions: Sequence[_Opinion], truth: _Rows) -> NDArray[np.float64]:
    """Return the powers that make the product of opinions (N, C) best at saying ``truth``."""
    logs = _logs(opinions)

    def cross_entropy(powers: NDArray[np.float64]) -> float:
        product = log_softmax(np.tensordot(powers, logs, axes=1), axis=1)
        return float(-product[np.arange(len(truth)), truth].mean())

    even = np.full(len(opinions), 1 / len(opinions))
    found: NDArray[np.float64] = minimize(cross_entropy, even, bounds=[(0, 2)] * len(opinions)).x
    return found


def _product(opinions: Sequence[_Opinion], powers: NDArray[np.float64]) -> _Opinion:
    product = np.tensordot(powers, _logs(opinions), axes=1)
    return softmax(product).astype(np.float32)  # type: ignore[arg-type]  # kept in float64


def _logs(opinions: Sequence[_Opinion]) -> NDArray[np.float64]:
    return np.log(np.maximum(np.stack(opinions), _LEAST)).astype(np.float64)
