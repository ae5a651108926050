"""``mien predict``: readings of images and folders."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.batch import write_results
from mien.cli.choice import Choice
from mien.cli.options import Detector, Device, Head, MinFace, MinScore, Model, Smallest
from mien.cli.output import (
    CsvOutput,
    JsonLinesOutput,
    JsonOutput,
    Output,
    TerminalOutput,
    TextOutput,
)
from mien.concurrency import cores, in_order
from mien.errors import ConfigError, InputError
from mien.files import cannot_write, check_writable
from mien.images import IMAGE_ENDINGS, ImageLimits, find_images

if TYPE_CHECKING:
    from mien.predictor import Predictor
    from mien.result import Result

__all__ = ["Faces", "predict"]

_STANDARD = Path("-")  # input or output
_MARK = ".annotated"  # in the names of annotated copies
_DRAWN = (_MARK, ".why", ".why-faces")  # --batch leaves out what predict and explain drew


class Faces(str, Enum):
    """Which faces of an image are read."""

    ALL = "all"
    LARGEST = "largest"


def predict(
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE", help="Image files and folders; - is standard input."),
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Read every image in a folder and the folders in it."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of text.")
    ] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print JSON, a line for each image, instead of text.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a table, a row for each face; - prints it."),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write copies with the readings drawn on them."),
    ] = None,
    faces: Annotated[
        Faces, typer.Option(help="Read all faces of an image or the largest one.")
    ] = Faces.ALL,
    model: Model = None,
    head: Head = None,
    device: Device = "auto",
    detector: Detector = None,
    smallest: Smallest = None,
    min_score: MinScore = 0.0,
    min_face: MinFace = 0,
    abstain: Annotated[
        bool,
        typer.Option(
            "--abstain",
            help="Name no emotion where the model is uncertain: null in JSON, empty in CSV.",
        ),
    ] = False,
    threads: Annotated[
        int, typer.Option(metavar="N", min=0, help="Processor cores to use; 0 takes all.")
    ] = 0,
) -> None:
    """Read the faces of images.

    Text goes to the screen; --json, --jsonl and --csv take its place. --csv FILE may be
    joined by one of the other two. In all of them boxes are in pixels of the upright image.

    **Examples**

        mien predict photo.jpg

        mien predict --batch holiday/ --csv faces.csv --annotate annotated/

        cat photo.jpg | mien predict --json -

    Exit codes: 0 read, also if there was no face; 1 some of several images could not be
    read; 2 the one image or an option cannot be used; 130 interrupted, and what was read
    is written.
    """
    if json + jsonl + (csv == _STANDARD) > 1:
        raise ConfigError("--json, --jsonl and --csv - all print: choose one of them")
    items = _plan(images or [], batch, annotate)
    several = (
        batch is not None or len(items) > 1 or any(Path(each).is_dir() for each in images or [])
    )
    if csv is not None and csv != _STANDARD:
        check_writable(csv)
    if annotate is not None:
        _make_folder(annotate)
    workers = (threads or cores()) if several else 1
    own_threads = 1 if several else threads
    choice = Choice(model, head, device, detector, smallest, min_score, min_face)
    # By default all photos are searched in about one size. Keeping memory then takes less than
    # asking for it again: two workers on 60 photos of 12 sizes peak at 341 MB instead of 409.
    predictor = choice.open(threads=own_threads, same_size=several and smallest is None)
    card = predictor.card
    terminal = sys.stdout.isatty() and not (json or jsonl or csv)
    outputs: list[Output] = []
    if csv is not None:
        outputs.append(CsvOutput(csv, card, abstain=abstain))
    if json:
        outputs.append(JsonOutput(card, abstain=abstain))
    elif jsonl:
        outputs.append(JsonLinesOutput(abstain=abstain))
    elif csv is None:
        outputs.append(
            TerminalOutput(card, abstain=abstain) if terminal else TextOutput(abstain=abstain)
        )
    results = _results(predictor, items, faces, workers)
    if several:
        write_results(results, len(items), outputs)
        return
    (result,) = results
    if result.error is not None:
        raise result.error
    for output in outputs:
        output.write(result)
        output.close()


@dataclass(frozen=True, slots=True)
class _Item:
    """An image to read; standard input if it has no path."""

    name: str
    path: Path | None
    annotated: Path | None


def _results(
    predictor: Predictor, items: Sequence[_Item], faces: Faces, workers: int
) -> Generator[Result, None, None]:
    """Read every item, and write its annotated copy if one is wanted."""
    from mien.faces import everyone, largest

    def finish(pair: tuple[_Item, Result]) -> Result:
        item, result = pair
        if item.annotated is not None and result.error is None:
            result.save(item.annotated)
        return replace(result, name=item.name)

    select = largest if faces is Faces.LARGEST else everyone
    sources = (_source(item) for item in items)
    with closing(predictor.predict_many(sources, select, workers=workers)) as results:
        pairs = zip(items, results, strict=True)
        drawn = any(item.annotated is not None for item in items)
        with (
            closing(in_order(finish, pairs, workers))
            if drawn
            else nullcontext(map(finish, pairs)) as finished
        ):
            yield from finished


def _plan(images: list[str], batch: Path | None, annotate: Path | None) -> list[_Item]:
    """List what is read, in order, each with a different name for its copy."""
    if images.count("-") > 1:
        raise ConfigError("- is standard input and can be read only once")
    if "-" in images and sys.stdin.isatty():
        raise InputError("- is standard input: expected an image to be piped into it")
    names: list[str] = []
    for name in images:
        folder = name != "-" and Path(name).is_dir()
        names += _images_in(Path(name)) if folder else [name]
    if batch is not None:
        names += _images_in(batch)
    if not names:
        raise ConfigError("expected an IMAGE, several, or --batch DIR: see mien predict --help")
    items, taken = [], set[str]()
    for name in names:
        path = None if name == str(_STANDARD) else Path(name)
        copy = None if annotate is None else annotate / _copy_name(path, taken)
        items.append(_Item("stdin" if path is None else name, path, copy))
    return items


def _images_in(folder: Path) -> list[str]:
    found = [path for path in find_images(folder) if not path.stem.endswith(_DRAWN)]
    if not found:
        raise InputError(
            f"{folder} holds no images: expected files ending in {', '.join(sorted(IMAGE_ENDINGS))}"
        )
    return [str(path) for path in found]


def _copy_name(path: Path | None, taken: set[str]) -> str:
    """Return a name that no other copy of this run has, also where case does not count."""
    stem = "stdin" if path is None else path.stem
    jpeg = path is not None and path.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif")
    ending = f"{_MARK}.{'jpg' if jpeg else 'png'}"
    number, name = 1, stem + ending
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}{ending}"
    taken.add(name.casefold())
    return name


def _source(item: _Item) -> Path | bytes:
    return item.path or sys.stdin.buffer.read(ImageLimits().max_bytes + 1)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise cannot_write(folder, error) from None
