"""Labelled face crops as arrays, and how some are held out. Nothing here reads files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.types import EMOTIONS, Crops

__all__ = ["SPLITS", "Dataset", "hold_out"]

#: Values of ``Dataset.split``. ``Test`` is the folder layout's ``test``, which holds
#: PublicTest and PrivateTest together and does not say which image is which.
SPLITS = ("Training", "PublicTest", "PrivateTest", "Test")


@dataclass(frozen=True)
class Dataset:
    """Labelled face crops, one row each, in the order of their source.

    Attributes:
        crops: uint8 (N, 48, 48, 1), 0-255.
        emotion: int64 (N,), column in ``labels``.
        split: str (N,), each one of :data:`SPLITS`.
        votes: float32 (N, 10) counts of FER+ votes over eight categories, unknown and
            no-face; ``None`` where FER+ was not joined.
        skipped: one line for every row or file that was left out as bad.
        names: str (N,), each row's file within its folder; ``None`` where rows have no file.
        labels: what the columns of ``emotion`` stand for.
    """

    crops: Crops
    emotion: NDArray[np.int64]
    split: NDArray[np.str_]
    votes: NDArray[np.float32] | None = None
    skipped: tuple[str, ...] = ()
    names: NDArray[np.str_] | None = None
    labels: tuple[str, ...] = EMOTIONS

    def __len__(self) -> int:
        return len(self.emotion)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Dataset:
        """Return the chosen rows, by index or by mask."""
        return replace(
            self,
            crops=self.crops[rows],
            emotion=self.emotion[rows],
            split=self.split[rows],
            votes=None if self.votes is None else self.votes[rows],
            names=None if self.names is None else self.names[rows],
        )

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """Return the indices of all rows of the given splits, ascending."""
        return np.flatnonzero(np.isin(self.split, splits))

    def fingerprint(self) -> str:
        """Return a hash of everything that a training run depends on."""
        digest = hashlib.blake2b(digest_size=16)
        for array in (self.crops, self.emotion, self.split.astype("U12"), self.votes):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def seen_in_training(self) -> NDArray[np.bool_]:
        """Mark the rows outside Training whose exact pixels stand in Training too."""
        keys = _pixel_keys(self.crops)
        training = self.split == "Training"
        return np.asarray(np.isin(keys, keys[training]) & ~training)


def hold_out(
    dataset: Dataset, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the Training rows into rows to fit on and rows held out.

    Stratified by emotion; rows with exactly the same pixels stay on one side.

    Returns:
        Two ascending index arrays into ``dataset``: (fit, held out).

    Raises:
        DataError: there are no Training rows, or a class is too small to split.
    """
    rows = dataset.rows("Training")
    if len(rows) == 0:
        raise DataError("the data set has no Training rows to hold any out of")
    _, first, group = np.unique(
        _pixel_keys(dataset.crops[rows]), return_index=True, return_inverse=True
    )
    group_emotion = dataset.emotion[rows][first]
    sizes = np.bincount(group)
    generator = np.random.default_rng(seed)
    held = np.zeros(len(sizes), bool)
    for label in np.unique(group_emotion):
        members = generator.permutation(np.flatnonzero(group_emotion == label))
        running = np.cumsum(sizes[members])
        count = int(np.searchsorted(running, fraction * running[-1], side="right"))
        if fraction > 0 and not 0 < count < len(members):
            raise DataError(
                f"cannot hold {fraction:.0%} of '{dataset.labels[label]}' out: only "
                f"{len(members)} different images of it"
            )
        held[members[:count]] = True
    return rows[~held[group]], rows[held[group]]


def _pixel_keys(crops: Crops) -> NDArray[np.bytes_]:
    """Return one short key per crop, equal where all pixels are equal."""
    return np.array(
        [hashlib.blake2b(crop.tobytes(), digest_size=16).hexdigest() for crop in crops], "S32"
    )
