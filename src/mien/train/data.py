"""FER2013 and FER+ as arrays, in every layout in which people have them.

The label order is mapped once, here: the official CSV numbers its classes
``0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral``; everywhere else in
mien the order is :data:`mien.types.EMOTIONS`.

Source:
    FER2013: Goodfellow et al., "Challenges in Representation Learning", 2013.
    FER+: Barsoum et al., "Training Deep Networks for Facial Expression Recognition with
    Crowd-Sourced Label Distribution", ICMI 2016.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from mien.errors import DataError
from mien.types import CROP_HW, EMOTIONS, Crops

__all__ = [
    "FERPLUS_LABELS",
    "SPLITS",
    "Dataset",
    "hold_out",
    "join_votes",
    "load",
    "load_csv",
    "load_folder",
    "majority",
    "vote_distribution",
]

#: Values of ``Dataset.split``. ``Test`` is the folder layout's ``test``, which holds
#: PublicTest and PrivateTest together and does not say which image is which.
SPLITS = ("Training", "PublicTest", "PrivateTest", "Test")

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
_CSV_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_FROM_CSV = np.array([EMOTIONS.index(label) for label in _CSV_LABELS], np.int64)
_PIXELS = CROP_HW[0] * CROP_HW[1]
_IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_CACHE_FORMAT = 1

#: Called with (done, total) while a data set is parsed; total is bytes or files.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Dataset:
    """Labelled face crops, one row each, in the order of their source.

    Attributes:
        crops: uint8 (N, 48, 48, 1), 0-255.
        emotion: int64 (N,), column in :data:`mien.types.EMOTIONS`.
        split: str (N,), each one of :data:`SPLITS`.
        votes: float32 (N, 10) counts of FER+ votes over eight categories, unknown and
            no-face; ``None`` where FER+ was not joined.
        skipped: one line for every row or file that was left out as bad.
    """

    crops: Crops
    emotion: NDArray[np.int64]
    split: NDArray[np.str_]
    votes: NDArray[np.float32] | None = None
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.emotion)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Dataset:
        """Return the chosen rows, by index or by mask."""
        return replace(
            self,
            crops=self.crops[rows],
            emotion=self.emotion[rows],
            split=self.split[rows],
            votes=None if self.votes is None else self.votes[rows],
        )

    def rows(self, *splits: str) -> NDArray[np.int64]:
        """Return the indices of all rows of the given splits, ascending."""
        return np.flatnonzero(np.isin(self.split, splits))

    def seen_in_training(self) -> NDArray[np.bool_]:
        """Mark the rows outside Training whose exact pixels stand in Training too."""
        keys = _pixel_keys(self.crops)
        training = self.split == "Training"
        return np.isin(keys, keys[training]) & ~training


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
        return load_folder(path, skip_bad=skip_bad, progress=progress)
    if not path.is_file():
        raise DataError(
            f"no data at {path}: expected fer2013.csv, fer2013.csv.gz "
            "or a folder with train/ and test/"
        )
    folder = cache_dir or Path(platformdirs.user_cache_dir("mien"))
    cached = folder / f"fer2013-v{_CACHE_FORMAT}-{_hash(path)}.npz"
    dataset = _read_cache(cached)
    if dataset is None:
        dataset = load_csv(path, skip_bad=skip_bad, progress=progress)
        if not dataset.skipped:  # what was skipped must be said every time
            _write_cache(cached, dataset)
    return dataset if votes is None else join_votes(dataset, votes)


def load_csv(
    path: Path, *, skip_bad: bool = False, progress: Progress | None = None
) -> Dataset:
    """Parse the official CSV: columns ``emotion``, ``pixels`` and ``Usage``.

    Raises:
        DataError: with the file and the row (1 is the first after the header).
    """
    crops: list[NDArray[np.uint8]] = []
    emotion: list[int] = []
    split: list[str] = []
    skipped: list[str] = []
    total = path.stat().st_size
    with _open_text(path) as (lines, position):
        try:
            reader = csv.DictReader(lines)
            missing = {"emotion", "pixels", "Usage"} - set(reader.fieldnames or ())
            if missing:
                raise DataError(
                    f"{path}: no column {', '.join(sorted(missing))}; "
                    "expected emotion, pixels and Usage in the first line"
                )
            for number, row in enumerate(reader, start=1):
                try:
                    crop, label, usage = _parse_row(row)
                except DataError as error:
                    message = f"{path}, row {number}: {error}"
                    if not skip_bad:
                        raise DataError(message) from None
                    skipped.append(message)
                    continue
                crops.append(crop)
                emotion.append(label)
                split.append(usage)
                if progress is not None and number % 256 == 0:
                    progress(position(), total)
        except (UnicodeDecodeError, EOFError, OSError, csv.Error) as error:
            raise DataError(f"{path} is not a readable CSV file: {error}") from None
    if not crops:
        raise DataError(f"{path} holds no usable row")
    if progress is not None:
        progress(total, total)
    return Dataset(
        np.stack(crops),
        np.array(emotion, np.int64),
        np.array(split),
        skipped=tuple(skipped),
    )


def load_folder(
    path: Path, *, skip_bad: bool = False, progress: Progress | None = None
) -> Dataset:
    """Read ``train|test/<emotion>/*.{jpg,png}``, 48 x 48 images in grey or colour.

    Raises:
        DataError: a class folder is missing, unknown or empty, or an image is unreadable
            or of another size.
    """
    files = _list_folder(path)
    crops: list[NDArray[np.uint8]] = []
    emotion: list[int] = []
    split: list[str] = []
    skipped: list[str] = []
    for done, (file, label, part) in enumerate(files, start=1):
        try:
            crop = _read_crop(file)
        except DataError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
            continue
        crops.append(crop)
        emotion.append(label)
        split.append(part)
        if progress is not None:
            progress(done, len(files))
    if not crops:
        raise DataError(f"{path} holds no usable image")
    return Dataset(
        np.stack(crops), np.array(emotion, np.int64), np.array(split), skipped=tuple(skipped)
    )


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
    return replace(dataset, votes=np.array(votes, np.float32))


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
    """Return the category with most FER+ votes, and the rows in which one has most.

    Rows whose winner is unknown, no-face or tied are not usable, as in FER+'s own
    ``majority`` mode.
    """
    winner = votes.argmax(axis=1).astype(np.int64)
    ties = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return winner, (winner < len(FERPLUS_LABELS)) & ~ties


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
                f"cannot hold {fraction:.0%} of '{EMOTIONS[label]}' out: only "
                f"{len(members)} different images of it"
            )
        held[members[:count]] = True
    return rows[~held[group]], rows[held[group]]


def _parse_row(row: dict[str, str]) -> tuple[NDArray[np.uint8], int, str]:
    try:
        number = int(row["emotion"])
        label = int(_FROM_CSV[number]) if number >= 0 else -1
    except (TypeError, ValueError, IndexError):
        label = -1
    if label < 0:
        raise DataError(f"emotion is {row['emotion']!r}, expected 0 to 6")
    if row["Usage"] not in SPLITS[:3]:
        raise DataError(f"Usage is {row['Usage']!r}, expected one of {', '.join(SPLITS[:3])}")
    try:
        values = np.array((row["pixels"] or "").split(), np.int64)
    except (ValueError, OverflowError):
        raise DataError("a pixel is not a whole number") from None
    if len(values) != _PIXELS:
        raise DataError(f"{len(values)} pixels, expected {_PIXELS} (48 x 48)")
    if values.min() < 0 or values.max() > 255:
        worst = values.min() if values.min() < 0 else values.max()
        raise DataError(f"a pixel is {worst}, expected 0 to 255")
    return values.astype(np.uint8).reshape(*CROP_HW, 1), label, row["Usage"]


def _list_folder(path: Path) -> list[tuple[Path, int, str]]:
    files: list[tuple[Path, int, str]] = []
    for name, part in (("train", "Training"), ("test", "Test")):
        if not (path / name).is_dir():
            raise DataError(
                f"{path} has no folder '{name}': expected train/<emotion>/*.jpg and "
                f"test/<emotion>/*.jpg with the emotions {', '.join(EMOTIONS)}"
            )
        folders = sorted(entry for entry in (path / name).iterdir() if entry.is_dir())
        for folder in folders:
            if folder.name.lower() not in EMOTIONS:
                raise DataError(
                    f"{folder}: '{folder.name}' is none of {', '.join(EMOTIONS)}"
                )
        for label, emotion in enumerate(EMOTIONS):
            found = [
                entry
                for folder in folders
                if folder.name.lower() == emotion
                for entry in sorted(folder.iterdir())
                if entry.suffix.lower() in _IMAGE_ENDINGS
            ]
            if not found:
                raise DataError(f"{path / name / emotion} holds no image")
            files += [(file, label, part) for file in found]
    return files


def _read_crop(file: Path) -> NDArray[np.uint8]:
    try:
        with PillowImage.open(file) as picture:
            if picture.size != CROP_HW[::-1]:
                raise DataError(
                    f"{file}: {picture.width} x {picture.height} pixels, expected 48 x 48"
                )
            return np.asarray(picture.convert("L"), np.uint8)[..., None]
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise DataError(f"{file}: not a readable image ({error})") from None


def _pixel_keys(crops: Crops) -> NDArray[np.bytes_]:
    """Return one short key per crop, equal where all pixels are equal."""
    return np.array(
        [hashlib.blake2b(crop.tobytes(), digest_size=16).hexdigest() for crop in crops], "S32"
    )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.blake2b(digest_size=16)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _open_text(path: Path) -> Iterator[tuple[IO[str], Callable[[], int]]]:
    """Open a plain or gzipped text file; yields it and a function that says how far it is."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if zipped:
            with gzip.open(raw, "rt", newline="", encoding="utf-8") as lines:
                yield lines, raw.tell  # type: ignore[misc]
        else:
            with open(path, newline="", encoding="utf-8") as lines:
                yield lines, lines.buffer.tell


def _read_cache(path: Path) -> Dataset | None:
    try:
        with np.load(path) as arrays:
            return Dataset(arrays["crops"], arrays["emotion"], arrays["split"])
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _write_cache(path: Path, dataset: Dataset) -> None:
    """Write the arrays whole or not at all; a full or read-only disk costs only the cache."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            np.savez(file, crops=dataset.crops, emotion=dataset.emotion, split=dataset.split)
        os.replace(name, path)
    except OSError:
        return
