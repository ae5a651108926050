"""``mien audit``: which labels of a data set to doubt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from mien.cli.training_tools import SkipBad, Votes, bar, load_data, needs, status

__all__ = ["audit"]


def audit(
    data: Annotated[
        Path,
        typer.Argument(
            help="FER2013: fer2013.csv, fer2013.csv.gz, or the folder with train/ and test/."
        ),
    ],
    votes: Votes = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the page, its sheets and tables.")
    ] = Path("audit"),
    model: Annotated[
        Path | None,
        typer.Option(
            help="The network that reads the pictures: .onnx, .tflite or .keras.",
            show_default="mien's own model",
        ),
    ] = None,
    find_faces: Annotated[
        bool,
        typer.Option("--find-faces", help="Look for a face in every picture too: some minutes."),
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Find labels that voters and the network dispute, repeated pictures, and no faces at all.

    The page is OUTPUT/index.html. It shows pictures of the data set: keep it to yourself,
    as the data set's terms ask.

    **Examples**

        mien audit fer2013.csv.gz --votes fer2013new.csv

        mien audit fer2013/ -o doubtful
    """
    with needs("evaluate"):
        from mien.evaluation.audit import audit as look_through
        from mien.evaluation.audit.page import open_folder, write_audit
        from mien.runtime import open_session

        open_folder(output)  # before minutes are spent
        dataset = load_data(data, votes, skip_bad=skip_bad)
        session = open_session(model)
        detector = None
        if find_faces:
            from mien.faces import CenterFace

            detector = CenterFace(same_size=True)
        with bar("looking through the pictures") as progress:
            found = look_through(dataset, session, detector=detector, on_crops=progress)
        figures = write_audit(found, output, data.name)
    _print(figures)
    status.print(f"The page is {output / 'index.html'}.", highlight=False)


def _print(figures: dict[str, Any]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("found")
    table.add_column("rows", justify="right")
    for name, count in figures["disputes"].items():
        table.add_row(f"label disputed by {name}", str(count))
    for name, key in (("equal pixels", "equal_pixels"), ("same picture", "same_picture")):
        repeats = figures[key]
        table.add_row(f"{name} as another row", str(repeats["rows"]))
        table.add_row(f"{name}, another label", str(repeats["conflicting_rows"]))
    for name, counts in figures["no_face"].items():
        if counts is not None:
            table.add_row(name.replace("_", " "), str(counts["all"]))
    Console(highlight=False).print(table)
