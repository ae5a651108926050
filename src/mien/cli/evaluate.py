"""``mien evaluate``: judge a model on FER2013's test splits, or on another data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import figures
from mien.cli.training_tools import (
    Data,
    SkipBad,
    Votes,
    bar,
    load_data,
    middle_frame,
    needs,
    needs_train,
    status,
)
from mien.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mien.evaluation.protocol import Evaluation, Source

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[
        Path | None,
        typer.Argument(help="An .onnx, .tflite or .keras file.", show_default="mien's own model"),
    ] = None,
    data: Data = None,
    votes: Votes = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="What lies at --data: ck+, jaffe, affectnet, raf-db, expw, crema-d, ravdess, or "
            "folder: one folder a label.",
            metavar="NAME",
            show_default="FER2013",
        ),
    ] = None,
    folder_map: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="With --dataset folder: map.yaml, from labels to emotions.",
            metavar="FILE",
        ),
    ] = None,
    find_faces: Annotated[
        bool,
        typer.Option(
            "--find-faces",
            help="With --dataset: look for the face also where pictures are cropped already.",
        ),
    ] = False,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="With --dataset and a .keras file: judge it adapted to the set's faces besides.",
        ),
    ] = False,
    groups: Annotated[
        Path | None,
        typer.Option(
            help="groups.csv: a column row (or file) and one for each grouping; every figure is "
            "given by group.",
            metavar="FILE",
        ),
    ] = None,
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
    """Judge a model on FER2013's test splits, on another data set, and on groups of people.

    Each split of FER2013 is judged with and without the images that stand in Training too,
    and on FER+'s majority if votes are given. In other data sets the faces are found first,
    and those not found are counted. Nothing is fitted or chosen on the rows judged.

    **Examples**

        mien evaluate --data fer2013.csv.gz

        mien evaluate --data fer2013.csv.gz --votes fer2013new.csv --flip -o report

        mien evaluate --data fer2013.csv.gz --groups groups.csv

        mien evaluate models/best_model.keras --dataset ck+ --data CK+ --adapt -o report

        mien evaluate --dataset folder --data pictures --map map.yaml
    """
    with needs("evaluate"):
        if dataset is None:
            only = {"--map": folder_map, "--find-faces": find_faces, "--adapt": adapt}
            if given := [name for name, value in only.items() if value]:
                raise ConfigError(f"{' and '.join(given)} go with --dataset")
            evaluation = _on_fer2013(model, data, votes, groups, flip=flip, skip_bad=skip_bad)
        else:
            if votes is not None:
                raise ConfigError("--votes go with FER2013, not with --dataset")
            if data is None:
                raise DataError(f"no data given: say where {dataset} lies with --data FOLDER")
            if adapt and (model is None or model.suffix != ".keras"):
                raise ConfigError(
                    "--adapt needs a .keras file: an exported graph has its statistics folded"
                )
            from mien.data.datasets import list_samples
            from mien.evaluation.protocol import Source

            listing = list_samples(dataset, data, folder_map)
            if find_faces:
                listing = listing.as_photos()
            source = Source(dataset, data, listing)
            evaluation = _on_dataset(model, source, groups, flip=flip, skip_bad=skip_bad)
            if adapt and model is not None:
                evaluation = _with_adapted(evaluation, model)
        _show(evaluation, output, as_json=as_json)


def _on_fer2013(
    model: Path | None,
    data: Path | None,
    votes: Path | None,
    groups: Path | None,
    *,
    flip: bool,
    skip_bad: bool,
) -> Evaluation:
    from mien.evaluation.protocol import on_fer2013
    from mien.runtime import open_session

    dataset = load_data(data, votes, skip_bad=skip_bad)
    session = open_session(model)
    with bar("evaluating") as progress:
        return on_fer2013(session, dataset, groups=groups, flip=flip, on_crops=progress)


def _on_dataset(
    model: Path | None, source: Source, groups: Path | None, *, flip: bool, skip_bad: bool
) -> Evaluation:
    from mien.data.datasets import collect
    from mien.evaluation.cropping import FaceCropper
    from mien.evaluation.cross_dataset import check_labels
    from mien.evaluation.protocol import on_dataset
    from mien.faces import open_detector
    from mien.runtime import open_session

    session = open_session(model)
    check_labels(session.card)
    cropper = FaceCropper(open_detector(), session.card.framing)
    with bar("finding faces") as progress:
        faces = collect(
            source.listing, cropper, middle_frame, skip_bad=skip_bad, on_sample=progress
        )
    for line in faces.skipped:
        status.print(f"skipped {line}", markup=False, highlight=False, soft_wrap=True)
    return on_dataset(session, source, faces, groups=groups, flip=flip)


def _with_adapted(evaluation: Evaluation, model: Path) -> Evaluation:
    from mien.evaluation.protocol import with_adapted

    with needs_train():
        from mien.train.adapt import cross_adapted
        from mien.train.session import load_network

    faces = evaluation.faces
    assert faces is not None  # of a data set
    network, card = load_network(model)
    with bar("adapting") as progress:
        logits = cross_adapted(network, card, faces.crops, faces.persons, on_layer=progress)
    return with_adapted(evaluation, logits)


def _show(evaluation: Evaluation, output: Path | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(evaluation.to_dict(), indent=2))
    else:
        if evaluation.faces is not None:
            figures.print_faces(evaluation.faces)
        figures.print_results(evaluation.results)
        figures.print_groups(evaluation.groupings)
        if evaluation.comparison is not None:
            figures.print_comparison(evaluation.comparison)
    if output is not None:
        evaluation.write(output)
        status.print(f"The report is in {output}.", highlight=False)
