"""How a model fares on groups of people: every figure by group, and how far groups differ.

Figures of a group are weighted counts, so that a resample is a vector of weights, and all
resamples are one matrix product. Where it is known who is in a picture, people are drawn
and not pictures: ten pictures of one person tell less than ten people.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.card import Confidence
from mien.confidence import softmax
from mien.errors import DataError, InputError
from mien.train.metrics import Interval
from mien.types import Logits

__all__ = [
    "EVERYONE",
    "FEW",
    "Figure",
    "Gap",
    "GroupScore",
    "Grouping",
    "Judged",
    "read_groups",
    "score_groups",
]

#: A group of fewer faces (or of fewer than two people) is flagged, and left out of the gaps.
FEW = 30

#: The name of the row that holds all faces.
EVERYONE = "everyone"

_BOOTSTRAPS = 1000
_BINS = 15
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Labelled faces as a model reads them.

    Attributes:
        logits: float32 (N, C), columns in the order of ``labels``.
        truth: int64 (N,), the true columns.
        confidence: the model's.
        people: (N,) the same text for the same person, empty where it is not known; ``()``
            if it is known of nobody.
    """

    logits: Logits
    truth: NDArray[np.int64]
    labels: tuple[str, ...]
    confidence: Confidence
    people: Sequence[str] = ()


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % bootstrap interval."""

    value: float
    interval: Interval


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
        Efron, "Bootstrap Methods", 1979, percentile intervals, over people where they are
        known; the permutation test of the largest difference.
    """
    groups = np.array(values, object)
    if len(groups) != len(judged.truth) or not any(values):
        raise InputError(
            f"expected a group for each of {len(judged.truth)} faces, at least one not empty, "
            f"got {len(groups)} values for '{column}'"
        )
    counts, generator = _Counts.of(judged), np.random.default_rng(seed)
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
class _Counts:
    """What the figures are made of: one row a face, one column for each thing to count.

    The first C * C columns are the cells of the confusion matrix, true label by label read;
    the next 15 hold confidence less being right, in the column of the confidence's bin; the
    last hold what is only to be averaged.
    """

    columns: _Floats
    labels: tuple[str, ...]
    units: NDArray[np.int64]
    named: NDArray[np.bool_]

    _AVERAGED = ("top2_accuracy", "nll", "set_coverage", "mean_set_size", "answered")

    @classmethod
    def of(cls, judged: Judged) -> _Counts:
        probabilities = softmax(judged.logits, judged.confidence.temperature)
        truth, rows = judged.truth, np.arange(len(judged.truth))
        classes = len(judged.labels)
        read, top = judged.logits.argmax(axis=1), probabilities.max(axis=1)
        own = probabilities[rows, truth]
        chosen = probabilities >= judged.confidence.set_threshold
        chosen[rows, read] = True
        cells = np.zeros((len(rows), classes * classes))
        cells[rows, truth * classes + read] = 1
        bins = np.zeros((len(rows), _BINS))
        bins[rows, np.clip(np.ceil(top * _BINS).astype(int) - 1, 0, _BINS - 1)] = top - (
            read == truth
        )
        averaged = (
            (probabilities > own[:, None]).sum(axis=1) < 2,
            -np.log(np.maximum(own, np.finfo(float).tiny)),
            chosen[rows, truth],
            chosen.sum(axis=1),
            top >= judged.confidence.abstain_below,
        )
        people = list(judged.people) or [""] * len(rows)
        names = [person or row for row, person in enumerate(people)]
        order = {name: unit for unit, name in enumerate(dict.fromkeys(names))}
        return cls(
            np.hstack([cells, bins, np.stack(averaged, axis=1)]),
            judged.labels,
            np.array([order[name] for name in names]),
            np.array([bool(person) for person in people]),
        )

    def per_unit(self, rows: NDArray[np.bool_]) -> tuple[_Floats, NDArray[np.int64]]:
        """Return the sums (U, columns) of each person, or face of an unknown one, and who."""
        people, index = np.unique(self.units[rows], return_inverse=True)
        sums = np.zeros((len(people), self.columns.shape[1]))
        np.add.at(sums, index, self.columns[rows])
        return sums, people

    def figures(self, sums: _Floats) -> dict[str, _Floats]:
        """Return every figure of sums (..., columns); NaN where there is nothing to average."""
        classes = len(self.labels)
        cells = sums[..., : classes * classes].reshape(*sums.shape[:-1], classes, classes)
        total = cells.sum(axis=(-2, -1))
        right = np.diagonal(cells, axis1=-2, axis2=-1)
        support, named = cells.sum(axis=-1), cells.sum(axis=-2)
        with np.errstate(invalid="ignore"):  # 0 / 0 where a class has no face
            recall = right / support
            f1 = np.where(support > 0, 2 * right / (support + named), np.nan)
        bins = sums[..., classes * classes : classes * classes + _BINS]
        averaged = sums[..., classes * classes + _BINS :] / total[..., None]
        return {
            "accuracy": right.sum(axis=-1) / total,
            "macro_f1": np.nanmean(f1, axis=-1),
            "ece": np.abs(bins).sum(axis=-1) / total,
            **{name: averaged[..., at] for at, name in enumerate(self._AVERAGED)},
            **{f"recall_{label}": recall[..., at] for at, label in enumerate(self.labels)},
        }


@dataclass(frozen=True)
class _Drawn:
    score: GroupScore
    draws: dict[str, _Floats]


def _draw(
    counts: _Counts, rows: NDArray[np.bool_], name: str, generator: np.random.Generator
) -> _Drawn:
    sums, _ = counts.per_unit(rows)
    units = len(sums)
    drawn = np.concatenate(
        [
            generator.multinomial(units, np.full(units, 1 / units), size=100) @ sums
            for _ in range(_BOOTSTRAPS // 100)
        ]
    )
    draws, values = counts.figures(drawn), counts.figures(sums.sum(axis=0))
    people = len(np.unique(counts.units[rows & counts.named]))
    count = int(rows.sum())
    figures = {
        figure: Figure(float(value), _interval(draws[figure]))
        for figure, value in values.items()
        if np.isfinite(value)
    }
    return _Drawn(GroupScore(name, count, people, count < FEW or people == 1, figures), draws)


def _gaps(
    counts: _Counts,
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
        apart = _interval(highest.draws[figure] - lowest.draws[figure])
        names = highest.score.name, lowest.score.name
        gaps.append(Gap(figure, *names, size, apart, chance[figure]))
    return tuple(gaps)


def _chance(
    counts: _Counts, groups: NDArray[Any], names: Sequence[str], generator: np.random.Generator
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
    for _ in range(_BOOTSTRAPS // 50):
        shuffled = generator.permuted(np.tile(dealt, (50, 1)), axis=1)
        members = shuffled[:, None, :] == np.arange(len(names))[:, None]
        totals.append(members.astype(np.float64) @ sums)
    figures = counts.figures(np.concatenate(totals))
    return {
        figure: float(np.quantile(np.nanmax(values, axis=1) - np.nanmin(values, axis=1), 0.95))
        for figure, values in figures.items()
        if not np.isnan(values).all(axis=1).any()
    }


def _interval(draws: _Floats) -> Interval:
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return Interval(float(low), float(high))
