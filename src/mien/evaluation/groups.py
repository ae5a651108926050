"""How a model fares on groups of people: every figure by group, and how far groups differ."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, InputError
from mien.evaluation.metrics import Interval
from mien.evaluation.resample import Counts, Figure, Judged, interval_of, resampled

__all__ = [
    "EVERYONE",
    "FEW",
    "Gap",
    "GroupScore",
    "Grouping",
    "read_groups",
    "score_groups",
]

#: A group of fewer faces (or of fewer than two people) is flagged, and left out of the gaps.
FEW = 30

#: The name of the row that holds all faces.
EVERYONE = "everyone"

_SHUFFLES = 1000


@dataclass(frozen=True)
class GroupScore:
    """How the model fares on one group.

    Attributes:
        name: the value that its members share.
        people: how many different people are known to be in it; 0 if none is known.
        few: it is too small to be compared.
        figures: by name, parts of 1 but for ``nll``, in nats, and ``mean_set_size``, in
            labels; ``recall_<emotion>`` only where the group has faces of that emotion.
    """

    name: str
    count: int
    people: int
    few: bool
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Gap:
    """How far the two groups lie apart that differ most in a figure.

    Attributes:
        size: the highest figure less the lowest, never below 0.
        interval: of the difference between just these two groups.
        chance: what the largest gap stays below in 95 % of the cases when faces (people,
            where they are known) are dealt to the groups at random. A gap above it is more
            than these pictures' chance.
    """

    figure: str
    highest: str
    lowest: str
    size: float
    interval: Interval
    chance: float

    @property
    def told(self) -> bool:
        """The gap is larger than chance alone would make it."""
        return self.size > self.chance


@dataclass(frozen=True)
class Grouping:
    """One way to part the faces.

    Attributes:
        column: what they are parted by.
        everyone: all faces that have a value.
        unknown: how many have none.
        gaps: of each figure, where at least two groups are large enough.
    """

    column: str
    everyone: GroupScore
    groups: tuple[GroupScore, ...]
    unknown: int
    gaps: tuple[Gap, ...]


def read_groups(
    path: Path, names: Sequence[str] | None, rows: Sequence[int] = ()
) -> dict[str, tuple[str, ...]]:
    """Read ``groups.csv``: a column ``file`` or ``row``, and a column for each grouping.

    Args:
        names: of the faces that are judged, for ``file``: the path below the data set's
            folder, or the file's bare name where no other has it. ``None`` if they have none.
        rows: the faces' rows in FER2013's CSV, for ``row``; 1 is the first after the header.

    Returns:
        A value for each face by column; empty for faces that the file does not name.

    Raises:
        DataError: the file cannot be read, lacks a column, names a face twice, or none.
    """
    keys = [str(row) for row in rows] if names is None else list(names)
    key = "row" if names is None else "file"
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            columns = [name for name in reader.fieldnames or () if name and name != key]
            if key not in (reader.fieldnames or ()) or not columns:
                raise DataError(
                    f"{path}: expected a column '{key}' and at least one of groups, got "
                    f"{', '.join(reader.fieldnames or ()) or 'nothing'}"
                )
            table = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the groups {path}: {error}") from None
    by_key: dict[str, dict[str, str | None]] = {}
    for number, row in enumerate(table, start=1):
        name = (row[key] or "").strip().replace("\\", "/")
        if name in by_key:
            raise DataError(f"{path}, row {number}: '{name}' stands in it twice")
        by_key[name] = row
    bare = Counter(PurePosixPath(name).name for name in keys)
    alone = {name: PurePosixPath(name).name for name in keys if bare[PurePosixPath(name).name] == 1}
    found = [by_key.get(name) or by_key.get(alone.get(name, name)) for name in keys]
    if not any(found):
        raise DataError(
            f"{path} names none of the {len(keys)} faces: its first {key} is "
            f"'{next(iter(by_key), '')}', theirs is '{keys[0] if keys else ''}'"
        )
    return {
        column: tuple(((row or {}).get(column) or "").strip() for row in found)
        for column in columns
    }


def score_groups(judged: Judged, column: str, values: Sequence[str], *, seed: int = 0) -> Grouping:
    """Judge each group by itself, and say how far they lie apart.

    Args:
        column: what the faces are parted by.
        values: each face's group; empty where it is not known.
        seed: of the resamples.

    Raises:
        InputError: there is no face with a group, or not one value for each face.

    Source:
        Good, "Permutation Tests", 1994, for the largest gap that chance makes.
    """
    groups = np.array(values, object)
    if len(groups) != len(judged.truth) or not any(values):
        raise InputError(
            f"expected a group for each of {len(judged.truth)} faces, at least one not empty, "
            f"got {len(groups)} values for '{column}'"
        )
    counts, generator = Counts.of(judged), np.random.default_rng(seed)
    known = groups != ""
    drawn = {
        str(name): _draw(counts, groups == name, str(name), generator)
        for name in sorted(set(groups[known]))
    }
    return Grouping(
        column,
        _draw(counts, known, EVERYONE, generator).score,
        tuple(each.score for each in drawn.values()),
        int((~known).sum()),
        _gaps(counts, groups, [each for each in drawn.values() if not each.score.few], generator),
    )


@dataclass(frozen=True)
class _Drawn:
    score: GroupScore
    draws: dict[str, NDArray[np.float64]]


def _draw(
    counts: Counts, rows: NDArray[np.bool_], name: str, generator: np.random.Generator
) -> _Drawn:
    sums, _ = counts.per_unit(rows)
    draws = counts.figures(resampled(sums, generator))
    values = counts.figures(sums.sum(axis=0))
    people = len(np.unique(counts.units[rows & counts.named]))
    count = int(rows.sum())
    figures = {
        figure: Figure(float(value), interval_of(draws[figure]))
        for figure, value in values.items()
        if np.isfinite(value)
    }
    return _Drawn(GroupScore(name, count, people, count < FEW or people == 1, figures), draws)


def _gaps(
    counts: Counts,
    groups: NDArray[Any],
    drawn: Sequence[_Drawn],
    generator: np.random.Generator,
) -> tuple[Gap, ...]:
    if len(drawn) < 2:
        return ()
    chance = _chance(counts, groups, [each.score.name for each in drawn], generator)
    gaps = []
    for figure in chance:
        having = [each for each in drawn if figure in each.score.figures]
        if len(having) < 2:
            continue
        having.sort(key=lambda each: each.score.figures[figure].value)
        lowest, highest = having[0], having[-1]
        size = highest.score.figures[figure].value - lowest.score.figures[figure].value
        apart = interval_of(highest.draws[figure] - lowest.draws[figure])
        names = highest.score.name, lowest.score.name
        gaps.append(Gap(figure, *names, size, apart, chance[figure]))
    return tuple(gaps)


def _chance(
    counts: Counts, groups: NDArray[Any], names: Sequence[str], generator: np.random.Generator
) -> dict[str, float]:
    """Return how large the largest gap of each figure gets when groups are dealt at random."""
    rows = np.isin(groups, names)
    columns = np.array([names.index(name) for name in groups[rows]])
    sums, people = counts.per_unit(rows)
    index = np.searchsorted(people, counts.units[rows])
    dealt = np.zeros(len(sums), np.int64)
    dealt[index] = columns
    if (dealt[index] != columns).any():  # a person is in several groups: deal faces
        sums, dealt = counts.columns[rows], columns
    totals = []
    for _ in range(_SHUFFLES // 50):
        shuffled = generator.permuted(np.tile(dealt, (50, 1)), axis=1)
        members = shuffled[:, None, :] == np.arange(len(names))[:, None]
        totals.append(members.astype(np.float64) @ sums)
    figures = counts.figures(np.concatenate(totals))
    return {
        figure: float(np.quantile(np.nanmax(values, axis=1) - np.nanmin(values, axis=1), 0.95))
        for figure, values in figures.items()
        if not np.isnan(values).all(axis=1).any()
    }
