"""``mien adapt``: fit a model's normalisation to one's own faces, without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from mien.cli.training_tools import bar, needs_train, status
from mien.errors import ConfigError, DataError, ImageError

if TYPE_CHECKING:
    from mien.card import ModelCard
    from mien.cli.cropping import FaceCropper
    from mien.data.datasets import Faces
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
        from mien.cli.cropping import FaceCropper
        from mien.faces import open_detector
        from mien.train import adapt as adapting
        from mien.train.session import load_network

        if output.suffix not in (".keras", ".onnx"):
            raise ConfigError(f"{output}: expected a name ending in .keras or .onnx")
        if output.resolve() == model.resolve():
            raise ConfigError(f"{output} is the model to adapt: choose another name with -o")
        network, card = load_network(model)
        cropper = FaceCropper(open_detector(), card.framing)
        judged = _labelled(labelled, folder_map, cropper, cropped=cropped) if labelled else None
        crops = _crops(folder, cropper, cropped=cropped)
        with bar("adapting") as progress:
            adapted, done = adapting.adapt(
                network,
                crops,
                prior=adapting.PRIOR if prior is None else prior,
                on_layer=progress,
            )
        typer.echo(
            f"{done.faces} faces: {done.weight:.0%} of the statistics of {done.layers} layers "
            f"are new; the means lay {done.moved:.2f} standard deviations from the old ones"
        )
        if done.faces < _FEW_FACES:
            typer.echo("so few faces change little; more of them would tell more")
        if judged is None:
            typer.echo(
                "whether this helps cannot be told without labels, and the temperature was kept: "
                "give some labelled pictures with --labelled"
            )
        else:
            card = _judge(card, network, adapted, judged)
        for path in adapting.write_adapted(adapted, card, done, output, crops):
            typer.echo(path)


def _crops(folder: Path, cropper: FaceCropper, *, cropped: bool) -> Crops:
    """Return every face of every picture below a folder."""
    from mien import images
    from mien.data.datasets import whole_as_crop

    found: list[Crops] = []
    without = 0
    files = images.find_images(folder)
    with bar("finding faces") as progress:
        for done, file in enumerate(files, start=1):
            try:
                picture = images.read(file)
            except ImageError as error:
                status.print(f"skipped {file}: {error}", markup=False, highlight=False)
                continue
            faces = whole_as_crop(picture) if cropped else cropper.every(picture)
            found.append(faces)
            without += len(faces) == 0
            progress(done, len(files))
    if without:
        status.print(f"no face found in {without} of {len(files)} pictures", highlight=False)
    if sum(map(len, found)) == 0:
        raise DataError(
            f"no face in {folder} ({len(files)} pictures): expected photos of faces, or "
            "face crops with --cropped"
        )
    return np.concatenate(found)


def _labelled(
    folder: Path, folder_map: Path | None, cropper: FaceCropper, *, cropped: bool
) -> Faces:
    from mien.cli.cropping import middle_frame
    from mien.data.datasets import FOLDER, collect, list_samples

    listing = list_samples(FOLDER, folder, folder_map)
    if cropped:
        listing = replace(listing, framing="crop")
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


def _judge(card: ModelCard, network: object, adapted: object, faces: Faces) -> ModelCard:
    """Tell what the labelled faces say, and return the card with what they could fit."""
    from mien.cli.figures import print_comparison
    from mien.evaluation.comparison import ENOUGH_LABELLED, compare, verdict
    from mien.evaluation.cross_dataset import check_labels
    from mien.evaluation.evaluate import classify
    from mien.train.adapt import fit_on_labelled
    from mien.train.session import KerasSession

    check_labels(card)
    before, after = (
        classify(KerasSession(model, card), faces.crops) for model in (network, adapted)
    )
    comparison = compare(card, before, after, faces.emotion)
    print_comparison(comparison)
    typer.echo(verdict(comparison))
    fitted = fit_on_labelled(card, after, faces.emotion)
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
    return replace(card, confidence=fitted)
