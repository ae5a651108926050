"""``mien evaluate``: judge a model on the test splits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from mien.cli.training_tools import Data, SkipBad, Votes, bar, load_data, needs_train, status

if TYPE_CHECKING:
    from mien.runtime import Session
    from mien.train.data import Dataset
    from mien.train.evaluate import Result

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[
        Path | None,
        typer.Argument(help="An .onnx, .tflite or .keras file.", show_default="mien's own model"),
    ] = None,
    data: Data = None,
    votes: Votes = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for report.json, report.md and plots."),
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Judge the mean of crop and mirror image besides.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON instead of tables.")
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Judge a model on FER2013's test splits, and on FER+'s majority if votes are given.

    Each split is judged with and without the images that stand in Training too. Nothing is
    fitted or chosen on the rows judged.

    **Examples**

        mien evaluate --data fer2013.csv.gz

        mien evaluate models/best_model.keras --data fer2013/ -o report

        mien evaluate --data fer2013.csv.gz --votes fer2013new.csv --flip -o report
    """
    with needs_train():
        from mien.train.evaluate import evaluate as judge
        from mien.train.report import as_dict, write_report

        dataset = load_data(data, votes, skip_bad=skip_bad)
        sessions = _sessions(model, dataset)
        with bar("evaluating") as progress:
            results = judge(sessions, dataset, flip=flip, on_crops=progress)
        card = sessions[0].card
        if as_json:
            typer.echo(json.dumps(as_dict(results, card), indent=2))
        else:
            _print(results)
        if output is not None:
            write_report(results, card, output)
            status.print(f"The report is in {output}.", highlight=False)


def _sessions(model: Path | None, dataset: Dataset) -> list[Session]:
    """Open the model once for each head that the data can judge."""
    from mien.train.session import open_any_session

    first = open_any_session(model)
    others = [
        head
        for head in list(first.card.heads)[1:]
        if head != "ferplus" or dataset.votes is not None
    ]
    return [first, *(open_any_session(model, head=head) for head in others)]


def _print(results: Sequence[Result]) -> None:
    from mien.train.evaluate import headline

    console = Console(highlight=False)
    for head in dict.fromkeys(each.head for each in results):
        mine = [each for each in results if each.head == head]
        best = headline(mine, head)
        overview = _table(
            f"{head}: {len(best.labels)} labels",
            "split",
            *("rows", "accuracy", "95 %", "unseen", "macro F1", "ECE"),
        )
        unseen = {(each.split, each.flip): each for each in mine if each.unseen}
        for each in mine:
            if not each.unseen:
                overview.add_row(*_figures(each, unseen.get((each.split, each.flip))))
        console.print(overview)
        classes = _table(f"{head}, {best.split}", "emotion", "precision", "recall", "F1", "support")
        for row in best.scores.per_class:
            parts = (f"{value:.2f}" for value in (row.precision, row.recall, row.f1))
            classes.add_row(row.label, *parts, str(row.support))
        console.print(classes)
    console.print("unseen: accuracy without the images whose exact pixels stand in Training too")


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(result: Result, unseen: Result | None) -> list[str]:
    scores, interval = result.scores, result.scores.accuracy_interval
    return [
        result.name.replace("PublicTest + PrivateTest", "both"),
        str(scores.count),
        f"{scores.accuracy:.2%}",
        f"{100 * interval.low:.1f}-{100 * interval.high:.1f}",
        f"{unseen.scores.accuracy:.2%}" if unseen else "",
        f"{scores.macro_f1:.3f}",
        f"{scores.ece:.1%}",
    ]
