"""``mien export``: a finished run as files that others use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.training_tools import Data, SkipBad, Votes, bar, load_data, needs_train

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    data: Data = None,
    votes: Votes = None,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for the Keras file and its architecture."),
    ] = Path("models"),
    onnx: Annotated[
        Path | None,
        typer.Option(
            help="The ONNX file; its name is the model's name.",
            show_default="<output>/<architecture>.onnx",
        ),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Export a run: Keras file, ONNX graph, and a card with confidence and figures.

    Give the data that the run was trained on: temperature and thresholds are fitted on the
    rows that it held out, and the test splits are judged for the card. The graph is
    written only if its logits are the network's own.

    **Examples**

        mien export runs/glance --data fer2013.csv.gz --votes fer2013new.csv

        mien export runs/glance --data fer2013.csv.gz --onnx src/mien/assets/glance.onnx
    """
    with needs_train():
        from mien.train.export import export_run
        from mien.train.recipes import load_recipe

        path = onnx or output / f"{load_recipe(run / 'recipe.yaml').model.architecture}.onnx"
        dataset = load_data(data, votes, skip_bad=skip_bad)
        with bar("judging for the card") as progress:
            exported = export_run(run, dataset, output, path, on_crops=progress)
    for file in exported.files:
        typer.echo(file)
    typer.echo(f"largest difference between the logits of graph and network: {exported.parity:.1e}")
