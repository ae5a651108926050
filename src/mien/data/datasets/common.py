"""What every reader of a data set gives: which pictures there are, and what they are labelled.

A reader looks at names and label files alone; no picture is opened. What is done with the
pictures, :mod:`mien.data.datasets.collect` does for all sets alike.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from mien.errors import DataError
from mien.types import EMOTIONS, Box

__all__ = [
    "Framing",
    "Gathering",
    "Known",
    "Listing",
    "Sample",
    "numbered",
    "read_lines",
    "read_table",
]

#: ``photo``: the face is looked for, and cut out as the model's card says. ``crop``: the
#: picture is a face already, taken whole. ``clip``: a photo, the middle frame of a video.
Framing: TypeAlias = Literal["photo", "crop", "clip"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled face.

    Attributes:
        file: the picture or video that it is in.
        name: what reports and ``groups.csv`` call it: the file's path below the set's
            folder, with slashes; with a ``#`` and a number where a picture has many faces.
        emotion: column in :data:`mien.types.EMOTIONS`.
        person: the same text for the same person; empty if the set does not say.
        groups: what else the set says of the person, such as ``{"sex": "female"}``.
        box: where the labelled face is, as the set's own detector saw it.
    """

    file: Path
    name: str
    emotion: int
    person: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The part of a data set that is judged.

    Attributes:
        part: which part that is.
        dropped: how many labelled pictures have no place here, by the reason.
    """

    samples: tuple[Sample, ...]
    framing: Framing
    part: str
    dropped: Mapping[str, int] = field(default_factory=dict)

    def as_photos(self) -> Listing:
        """Return the listing with faces to be found even where its images are crops."""
        return replace(self, framing="photo") if self.framing == "crop" else self

    def as_crops(self) -> Listing:
        """Return the listing with every image taken for a face crop."""
        return replace(self, framing="crop")


@dataclass(frozen=True, slots=True)
class Known:
    """A data set that can be read.

    Attributes:
        title: its name in reports.
        terms: on what terms its owners hand it out.
        address: where they do.
        labels: the emotion that each of its labels is here; those that are none are dropped.
        read: lists the set that lies in a folder.
            Raises :class:`~mien.errors.DataError` if the layout is another.
    """

    title: str
    terms: str
    address: str
    labels: Mapping[str, str]
    read: Callable[[Path], Listing]


class Gathering:
    """Collects samples while a set is read, and counts what is dropped."""

    def __init__(self, root: Path, labels: Mapping[str, str]) -> None:
        self._root, self._labels = root, labels
        self._samples: list[Sample] = []
        self._dropped: Counter[str] = Counter()

    def add(
        self,
        file: Path,
        label: str,
        *,
        suffix: str = "",
        person: str = "",
        groups: Mapping[str, str] | None = None,
        box: Box | None = None,
    ) -> None:
        """Take a sample, or count it as dropped if its label is no emotion of ours."""
        if label not in self._labels:
            self.drop(f"labelled {label}")
            return
        emotion = EMOTIONS.index(self._labels[label])
        name = file.relative_to(self._root).as_posix() + suffix
        self._samples.append(Sample(file, name, emotion, person, groups or {}, box))

    def drop(self, reason: str, count: int = 1) -> None:
        """Count samples as dropped."""
        self._dropped[reason] += count

    def finish(self, framing: Framing, part: str, expected: str) -> Listing:
        """Return the listing.

        Raises:
            DataError: nothing was found; ``expected`` is the layout to tell.
        """
        if not self._samples:
            raise DataError(f"{self._root} holds no labelled picture: expected {expected}")
        return Listing(tuple(self._samples), framing, part, dict(sorted(self._dropped.items())))


def numbered(labels: Sequence[str], number: str) -> str:
    """Return the label of a number that may be written as a decimal.

    Raises:
        ValueError: it is no whole number from 0 on, or there is no label for it.
    """
    value = float(number)
    if value not in range(len(labels)):
        raise ValueError(f"no label {number}")
    return labels[int(value)]


def read_lines(path: Path, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields, parted by white space, of each line that has any.

    Raises:
        DataError: the file is missing or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path} ({_reason(error)}): expected {expected}") from None
    for number, line in enumerate(lines, start=1):
        if fields := line.split():
            yield number, fields


def read_table(path: Path, columns: frozenset[str], expected: str) -> list[dict[str, str]]:
    """Read a CSV file with a header.

    Raises:
        DataError: the file is missing, no text, or lacks one of ``columns``, or a row is short.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            missing = columns - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{path}: no column {', '.join(sorted(missing))}")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path} ({_reason(error)}): expected {expected}") from None
    for number, row in enumerate(rows, start=1):
        if any(row[column] is None for column in columns):
            raise DataError(f"{path}, row {number}: fewer fields than the header names")
    return rows


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
