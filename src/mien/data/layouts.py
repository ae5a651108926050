"""FER2013 read from its two layouts: the official CSV, and folders of small images.

The label order is mapped once, here: the official CSV numbers its classes
``0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral``; everywhere else in
mien the order is :data:`mien.types.EMOTIONS`.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL.Image import fromarray

from mien import images
from mien.data.dataset import SPLITS, Dataset
from mien.errors import DataError, ImageError
from mien.types import CROP_HW, EMOTIONS

__all__ = ["CSV_LABELS", "Progress", "read_csv", "read_folder"]

#: Called with (done, total) while a data set is parsed; total is bytes or files.
Progress = Callable[[int, int], None]

#: The labels by the number that the official CSV gives them.
CSV_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_FROM_CSV = tuple(EMOTIONS.index(label) for label in CSV_LABELS)
_PIXELS = CROP_HW[0] * CROP_HW[1]
_IMAGE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def read_csv(path: Path, *, skip_bad: bool = False, progress: Progress | None = None) -> Dataset:
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
            # Kaggle's icml_face_data.csv has spaces before its column names.
            reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
            missing = {"emotion", "pixels", "Usage"} - set(reader.fieldnames)
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
        except (UnicodeDecodeError, EOFError, OSError, csv.Error, zlib.error) as error:
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


def read_folder(path: Path, *, skip_bad: bool = False, progress: Progress | None = None) -> Dataset:
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
    names: list[str] = []
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
        names.append(file.relative_to(path).as_posix())
        if progress is not None:
            progress(done, len(files))
    if not crops:
        raise DataError(f"{path} holds no usable image")
    return Dataset(
        np.stack(crops),
        np.array(emotion, np.int64),
        np.array(split),
        skipped=tuple(skipped),
        names=np.array(names),
    )


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


@contextmanager
def _open_text(path: Path) -> Iterator[tuple[IO[str], Callable[[], int]]]:
    """Open a plain or gzipped text file; yields it and a function that says how far it is."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if zipped:
            with gzip.open(raw, "rt", newline="", encoding="utf-8") as lines:
                yield lines, raw.tell
        else:
            with open(path, newline="", encoding="utf-8") as lines:
                yield lines, lines.buffer.tell  # type: ignore[attr-defined]


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
                raise DataError(f"{folder}: '{folder.name}' is none of {', '.join(EMOTIONS)}")
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
        picture = images.read(file)
    except ImageError as error:
        raise DataError(str(error)) from None
    height, width = picture.shape[:2]
    if (height, width) != CROP_HW:
        raise DataError(f"{file}: {width} x {height} pixels, expected 48 x 48")
    return np.asarray(fromarray(picture).convert("L"))[..., None]
