"""FER2013 and FER+ as arrays, in every layout in which people have them.

Source:
    FER2013: Goodfellow et al., "Challenges in Representation Learning", 2013.
    FER+: Barsoum et al., "Training Deep Networks for Facial Expression Recognition with
    Crowd-Sourced Label Distribution", ICMI 2016.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import platformdirs

from mien.data.dataset import SPLITS, Dataset, hold_out
from mien.data.ferplus import FERPLUS_LABELS, join_votes, majority, vote_distribution
from mien.data.layouts import Progress, read_csv, read_folder
from mien.errors import ConfigError, DataError
from mien.files import atomic_write

__all__ = [
    "FERPLUS_LABELS",
    "SPLITS",
    "Dataset",
    "Progress",
    "hold_out",
    "join_votes",
    "load",
    "majority",
    "read_csv",
    "read_folder",
    "vote_distribution",
]

_CACHE_FORMAT = 1


def load(
    path: Path,
    votes: Path | None = None,
    *,
    skip_bad: bool = False,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Read FER2013 from its CSV (plain or ``.gz``) or its folder layout.

    A CSV's arrays are cached in the user's cache directory, keyed by the hash of the file.

    Args:
        path: ``fer2013.csv``, ``fer2013.csv.gz`` or the folder that holds ``train``/``test``.
        votes: FER+'s ``fer2013new.csv``; only with the CSV, whose row order it shares.
        skip_bad: leave bad rows out and list them in ``Dataset.skipped``.
        cache_dir: where to cache; the user's cache directory if ``None``.
        progress: called with (done, total) on the first parse.

    Raises:
        DataError: nothing is there, or a row or file is not as it should be.
    """
    if path.is_dir():
        if votes is not None:
            raise DataError(
                f"FER+ votes go by the row order of the CSV, and {path} is a folder: "
                "give fer2013.csv, or leave the votes out"
            )
        return read_folder(path, skip_bad=skip_bad, progress=progress)
    if not path.is_file():
        raise DataError(
            f"no data at {path}: expected fer2013.csv, fer2013.csv.gz "
            "or a folder with train/ and test/"
        )
    folder = cache_dir or Path(platformdirs.user_cache_dir("mien"))
    cached = folder / f"fer2013-v{_CACHE_FORMAT}-{_hash(path)}.npz"
    dataset = _read_cache(cached)
    if dataset is None:
        dataset = read_csv(path, skip_bad=skip_bad, progress=progress)
        if not dataset.skipped:  # what was skipped must be said every time
            _write_cache(cached, dataset)
    return dataset if votes is None else join_votes(dataset, votes)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.blake2b(digest_size=16)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_cache(path: Path) -> Dataset | None:
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return Dataset(arrays["crops"], arrays["emotion"], arrays["split"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write_cache(path: Path, dataset: Dataset) -> None:
    """Write the arrays whole or not at all; a full or read-only disk costs only the cache."""
    with contextlib.suppress(ConfigError), atomic_write(path) as temporary:
        np.savez(temporary, crops=dataset.crops, emotion=dataset.emotion, split=dataset.split)
