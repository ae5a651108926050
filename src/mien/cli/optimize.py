"""``mien optimize``: a network as smaller and quicker files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from mien.card import ModelCard
from mien.cli.training_tools import Data, SkipBad, Votes, load_data, needs_train, status
from mien.errors import ConfigError

__all__ = ["optimize"]

_ON_THE_PAGE_ONLY = ("precision", "of Keras", "agrees")  # so that 80 columns are enough


def optimize(
    model: Annotated[Path, typer.Argument(help="A .keras file with its card.")],
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="int8 weights, for LiteRT; float in and out.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Integers throughout, for LiteRT and ONNX; needs --data.")
    ] = False,
    float16: Annotated[
        bool, typer.Option("--float16", help="Weights in half precision, for LiteRT.")
    ] = False,
    float32: Annotated[
        bool, typer.Option("--float32", help="Full precision, for LiteRT and ONNX.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="All of these; needs --data.")] = False,
    data: Data = None,
    votes: Votes = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder to write to.", show_default="optimised/ beside the model"
        ),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(
            metavar="POINTS", min=0, help="Accuracy on held-out rows that a file may lose."
        ),
    ] = 1.0,
    skip_bad: SkipBad = False,
) -> None:
    """Write a network as smaller and quicker files, each checked against it.

    With --data, a file's accuracy is measured on the rows that training held out, and on the
    test splits for the record; if one loses more than --max-drop, nothing is written. Without,
    only its answers are compared, on generated pictures.

    **Examples**

        mien optimize models/best_model.keras --dynamic

        mien optimize models/best_model.keras --all --data fer2013.csv.gz

        mien predict photo.jpg --model models/optimised/glance.int8.onnx
    """
    wanted = {"float32": float32, "float16": float16, "dynamic": dynamic, "int8": int8}
    precisions = [name for name, flag in wanted.items() if flag or every]
    if not precisions:
        raise ConfigError("expected --dynamic, --int8, --float16, --float32 or --all")
    with needs_train():
        from mien.train.optimise import optimise

        dataset = None if data is None else load_data(data, votes, skip_bad=skip_bad)
        with status.status("starting") as line:
            written = optimise(
                model,
                precisions,
                output or model.parent / "optimised",
                dataset,
                max_drop_points=max_drop,
                on_step=lambda step: line.update(f"{step} ..."),
            )
        for file in written.files:
            typer.echo(file)
        _print(written.card)
    if dataset is None:
        status.print("Accuracy was not measured: name FER2013 with --data.", highlight=False)


def _print(card: ModelCard) -> None:
    from mien.train.optimise import COLUMNS, table_rows

    table = Table(box=box.SIMPLE_HEAD)
    shown = [number for number, name in enumerate(COLUMNS) if name not in _ON_THE_PAGE_ONLY]
    for number in shown:
        table.add_column(COLUMNS[number], justify="right" if number else "left", no_wrap=True)
    for row in table_rows(card):
        table.add_row(*(row[number] for number in shown))
    Console(highlight=False).print(table)
