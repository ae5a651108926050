"""FER2013 in memory, with everything that a run learns from beside its teachers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data import hold_out, load, vote_distribution
from mien.train.pool import vote_opinion

__all__ = ["HELD_OUT", "SEED", "Rows", "read"]

SEED = 1  # the recipes' own: the same rows are held out in every run
HELD_OUT = 0.05


@dataclass(frozen=True)
class Rows:
    """Training rows of FER2013.

    Attributes:
        crops: uint8 (N, 48, 48).
        emotion: int64 (N,), columns of ``EMOTIONS``.
        ferplus: float32 (N, 8), the votes' distribution, and ``ferplus_counts`` (N,) whether
            there is one.
        voters: float32 (N, 7), how probable each label is given the votes.
        unreadable: bool (N,), most votes are "unknown" or "no face".
    """

    crops: NDArray[np.uint8]
    emotion: NDArray[np.int64]
    ferplus: NDArray[np.float32]
    ferplus_counts: NDArray[np.float32]
    voters: NDArray[np.float32]
    unreadable: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> Rows:
        return Rows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def read(data: Path, votes: Path, held_out: float = HELD_OUT) -> tuple[Rows, Rows]:
    """Return the rows to fit on and the rows held out; no test row is kept."""
    dataset = load(data, votes)
    assert dataset.votes is not None
    fit, others = hold_out(dataset, held_out, SEED)
    distribution, usable = vote_distribution(dataset.votes)
    rows = Rows(
        crops=dataset.crops[..., 0],
        emotion=dataset.emotion,
        ferplus=distribution,
        ferplus_counts=usable.astype(np.float32),
        voters=vote_opinion(dataset.votes, dataset.emotion, fit),
        unreadable=dataset.votes[:, 8:].sum(axis=1) >= 5,
    )
    return rows.take(fit), rows.take(others)
