"""Whole evaluations, from a model and its data to everything that a report says.

    dataset = mien.data.load(Path("fer2013.csv.gz"))
    evaluation = on_fer2013(open_session(), dataset)
    print(evaluation.results[0].scores.accuracy)
    evaluation.write(Path("report"))

Nothing is fitted or chosen on the rows that are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.card import ModelCard
from mien.data import Dataset
from mien.data.datasets import Faces, Listing
from mien.errors import InputError
from mien.evaluation import cross_dataset, report
from mien.evaluation.comparison import Comparison, compare
from mien.evaluation.evaluate import Result, evaluate, judged
from mien.evaluation.groups import Grouping
from mien.evaluation.report import Part
from mien.runtime import Session
from mien.types import Logits

__all__ = [
    "Evaluation",
    "Source",
    "on_dataset",
    "on_fer2013",
    "with_adapted",
]


@dataclass(frozen=True)
class Source:
    """A data set that was listed.

    Attributes:
        name: a key of :data:`mien.data.datasets.DATASETS`, or ``folder``.
        path: where it is.
        listing: see :func:`mien.data.datasets.list_samples`.
    """

    name: str
    path: Path
    listing: Listing


@dataclass(frozen=True)
class Evaluation:
    """Everything that is said about a model on one data set.

    Attributes:
        card: of the model.
        protocol: how the figures came about, in words.
        results: each head on each set of rows.
        groupings: groups of people side by side.
        parts: further parts of the report.
        faces: those evaluated, where they were found in images first.
        logits: of ``faces``, float32 (N, C).
        comparison: of the model with an adapted one, on the same faces.
    """

    card: ModelCard
    protocol: str
    results: Sequence[Result]
    groupings: Sequence[Grouping] = ()
    parts: Sequence[Part] = ()
    faces: Faces | None = None
    logits: Logits | None = None
    comparison: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values; see :func:`mien.evaluation.report.as_dict`."""
        return report.as_dict(self.results, self.card, protocol=self.protocol, parts=self.parts)

    def write(self, folder: Path) -> None:
        """Write the report; see :func:`mien.evaluation.report.write_report`.

        Raises:
            ConfigError: it cannot be written.
        """
        report.write_report(
            self.results, self.card, folder, protocol=self.protocol, parts=self.parts
        )


def on_fer2013(
    session: Session,
    dataset: Dataset,
    *,
    groups: Path | None = None,
    flip: bool = False,
    on_crops: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Evaluate a model on the test splits of FER2013.

    Args:
        groups: a ``groups.csv`` that names rows, see :mod:`mien.evaluation.groups`.
        flip: evaluate flip averaging too.
        on_crops: called with (done, total).

    Raises:
        DataError: there is no test row, or the groups do not fit the data.
        ModelError: the model gave something else than finite numbers.
    """
    results = evaluate(session, dataset, flip=flip, on_crops=on_crops)
    card = session.card
    if groups is None:
        return Evaluation(card, report.PROTOCOL, results)
    groupings = cross_dataset.group_test_rows(session, dataset, groups)
    parts = [cross_dataset.groups_part(groupings)]
    return Evaluation(card, report.PROTOCOL, results, groupings, parts)


def on_dataset(
    session: Session,
    source: Source,
    faces: Faces,
    *,
    groups: Path | None = None,
    flip: bool = False,
) -> Evaluation:
    """Evaluate a model on the faces of another data set.

    Args:
        faces: collected from the source's listing, see :func:`mien.data.datasets.collect`.
        groups: a ``groups.csv`` that names images, besides the groups that the set states.
        flip: evaluate flip averaging too.

    Raises:
        DataError: the groups do not fit the data.
        ModelError: the labels are not those of data sets, or the model gave something else
            than finite numbers.
    """
    described = cross_dataset.dataset_part(source.name, source.path, source.listing, faces)
    title = described.content["name"]
    results, logits = cross_dataset.judge_faces(session, faces, title, flip=flip)
    groupings = cross_dataset.group_faces(session, faces, logits, groups)
    parts = [described, *([cross_dataset.groups_part(groupings)] if groupings else [])]
    return Evaluation(
        session.card, cross_dataset.PROTOCOL, results, groupings, parts, faces, logits
    )


def with_adapted(evaluation: Evaluation, adapted: Logits) -> Evaluation:
    """Add what an adapted model makes of the same faces.

    Args:
        evaluation: of :func:`on_dataset`.
        adapted: logits (N, C), see :func:`mien.train.adapt.cross_adapted`.

    Raises:
        InputError: the evaluation is not of such faces.
    """
    faces, before, card = evaluation.faces, evaluation.logits, evaluation.card
    if faces is None or before is None:
        raise InputError("expected an evaluation on the faces of a data set, see on_dataset")
    comparison = compare(card, before, adapted, faces.emotion, faces.persons)
    title = f"{evaluation.results[0].split}, adapted"
    return replace(
        evaluation,
        results=[*evaluation.results, judged(card, adapted, faces.emotion, title)],
        parts=[*evaluation.parts, cross_dataset.adaptation_part(comparison)],
        comparison=comparison,
    )
