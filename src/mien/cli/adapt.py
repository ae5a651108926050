"""``mien adapt``: fit a model's normalisation to one's own faces, without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.training_tools import bar, middle_frame, needs_train, status
from mien.errors import ConfigError

if TYPE_CHECKING:
    from mien.card import ModelCard
    from mien.data.datasets import Faces
    from mien.evaluation.cropping import FaceCropper
    from mien.types import Crops

__all__ = ["adapt"]

_FEW_FACES = 30


def adapt(
    folder: Annotated[Path, typer.Argument(help="Folder of photos, or of face crops.")],
    model: Annotated[
        Path, typer.Option("--model", help="The .keras file to adapt, its card beside it.")
    ] = Path("models/best_model.keras"),
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Where the adapted model goes: .keras or .onnx."),
    ] = Path("adapted.keras"),
    labelled: Annotated[
        Path | None,
        typer.Option(
            help="Folder EMOTION/*.jpg, to find out whether it helped and to fit the "
            "temperature on.",
            metavar="FOLDER",
        ),
    ] = None,
    folder_map: Annotated[
        Path | None,
        typer.Option("--map", help="map.yaml, if --labelled has other labels.", metavar="FILE"),
    ] = None,
    cropped: Annotated[
        bool, typer.Option("--cropped", help="All pictures are face crops: look for no faces.")
    ] = False,
    prior: Annotated[
        float | None,
        typer.Option(help="Weight of the old statistics, in faces.", show_default="16"),
    ] = None,
) -> None:
    """Fit a model to your own camera, light and people, without labels.

    The mean and variance that batch normalisation remembers are estimated anew on the faces
    of your photos; the fewer faces, the more of the old ones is kept. Without labels, nobody
    can say whether that helped, and the temperature stays as it was. With some labelled
    pictures both can be found out, and are. Use faces of all expressions, as they come.

    **Examples**

        mien adapt photos/

        mien adapt photos/ --labelled labelled/ -o adapted.onnx
    """
    with needs_train():
        from mien.evaluation.cropping import FaceCropper
        from mien.faces import open_detector
        from mien.train.adapt import PRIOR, write_adapted
        from mien.train.adapt import adapt as adapt_network
        from mien.train.session import load_network

        if output.suffix not in (".keras", ".onnx"):
            raise ConfigError(f"{output}: expected a name ending in .keras or .onnx")
        if output.resolve() == model.resolve():
            raise ConfigError(f"{output} is the model to adapt: choose another name with -o")
        network, card = load_network(model)
        cropper = FaceCropper(open_detector(), card.framing)
        faces = _labelled(labelled, folder_map, cropper, cropped=cropped) if labelled else None
        crops = _crops(folder, cropper, cropped=cropped)
        with bar("adapting") as progress:
            adapted, done = adapt_network(
                network, crops, prior=PRIOR if prior is None else prior, on_layer=progress
            )
        typer.echo(
            f"{done.faces} faces: {done.weight:.0%} of the statistics of {done.layers} layers "
            f"are new; the means lay {done.moved:.2f} standard deviations from the old ones"
        )
        if done.faces < _FEW_FACES:
            typer.echo("so few faces change little; more of them would tell more")
        if faces is None:
            typer.echo(
                "whether this helps cannot be told without labels, and the temperature was kept: "
                "give some labelled pictures with --labelled"
            )
        else:
            card = _evaluated(card, network, adapted, faces)
        for path in write_adapted(adapted, card, done, output, crops):
            typer.echo(path)


def _crops(folder: Path, cropper: FaceCropper, *, cropped: bool) -> Crops:
    """Return every face of every image below a folder."""
    from mien.data.datasets import collect_unlabelled, whole_as_crop

    with bar("finding faces") as progress:
        crop = whole_as_crop if cropped else cropper.every
        found = collect_unlabelled(folder, crop, on_image=progress)
    for line in found.skipped:
        status.print(f"skipped {line}", markup=False, highlight=False)
    if found.no_face:
        status.print(
            f"no face found in {found.no_face} of {found.images} pictures", highlight=False
        )
    return found.crops


def _labelled(
    folder: Path, folder_map: Path | None, cropper: FaceCropper, *, cropped: bool
) -> Faces:
    from mien.data.datasets import FOLDER, collect, list_samples

    listing = list_samples(FOLDER, folder, folder_map)
    if cropped:
        listing = listing.as_crops()
    with bar("finding labelled faces") as progress:
        faces = collect(listing, cropper, middle_frame, skip_bad=True, on_sample=progress)
    for line in faces.skipped:
        status.print(f"skipped {line}", markup=False, highlight=False)
    if faces.no_face:
        status.print(
            f"no face found in {len(faces.no_face)} labelled pictures, which are left out",
            highlight=False,
        )
    return faces


def _evaluated(card: ModelCard, network: object, adapted: object, faces: Faces) -> ModelCard:
    """Print what the labelled faces show, and return the card with what they could fit."""
    from mien.cli.figures import print_comparison
    from mien.evaluation.comparison import ENOUGH_LABELLED, verdict
    from mien.train.adapt import evaluate_adapted

    comparison, fitted = evaluate_adapted(card, network, adapted, faces)
    print_comparison(comparison)
    typer.echo(verdict(comparison))
    if fitted is card.calibration:
        typer.echo(
            f"the temperature was kept: fitting it takes {ENOUGH_LABELLED} labelled "
            f"faces, there are {len(faces)}"
        )
    else:
        typer.echo(
            f"temperature and thresholds were fitted on the {len(faces)} labelled faces: "
            f"{card.calibration.temperature:.2f} became {fitted.temperature:.2f}"
        )
    head = replace(card.head(), calibration=fitted)
    return replace(card, heads={**card.heads, card.default_head: head})
