"""A model judged on other people's data and on groups of people: results, and what to say.

Nothing is fitted to the data judged. Adaptation looks at its pictures, never at a label,
and each face is read by the network that was adapted to the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mien.card import ModelCard
from mien.data import Dataset
from mien.data.datasets import DATASETS, Faces, Listing
from mien.errors import DataError, ModelError
from mien.evaluation.comparison import Comparison, verdict
from mien.evaluation.evaluate import TEST_SPLITS, Result, classify, judged, mean_logits
from mien.evaluation.groups import FEW, Gap, Grouping, read_groups, score_groups
from mien.evaluation.report import Part
from mien.evaluation.resample import Figure, Judged
from mien.runtime import Session
from mien.types import EMOTIONS, Logits

__all__ = [
    "PROTOCOL",
    "adaptation_part",
    "check_labels",
    "dataset_part",
    "gap_in_words",
    "group_faces",
    "group_test_rows",
    "groups_part",
    "judge_faces",
    "show",
]

#: How the figures of a report on another data set came about.
PROTOCOL = (
    "Nothing was fitted or chosen here: temperature and thresholds are those of the model's "
    "card. Pictures in which no face was found are counted, not judged. 'Flip' is the mean of "
    "the logits of a crop and of its mirror image; 'adapted' is the model with normalisation "
    "statistics of the data set's own unlabelled faces, each half of them read by the network "
    "adapted to the other half. Intervals of the overview are 95 % bootstrap intervals over "
    "faces, those by group over people where the set tells them apart."
)


def judge_faces(
    session: Session,
    faces: Faces,
    title: str,
    *,
    flip: bool = False,
    on_crops: Callable[[int], None] = lambda crops: None,
) -> tuple[list[Result], Logits]:
    """Judge the emotion head on the faces of a data set.

    Returns:
        The results, plain and with flip averaging if asked for, and the plain logits.

    Raises:
        ModelError: the model's first head does not give our seven emotions.
    """
    check_labels(session.card)
    head = session.card.default_head
    logits = classify(session, faces.crops, on_batch=on_crops)[head]
    results = [judged(session.card, logits, faces.emotion, title)]
    if flip:
        mirrored = classify(session, faces.crops[:, :, ::-1], on_batch=on_crops)[head]
        both = mean_logits(logits, mirrored)
        results.append(judged(session.card, both, faces.emotion, title, flip=True))
    return results, logits


def check_labels(card: ModelCard) -> None:
    """Refuse a model whose columns are not our emotions.

    Raises:
        ModelError: they are not.
    """
    if card.labels != EMOTIONS:
        raise ModelError(
            f"{card.name} reads {', '.join(card.labels)}: expected {', '.join(EMOTIONS)}, "
            "which the labels of data sets are mapped onto"
        )


def group_faces(
    session: Session, faces: Faces, logits: Logits, groups: Path | None = None
) -> list[Grouping]:
    """Part the faces of a data set by what it says of them, and by a ``groups.csv``.

    Raises:
        DataError: the file is not as it should be.
    """
    read = Judged(
        logits, faces.emotion, session.card.labels, session.card.calibration, faces.persons
    )
    columns: dict[str, tuple[str, ...]] = dict(faces.groups)
    if groups is not None:
        columns |= read_groups(groups, faces.names)
    return _groupings(read, columns)


def group_test_rows(session: Session, dataset: Dataset, groups: Path) -> list[Grouping]:
    """Part the test rows of FER2013 by a ``groups.csv``, which names rows (or files).

    Raises:
        DataError: the file is not as it should be, or rows were left out as bad.
    """
    check_labels(session.card)
    if dataset.skipped:
        raise DataError(
            f"groups go by row, and {len(dataset.skipped)} rows were skipped: mend the data"
        )
    rows = dataset.rows(*(name for names in TEST_SPLITS for name in names))
    tests = dataset.take(rows)
    names = None if tests.names is None else tests.names.tolist()
    columns = read_groups(groups, names, (rows + 1).tolist())
    card = session.card
    logits = classify(session, tests.crops)[card.default_head]
    return _groupings(Judged(logits, tests.emotion, card.labels, card.calibration), columns)


def dataset_part(name: str, path: Path, listing: Listing, faces: Faces) -> Part:
    """Say what was judged: how many faces of which set, and what was left out and why."""
    known = DATASETS.get(name)
    per_emotion = np.bincount(faces.emotion, minlength=len(EMOTIONS)).tolist()
    people = len({person for person in faces.persons if person})
    content = {
        "name": known.title if known else path.name,
        "terms": known.terms if known else "",
        "address": known.address if known else "",
        "part": listing.part,
        "framing": listing.framing,
        "listed": len(listing.samples),
        "judged": len(faces),
        "people": people,
        "judged_by_emotion": dict(zip(EMOTIONS, per_emotion, strict=True)),
        "no_face": list(faces.no_face),
        "unreadable": list(faces.skipped),
        "dropped": dict(faces.dropped),
    }
    lines = [
        f"## The data: {content['name']}, {listing.part}",
        f"Faces judged: {len(faces)}"
        + (f", of {people} people" if people else "")
        + f". Pictures in which no face was found: {len(faces.no_face)}. Pictures that could not "
        f"be read: {len(faces.skipped)}.",
    ]
    if faces.dropped:
        reasons = "; ".join(f"{reason}: {count}" for reason, count in faces.dropped.items())
        lines.append(f"Dropped: {reasons}.")
    if known:
        lines.append(f"Terms: {known.terms} ({known.address}).")
    return Part("dataset", content, "\n\n".join(lines), leading=True)


def groups_part(groupings: Sequence[Grouping]) -> Part:
    """Say how the model fares on each group, and how far the groups lie apart."""
    pages = ["## Groups", _ON_GROUPS]
    for grouping in groupings:
        pages += [f"### By {grouping.column}", _table(grouping)]
        if grouping.unknown:
            pages.append(f"{grouping.unknown} faces have no {grouping.column} and are left out.")
    return Part("groups", [asdict(each) for each in groupings], "\n\n".join(pages))


def adaptation_part(comparison: Comparison) -> Part:
    """Say what adapting brought, on the same faces."""
    lines = ["| | before | adapted | change |", "|---|---:|---:|---:|"]
    for name, change in comparison.change.items():
        scale, digits = (1, 3) if name in _NO_PARTS else (100, 1)
        values = comparison.before[name], comparison.after[name], change.value
        before, after, moved, low, high = (
            scale * each for each in (*values, change.interval.low, change.interval.high)
        )
        lines.append(
            f"| {_word(name)} | {before:.{digits}f} | {after:.{digits}f} "
            f"| {moved:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}) |"
        )
    page = ["## Adapted without labels", f"{verdict(comparison).capitalize()}.", "\n".join(lines)]
    return Part("adaptation", asdict(comparison), "\n\n".join(page))


def gap_in_words(gap: Gap) -> str:
    """Say in a sentence how far two groups lie apart, and whether chance would do as much."""
    unit = "" if gap.figure in _NO_PARTS else " points"
    size, low, high, chance = (
        _number(gap.figure, each)
        for each in (gap.size, gap.interval.low, gap.interval.high, gap.chance)
    )
    return (
        f"{_word(gap.figure)}: {gap.highest} above {gap.lowest} by {size}{unit} "
        f"(95 %: {low} to {high}); groups drawn at random reach {chance}: "
        f"{'more' if gap.told else 'no more'} than chance"
    )


def show(name: str, figure: Figure) -> str:
    """Write a figure with its interval, in per cent where it is a part: 67.7 (66.6-68.8)."""
    value, low, high = (
        _number(name, each) for each in (figure.value, figure.interval.low, figure.interval.high)
    )
    return f"{value} ({low}-{high})"


_NO_PARTS = ("nll", "mean_set_size")
_ON_GROUPS = (
    "Each figure is in per cent (but for NLL and the labels in a set), with its 95 % bootstrap "
    "interval. The gap is that between the groups "
    "that differ most; 'chance' is what it stays below in 95 % of the cases when faces (people, "
    "where they are known) are dealt to the groups at random, so that one figure in twenty "
    f"passes it by luck. Groups of fewer than {FEW} faces, or of one person, are marked * and "
    "not compared."
)
_WORDS = {
    "macro_f1": "macro F1",
    "ece": "ECE",
    "nll": "NLL",
    "top2_accuracy": "top 2",
    "set_coverage": "sets hold the truth",
    "mean_set_size": "labels in a set",
    "answered": "not uncertain",
}


def _groupings(read: Judged, columns: Mapping[str, Sequence[str]]) -> list[Grouping]:
    return [score_groups(read, name, values) for name, values in columns.items() if any(values)]


def _table(grouping: Grouping) -> str:
    scores = (grouping.everyone, *grouping.groups)
    gaps = {gap.figure: gap for gap in grouping.gaps}
    names = [f"{each.name}{' *' if each.few else ''}" for each in scores]
    lines = [
        f"| | {' | '.join(names)} | gap | chance |",
        f"|---|{'---:|' * (len(scores) + 2)}",
        f"| faces | {' | '.join(str(each.count) for each in scores)} | | |",
    ]
    if any(each.people for each in scores):
        lines.append(f"| people | {' | '.join(str(each.people) for each in scores)} | | |")
    for name in grouping.everyone.figures:
        cells = [show(name, each.figures[name]) if name in each.figures else "" for each in scores]
        gap = gaps.get(name)
        last = " | "
        if gap is not None:
            size, chance = (_number(name, each) for each in (gap.size, gap.chance))
            last = f"**{size}** | {chance}" if gap.told else f"{size} | {chance}"
        lines.append(f"| {_word(name)} | {' | '.join(cells)} | {last} |")
    return "\n".join(lines)


def _word(figure: str) -> str:
    return _WORDS.get(figure, figure.replace("_", " of ", 1))


def _number(figure: str, value: float) -> str:
    return f"{value:.2f}" if figure in _NO_PARTS else f"{100 * value:.1f}"
