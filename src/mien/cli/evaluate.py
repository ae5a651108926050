"""``mien evaluate``: judge a model on FER2013's test splits, or on another data set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import figures
from mien.cli.training_tools import Data, SkipBad, Votes, bar, load_data, needs_train, status
from mien.errors import ConfigError, DataError

if TYPE_CHECKING:
    from mien.card import ModelCard
    from mien.runtime import Session
    from mien.train.adapt import Comparison
    from mien.train.data import Dataset
    from mien.train.datasets import Faces, Listing
    from mien.train.evaluate import Result
    from mien.train.groups import Grouping
    from mien.train.report import Part
    from mien.train.robustness import Robustness
    from mien.types import Logits

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
    degradations: Annotated[
        bool,
        typer.Option(
            "--degradations",
            help="Measure test rows of FER2013 under light, blur, noise, cover and the like too.",
        ),
    ] = False,
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

        mien evaluate --data fer2013.csv.gz --degradations -o report

        mien evaluate --data fer2013.csv.gz --groups groups.csv

        mien evaluate models/best_model.keras --dataset ck+ --data CK+ --adapt -o report

        mien evaluate --dataset folder --data pictures --map map.yaml
    """
    with needs_train():
        if dataset is None:
            only = {"--map": folder_map, "--find-faces": find_faces, "--adapt": adapt}
            if given := [name for name, value in only.items() if value]:
                raise ConfigError(f"{' and '.join(given)} go with --dataset")
            fer2013 = load_data(data, votes, skip_bad=skip_bad)
            judged = _on_fer2013(model, fer2013, groups, flip=flip, degradations=degradations)
        else:
            if degradations:
                raise ConfigError("--degradations go with FER2013, not with --dataset")
            if votes is not None:
                raise ConfigError("--votes go with FER2013, not with --dataset")
            if data is None:
                raise DataError(f"no data given: say where {dataset} lies with --data FOLDER")
            listing = _listed(dataset, data, folder_map, find_faces=find_faces)
            judged = _elsewhere(
                model, _Set(dataset, data, listing), groups, flip=flip, adapt=adapt, bad=skip_bad
            )
        _tell(judged, output, as_json=as_json)


@dataclass(frozen=True)
class _Set:
    """A data set that was listed."""

    name: str
    path: Path
    listing: Listing


@dataclass(frozen=True)
class _Judged:
    """Everything that is to be told."""

    card: ModelCard
    protocol: str
    results: Sequence[Result]
    groupings: Sequence[Grouping] = ()
    parts: Sequence[Part] = ()
    faces: Faces | None = None
    comparison: Comparison | None = None
    robustness: Robustness | None = None


def _on_fer2013(
    model: Path | None,
    dataset: Dataset,
    groups: Path | None,
    *,
    flip: bool,
    degradations: bool,
) -> _Judged:
    from mien.train.elsewhere import group_test_rows, groups_part
    from mien.train.evaluate import evaluate as judge
    from mien.train.report import PROTOCOL

    sessions = _sessions(model, dataset)
    with bar("evaluating") as progress:
        results = judge(sessions, dataset, flip=flip, on_crops=progress)
    judged = _Judged(sessions[0].card, PROTOCOL, results)
    if groups is not None:
        groupings = group_test_rows(sessions[0], dataset, groups)
        judged = replace(judged, groupings=groupings, parts=[groups_part(groupings)])
    return _with_degradations(judged, sessions[0], dataset) if degradations else judged


def _with_degradations(judged: _Judged, session: Session, dataset: Dataset) -> _Judged:
    from mien.train import robustness

    with bar("degrading") as progress:
        rows = robustness.sample_test_rows(dataset)
        measured = robustness.evaluate_degradations(session, rows, progress)
    parts = [*judged.parts, robustness.degradations_part(measured)]
    return replace(judged, parts=parts, robustness=measured)


def _listed(name: str, data: Path, folder_map: Path | None, *, find_faces: bool) -> Listing:
    from mien.train.datasets import list_samples

    listing = list_samples(name, data, folder_map)
    return (
        replace(listing, framing="photo") if find_faces and listing.framing == "crop" else listing
    )


def _elsewhere(
    model: Path | None,
    chosen: _Set,
    groups: Path | None,
    *,
    flip: bool,
    adapt: bool,
    bad: bool,
) -> _Judged:
    from mien.cli.cropping import FaceCropper, middle_frame
    from mien.faces import CenterFace
    from mien.train import elsewhere
    from mien.train.datasets import collect
    from mien.train.session import open_any_session

    if adapt and (model is None or model.suffix != ".keras"):
        raise ConfigError(
            "--adapt needs a .keras file: an exported graph has its statistics folded"
        )
    session = open_any_session(model)
    elsewhere.check_labels(session.card)
    cropper = FaceCropper(CenterFace(), session.card.geometry)
    with bar("finding faces") as progress:
        faces = collect(chosen.listing, cropper, middle_frame, skip_bad=bad, on_sample=progress)
    for line in faces.skipped:
        status.print(f"skipped {line}", markup=False, highlight=False, soft_wrap=True)
    told = elsewhere.dataset_part(chosen.name, chosen.path, chosen.listing, faces)
    title = told.content["name"]
    results, logits = elsewhere.judge_faces(session, faces, title, flip=flip)
    groupings = elsewhere.group_faces(session, faces, logits, groups)
    judged = _Judged(session.card, elsewhere.PROTOCOL, results, groupings, [told], faces)
    if groupings:
        judged = replace(judged, parts=[*judged.parts, elsewhere.groups_part(groupings)])
    return _with_adaptation(judged, model, logits, title) if adapt and model else judged


def _with_adaptation(judged: _Judged, model: Path, before: Logits, title: str) -> _Judged:
    from mien.train.adapt import compare, cross_adapted
    from mien.train.elsewhere import adaptation_part
    from mien.train.evaluate import judged as judge
    from mien.train.session import load_network

    faces, card = judged.faces, judged.card
    assert faces is not None
    network, _ = load_network(model)
    with bar("adapting") as progress:
        after = cross_adapted(network, card, faces.crops, faces.persons, on_layer=progress)
    comparison = compare(card, before, after, faces.emotion, faces.persons)
    return replace(
        judged,
        results=[*judged.results, judge(card, after, faces.emotion, f"{title}, adapted")],
        parts=[*judged.parts, adaptation_part(comparison)],
        comparison=comparison,
    )


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


def _tell(judged: _Judged, output: Path | None, *, as_json: bool) -> None:
    from mien.train.report import as_dict, write_report

    if as_json:
        content = as_dict(judged.results, judged.card, protocol=judged.protocol, parts=judged.parts)
        typer.echo(json.dumps(content, indent=2))
    else:
        if judged.faces is not None:
            figures.print_faces(judged.faces)
        figures.print_results(judged.results)
        figures.print_groups(judged.groupings)
        if judged.robustness is not None:
            figures.print_robustness(judged.robustness)
        if judged.comparison is not None:
            figures.print_comparison(judged.comparison)
    if output is not None:
        write_report(
            judged.results, judged.card, output, protocol=judged.protocol, parts=judged.parts
        )
        if judged.robustness is not None:
            _save_plot(judged.robustness, output / "emotion_degradations.png")
        status.print(f"The report is in {output}.", highlight=False)


def _save_plot(robustness: Robustness, path: Path) -> None:
    from mien.train.files import replacing
    from mien.train.robustness import plot_degradations

    with replacing(path) as temporary:
        plot_degradations(robustness).savefig(temporary)
