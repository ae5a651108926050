"""FER+: ten people's votes on every image of FER2013.

Source:
    Barsoum et al., "Training Deep Networks for Facial Expression Recognition with
    Crowd-Sourced Label Distribution", ICMI 2016; ``src/ferplus.py`` of their code.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import Dataset
from mien.errors import DataError

__all__ = ["FERPLUS_LABELS", "join_votes", "majority", "vote_distribution"]

#: The eight categories of FER+, in its own column order.
FERPLUS_LABELS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)
_VOTE_COLUMNS = (*FERPLUS_LABELS, "unknown", "NF")


def join_votes(dataset: Dataset, path: Path) -> Dataset:
    """Add the FER+ votes, which have one line for every row of FER2013 in the same order.

    Raises:
        DataError: columns are missing, a vote is not a number, or the rows do not match.
    """
    if dataset.skipped:
        raise DataError(
            f"FER+ votes go by row order, and {len(dataset.skipped)} rows were skipped: "
            "mend the CSV, or leave the votes out"
        )
    votes: list[list[float]] = []
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            missing = {"Usage", *_VOTE_COLUMNS} - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{path}: no column {', '.join(sorted(missing))}")
            for number, row in enumerate(reader, start=1):
                if number <= len(dataset) and row["Usage"] != dataset.split[number - 1]:
                    raise DataError(
                        f"{path}, row {number}: Usage is {row['Usage']!r}, but the data set "
                        f"has {str(dataset.split[number - 1])!r} there; the order must match"
                    )
                try:
                    votes.append([float(row[column]) for column in _VOTE_COLUMNS])
                except (TypeError, ValueError):
                    raise DataError(f"{path}, row {number}: a vote is not a number") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the FER+ votes: {error}") from None
    if len(votes) != len(dataset):
        raise DataError(
            f"{path} has {len(votes)} rows, but the data set has {len(dataset)}; "
            "FER+ goes with the complete fer2013.csv"
        )
    counts = np.array(votes, np.float32)
    if bad := np.flatnonzero(~(np.isfinite(counts) & (counts >= 0)).all(axis=1)).tolist():
        raise DataError(f"{path}, row {bad[0] + 1}: a vote is below 0 or not a finite number")
    return replace(dataset, votes=counts)


def vote_distribution(
    votes: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Turn FER+ votes into training targets.

    Single votes are dropped as slips; unknown and no-face are left out.

    Args:
        votes: (N, 10) counts.

    Returns:
        Probabilities float32 (N, 8), and bool (N,): the rows that have any.

    Source:
        Barsoum et al. 2016, section 3; their code drops single votes too.
    """
    counts = np.where(votes[:, :8] > 1, votes[:, :8], 0)
    total = counts.sum(axis=1, keepdims=True)
    usable = total[:, 0] > 0
    return (counts / np.maximum(total, 1)).astype(np.float32), usable


def majority(votes: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return each row's category by majority, and the rows that have one.

    FER+'s own rule, by which published figures are counted: single votes are dropped, and
    the winner needs more than half of what is left. Rows won by unknown or no-face, or by
    nobody, are not usable.

    Args:
        votes: (N, 10) counts.

    Returns:
        int64 (N,), column in :data:`FERPLUS_LABELS` where usable, and bool (N,).

    Source:
        the mode ``majority`` of ``src/ferplus.py`` in https://github.com/microsoft/FERPlus.
    """
    counts = np.where(votes > 1, votes, 0)
    winner = counts.argmax(axis=1).astype(np.int64)
    won = 2 * counts.max(axis=1, initial=0) > counts.sum(axis=1)
    return winner, won & (winner < len(FERPLUS_LABELS))
