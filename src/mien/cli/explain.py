"""``mien explain``: what a reading rests on, as pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Head, Model
from mien.cli.training_tools import needs_train
from mien.errors import ConfigError, InputError
from mien.files import cannot_write
from mien.text import one_line

if TYPE_CHECKING:
    from mien.explain import Explanation
    from mien.heatmap import Legend
    from mien.predictor import Predictor
    from mien.types import Crops, Reading

__all__ = ["Method", "explain"]

_FACES = 32  # of one picture: each is read 82 times


class Method(str, Enum):
    """How a heatmap is made."""

    OCCLUSION = "occlusion"
    GRAD_CAM = "grad-cam"


def explain(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Image files.")],
    method: Annotated[
        Method,
        typer.Option(
            help="Hide the face bit by bit, with any model; or Grad-CAM, quicker and coarser, "
            "with a .keras model."
        ),
    ] = Method.OCCLUSION,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Explain this label, likely or not.",
            show_default="each face's likeliest",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the pictures.")
    ] = Path(),
    model: Model = None,
    head: Head = None,
) -> None:
    """Show what the reading of each face rests on.

    Writes two pictures for each image: NAME.why.jpg, the photo with a heatmap over every
    face, and NAME.why-faces.png, the faces side by side with how likely the emotion is, and
    how likely it would be with the place hidden that matters most. Red is what the reading
    rests on, blue is what speaks against it.

    A heatmap tells what the model looks at. It does not tell whether the model is right.

    **Examples**

        mien explain photo.jpg

        mien explain photo.jpg --label sad -o why/

        mien explain photo.jpg --method grad-cam --model models/best_model.keras

    Exit codes: 0 explained, also if there was no face; 1 some of several images could not be
    read; 2 the one image or an option cannot be used.
    """
    _make_folder(output)
    explainer = _open(model, head, method)
    names = _Names(output)
    if len(images) == 1:
        _explain_one(explainer, images[0], label, names)
        return
    tried = [_try_to_explain(explainer, image, label, names) for image in images]
    failures = [each for each in tried if each is not None]
    if failures:
        typer.echo(f"mien: {len(failures)} of {len(images)} images could not be read:", err=True)
        for failure in failures:
            typer.echo(f"  {one_line(str(failure))}", err=True)
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Explainer:
    predictor: Predictor
    why: Callable[[Crops, str | None], tuple[Explanation, ...]]
    legend: Legend


class _Names:
    """Names of pictures in a folder, of which no two of a run are the same."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._taken = folder, set[str]()

    def of(self, image: Path) -> tuple[Path, Path]:
        """Return where the photo and the sheet of an image go."""
        number, stem = 1, image.stem
        while stem.casefold() in self._taken:
            number += 1
            stem = f"{image.stem}-{number}"
        self._taken.add(stem.casefold())
        return self._folder / f"{stem}.why.jpg", self._folder / f"{stem}.why-faces.png"


def _try_to_explain(
    explainer: _Explainer, path: Path, label: str | None, names: _Names
) -> InputError | None:
    """As :func:`_explain_one`, but what is wrong with the image is returned."""
    try:
        _explain_one(explainer, path, label, names)
    except InputError as error:
        return error
    return None


def _explain_one(explainer: _Explainer, path: Path, label: str | None, names: _Names) -> None:
    """Write both pictures of an image, and print a line for each face.

    Raises:
        InputError: the image cannot be read.
        ConfigError: the model has no such label, or a picture cannot be written.
    """
    from mien.draw import annotate
    from mien.explain import in_words
    from mien.heatmap import Card, lay_over, sheet, with_legend
    from mien.images import encode, read

    predictor, name = explainer.predictor, one_line(str(path))
    picture = predictor.open(path)
    found = predictor.crop(picture, predictor.detect(picture))
    readings = predictor.interpret(predictor.classify(found), found)
    shown, crops = readings[:_FACES], found.pixels[:_FACES]
    faces, framer = tuple(each.face for each in shown), predictor.framer
    explanations = explainer.why(crops, label)
    if not readings:
        typer.echo(f"{name}: no face found, so nothing to explain")
        return
    cards = []
    for number, (crop, why, reading) in enumerate(zip(crops, explanations, shown, strict=True), 1):
        headline, words = _headline(why, reading), in_words(why, reading.face, framer)
        typer.echo(f"{name}: face {number}: {headline}; {words}")
        title = headline if len(shown) == 1 else f"{number}: {headline}"
        cards.append(Card(crop, why, title, words[0].upper() + words[1:]))
    if len(readings) > len(shown):
        typer.echo(f"{name}: the other {len(readings) - len(shown)} faces are left out")
    photo, faces_sheet = names.of(path)
    image = read(path)  # the heatmaps lie over the photo in full
    over = annotate(lay_over(image, faces, explanations, framer), shown)
    _write(photo, encode(with_legend(over, explainer.legend)))
    _write(faces_sheet, encode(sheet(cards, explainer.legend), "png"))
    typer.echo(f"{name}: see {one_line(str(photo))} and {one_line(str(faces_sheet))}")


def _headline(why: Explanation, reading: Reading) -> str:
    headline = f"{why.label} {100 * why.probability:.0f} %"
    if why.label == reading.top:
        return headline
    return f"{headline} (read as {reading.top} {100 * reading.confidence:.0f} %)"


def _open(model: Path | None, head: str | None, method: Method) -> _Explainer:
    from mien.heatmap import GRAD_CAM, OCCLUSION
    from mien.predictor import Predictor, open_predictor

    if method is Method.GRAD_CAM:
        if model is None or model.suffix != ".keras":
            raise ConfigError(
                "grad-cam needs a .keras file: name one with --model models/best_model.keras, "
                "or use --method occlusion"
            )
        with needs_train():
            from mien.train.gradcam import GradCam
            from mien.train.session import KerasSession, load_network

            network, card = load_network(model)
            predictor = Predictor(session=KerasSession(network, card), head=head)
            return _Explainer(predictor, GradCam(network, card, head=head), GRAD_CAM)
    from mien.explain import explain as occlude

    predictor = open_predictor(model, head=head)
    return _Explainer(predictor, lambda crops, label: occlude(predictor, crops, label), OCCLUSION)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise cannot_write(path, error) from None
