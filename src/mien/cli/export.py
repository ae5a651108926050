"""``mien export``: a finished run as files that others use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.training_tools import Data, SkipBad, Votes, bar, load_data, needs_train
from mien.errors import ConfigError

if TYPE_CHECKING:
    from mien.data import Dataset

__all__ = ["export"]


def export(
    run: Annotated[
        Path | None, typer.Argument(help="Folder of the run; --hub does without.")
    ] = None,
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
    hub: Annotated[
        Path | None,
        typer.Option(
            help="Lay model, card and licence out for the Hugging Face Hub; without a run, those "
            "that are there: --onnx, or mien's own.",
            metavar="DIR",
        ),
    ] = None,
    weights_version: Annotated[
        str,
        typer.Option(
            metavar="V", help="Version of these weights, in their card: a new one for each run."
        ),
    ] = "1",
    skip_bad: SkipBad = False,
) -> None:
    """Export a run: Keras file, ONNX graph, and a card with confidence and figures.

    Give the data that the run was trained on: temperature and thresholds are fitted on the
    rows that it held out, and the test splits are judged for the card. The graph is
    written only if its logits are the network's own. --hub uploads nothing.

    **Examples**

        mien export runs/glance --data fer2013.csv.gz --votes fer2013new.csv

        mien export runs/glance --data fer2013.csv.gz --onnx src/mien/assets/glance.onnx

        mien export --hub hub/
    """
    if run is None and hub is None:
        raise ConfigError("nothing to export: name the folder of a RUN, or --hub DIR")
    with needs_train():
        if run is not None:
            onnx = onnx or output / f"{_architecture(run)}.onnx"
            dataset = load_data(data, votes, skip_bad=skip_bad)
            _export_run(run, dataset, output, onnx, weights_version)
        if hub is not None:
            _lay_out(hub, output, onnx)


def _architecture(run: Path) -> str:
    from mien.train.recipes import load_recipe

    return load_recipe(run / "recipe.yaml").model.architecture


def _export_run(run: Path, dataset: Dataset, output: Path, onnx: Path, version: str) -> None:
    from mien.train.export import export_run

    with bar("judging for the card") as progress:
        exported = export_run(run, dataset, output, onnx, version=version, on_crops=progress)
    for file in exported.files:
        typer.echo(file)
    typer.echo(f"largest difference between the logits of graph and network: {exported.parity:.1e}")


def _lay_out(hub: Path, output: Path, onnx: Path | None) -> None:
    from mien.runtime import default_model
    from mien.train.hub import write_hub

    keras_path = output / "best_model.keras"
    models = [onnx or default_model(), *([keras_path] if keras_path.is_file() else [])]
    for file in write_hub(hub, models):
        typer.echo(file)
