"""The tables of ``mien evaluate`` and ``mien adapt`` on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from mien.data.datasets import Faces
    from mien.evaluation.comparison import Comparison
    from mien.evaluation.evaluate import Result
    from mien.evaluation.groups import Grouping

__all__ = ["print_comparison", "print_faces", "print_groups", "print_results"]

_SHOWN = {"accuracy": "accuracy", "macro_f1": "macro F1", "ece": "ECE"}


def print_results(results: Sequence[Result]) -> None:
    """Print each head's figures by split, and its figures by class on the largest."""
    from mien.evaluation.evaluate import headline

    console = Console(highlight=False)
    for head in dict.fromkeys(each.head for each in results):
        mine = [each for each in results if each.head == head]
        best = headline(mine, head)
        seen_too = any(each.unseen for each in mine)
        names = ("rows", "accuracy", "95 %", *(("unseen",) if seen_too else ()), "macro F1", "ECE")
        overview = _table(f"{head}: {len(best.labels)} labels", "split", *names)
        unseen = {(each.split, each.flip): each for each in mine if each.unseen}
        for each in mine:
            if not each.unseen:
                other = unseen.get((each.split, each.flip))
                row = _figures(each)
                if seen_too:
                    row.insert(4, f"{other.scores.accuracy:.2%}" if other else "")
                overview.add_row(*row)
        console.print(overview)
        classes = _table(f"{head}, {best.split}", "emotion", "precision", "recall", "F1", "support")
        for score in best.scores.per_class:
            parts = (f"{value:.2f}" for value in (score.precision, score.recall, score.f1))
            classes.add_row(score.label, *parts, str(score.support))
        console.print(classes)
        if seen_too:
            console.print(
                "unseen: accuracy without the images whose exact pixels stand in Training too"
            )


def print_faces(faces: Faces) -> None:
    """Print what was left out of the faces judged, and why."""
    console = Console(highlight=False)
    console.print(f"faces judged: {len(faces)}; pictures without one: {len(faces.no_face)}")
    for reason, count in faces.dropped.items():
        console.print(f"dropped, {reason}: {count}", markup=False)


def print_groups(groupings: Sequence[Grouping]) -> None:
    """Print the main figures by group, and how far the groups lie apart."""
    from mien.evaluation.cross_dataset import gap_in_words, show
    from mien.evaluation.groups import FEW

    console = Console(highlight=False)
    few = False
    for grouping in groupings:
        table = _table(
            f"by {grouping.column}, in per cent", grouping.column, "faces", *_SHOWN.values()
        )
        for each in (grouping.everyone, *grouping.groups):
            few = few or each.few
            cells = [show(name, each.figures[name]) for name in _SHOWN]
            table.add_row(f"{each.name} *" if each.few else each.name, str(each.count), *cells)
        console.print(table)
        for gap in grouping.gaps:
            if gap.figure in _SHOWN or (gap.told and gap.figure.startswith("recall_")):
                console.print(gap_in_words(gap), markup=False, soft_wrap=True)
        if grouping.unknown:
            console.print(f"{grouping.unknown} faces have no {grouping.column}", markup=False)
    if few:
        console.print(f"* fewer than {FEW} faces, or one person: not compared")


def print_comparison(comparison: Comparison) -> None:
    """Print figures before and after an adaptation, and the change with its interval."""
    console = Console(highlight=False)
    table = _table(f"on {comparison.count} labelled faces", "", "before", "after", "change, 95 %")
    names: Mapping[str, str] = {**_SHOWN, "nll": "NLL"}
    for name, word in names.items():
        scale, digits = (1, 3) if name == "nll" else (100, 1)
        change = comparison.change[name]
        span = [scale * each for each in (change.value, change.interval.low, change.interval.high)]
        table.add_row(
            word,
            f"{scale * comparison.before[name]:.{digits}f}",
            f"{scale * comparison.after[name]:.{digits}f}",
            f"{span[0]:+.{digits}f} ({span[1]:+.{digits}f} to {span[2]:+.{digits}f})",
        )
    console.print(table)
    if comparison.fitted_ece is not None:
        console.print(
            f"ECE with a temperature fitted on the other labelled faces: "
            f"{comparison.fitted_ece:.1%}"
        )


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(result: Result) -> list[str]:
    scores, interval = result.scores, result.scores.accuracy_interval
    return [
        result.name.replace("PublicTest + PrivateTest", "both"),
        str(scores.count),
        f"{scores.accuracy:.2%}",
        f"{100 * interval.low:.1f}-{100 * interval.high:.1f}",
        f"{scores.macro_f1:.3f}",
        f"{scores.ece:.1%}",
    ]
