"""``mien predict``: readings of images and folders."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.batch import cores, read_several
from mien.cli.models import open_model
from mien.cli.options import Device, Head, MinFace, Model
from mien.cli.output import (
    CsvOutput,
    JsonLinesOutput,
    JsonOutput,
    Output,
    Result,
    TerminalOutput,
    TextOutput,
    probe_writable,
    unwritable,
)
from mien.errors import ConfigError, InputError
from mien.images import IMAGE_ENDINGS, ImageLimits, encode, find_images, from_any

if TYPE_CHECKING:
    from mien.predictor import Predictor
    from mien.runtime import Session
    from mien.types import Image, Reading

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
        typer.Argument(metavar="IMAGE", help="Image files; - is standard input."),
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
    min_face: MinFace = None,
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
    several = batch is not None or len(items) > 1
    if csv is not None and csv != _STANDARD:
        probe_writable(csv)
    if annotate is not None:
        _make_folder(annotate)
    own_threads = 1 if several else threads
    session = open_model(model, head=head, device=device, threads=own_threads)
    predictor = _make_predictor(session, min_face, own_threads, several=several)
    card = predictor.session.card
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
    reader = _Reader(predictor, faces)
    if several:
        read_several(items, reader.try_to_read, outputs, threads or cores())
    else:
        result = reader.read(items[0])
        for output in outputs:
            output.write(result)
            output.close()


@dataclass(frozen=True, slots=True)
class _Item:
    """An image to read; standard input if it has no path."""

    name: str
    path: Path | None
    annotated: Path | None


@dataclass(frozen=True, slots=True)
class _Reader:
    predictor: Predictor
    faces: Faces

    def read(self, item: _Item) -> Result:
        """Read one image, and write its annotated copy if one is wanted.

        Raises:
            InputError: the image cannot be read.
            ConfigError: the copy cannot be written.
        """
        from mien.predictor import enlarged

        source = _source(item)
        # a copy to draw on is wanted in full, all else in as much detail as is used
        loaded = self.predictor.load(source if item.annotated is None else from_any(source))
        found = self.predictor.detector(loaded.image)
        if self.faces is Faces.LARGEST and found:
            found = (max(found, key=lambda face: face.box.w * face.box.h),)
        (readings,) = self.predictor.read_faces([loaded.image], [found])
        if item.annotated is not None:
            _write_annotated(item.annotated, loaded.image, readings)
        return Result(item.name, loaded.full_hw, enlarged(readings, loaded))

    def try_to_read(self, item: _Item) -> Result:
        """As :meth:`read`, but what is wrong with an image is part of the result."""
        try:
            return self.read(item)
        except InputError as error:
            return Result(item.name, failure=error)


def _plan(images: list[str], batch: Path | None, annotate: Path | None) -> list[_Item]:
    """List what is to be read, in order, with a copy's name of its own for each."""
    names = list(images)
    if names.count("-") > 1:
        raise ConfigError("- is standard input and can be read only once")
    if batch is not None:
        found = [path for path in find_images(batch) if not path.stem.endswith(_DRAWN)]
        if not found:
            raise InputError(
                f"{batch} holds no images: expected files ending in "
                f"{', '.join(sorted(IMAGE_ENDINGS))}"
            )
        names += [str(path) for path in found]
    if not names:
        raise ConfigError("expected an IMAGE, several, or --batch DIR: see mien predict --help")
    items, taken = [], set[str]()
    for name in names:
        path = None if name == str(_STANDARD) else Path(name)
        copy = None if annotate is None else annotate / _copy_name(path, taken)
        items.append(_Item("stdin" if path is None else name, path, copy))
    return items


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
    if item.path is not None:
        if item.path.is_dir():
            raise InputError(
                f"{item.path} is a folder: expected an image file; to read all images in it, "
                f"use --batch {item.path}"
            )
        return item.path
    if sys.stdin.isatty():
        raise InputError("- is standard input: expected an image to be piped into it")
    return sys.stdin.buffer.read(ImageLimits().max_bytes + 1)


def _write_annotated(path: Path, image: Image, readings: tuple[Reading, ...]) -> None:
    from mien.draw import annotate

    content = encode(annotate(image, readings), "jpeg" if path.suffix == ".jpg" else "png")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(unwritable(path, error)) from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(unwritable(folder, error)) from None


def _make_predictor(
    session: Session, min_face: int | None, threads: int, *, several: bool
) -> Predictor:
    from mien.faces import CenterFace
    from mien.predictor import Predictor

    # By default all photos are looked at in about one size. Memory that is kept is then less than
    # memory asked for anew: two workers on 60 photos of 12 sizes peak at 341 MB instead of 409.
    alike = several and min_face is None
    detector = CenterFace(min_face_px=min_face, threads=threads, same_size=alike)
    return Predictor(detector, session)
