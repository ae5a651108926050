"""``mien train``: train a network on FER2013."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

import mien
from mien.cli.training_tools import Data, SkipBad, Votes, load_data, needs_train, status, steps_bar

if TYPE_CHECKING:
    from mien.data import Dataset
    from mien.train.fit import Progress
    from mien.train.recipes import Recipe
    from mien.train.runs import EpochLog

__all__ = ["train"]

_CONFIG = Path("config.yaml")
_SHEET_ROWS = 8
#: Found by their files: to import the package takes seconds, and `--help` should not.
_RECIPES = sorted(file.stem for file in (Path(mien.__file__).parent / "train").glob("*/*.yaml"))


def train(
    data: Data = None,
    votes: Votes = None,
    config: Annotated[
        Path | None,
        typer.Option(help="A YAML file of settings.", show_default="config.yaml, if there is one"),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help=f"A recipe that ships with mien: {', '.join(_RECIPES)}.", metavar="NAME"),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the run.", show_default="runs/<architecture>"),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Begin with the weights of this file.", metavar="FILE.keras"),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(
            help="Learn from this trained model too, as much as the recipe's teacher_weight "
            "says; may be given several times.",
            metavar="MODEL",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run from its last whole epoch.")
    ] = False,
    devices: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Graphics cards that share every batch; TensorFlow only."
        ),
    ] = 1,
    epochs: Annotated[int | None, typer.Option(help="Instead of the settings' own.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the settings' own.")] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print the network and its cost, and stop.")
    ] = False,
    show_augmentation: Annotated[
        Path | None,
        typer.Option(help="Save a sheet of augmented pictures, and stop.", metavar="PNG"),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Train a network on FER2013, and on FER+ votes where the recipe says so.

    A run that was stopped, by Ctrl-C or by force, goes on with --resume and ends with the
    same numbers. KERAS_BACKEND=torch trains with PyTorch instead of TensorFlow.

    **Examples**

        mien train --data fer2013.csv

        mien train --recipe glance-57m --data fer2013.csv.gz --votes fer2013new.csv

        mien train --resume --run runs/glance_57m --data fer2013.csv.gz --votes fer2013new.csv

        mien train --recipe glance --start glance-57m.keras --teacher glance-57m.keras
        --data fer2013.csv.gz --votes fer2013new.csv

        mien train --recipe glance --summary
    """
    with needs_train():
        settings = _settings(config, recipe, run if resume else None, epochs, seed)
        run_dir = run or Path("runs") / settings.model.architecture
        if summary:
            _print_summary(settings)
        elif show_augmentation:
            _save_sheet(settings, load_data(data, votes, skip_bad=skip_bad), show_augmentation)
        else:
            dataset = load_data(data, votes, skip_bad=skip_bad)
            origins = _Origins(start, tuple(teacher or ()))
            again = _command(data, votes, run_dir, origins, devices, skip_bad=skip_bad)
            _train(settings, dataset, run_dir, origins, devices, resume=resume, again=again)


def _settings(
    config: Path | None,
    recipe: str | None,
    resumed: Path | None,
    epochs: int | None,
    seed: int | None,
) -> Recipe:
    """Find the settings: as named, else those of the run continued, else config.yaml."""
    from mien.errors import ConfigError
    from mien.train.recipes import Recipe, load_recipe, named

    if config and recipe:
        raise ConfigError("--config and --recipe both given: choose one")
    if recipe:
        chosen = named(recipe)
    elif config:
        chosen = load_recipe(config)
    elif resumed and (resumed / "recipe.yaml").is_file():
        chosen = load_recipe(resumed / "recipe.yaml")
    else:
        chosen = load_recipe(_CONFIG) if _CONFIG.is_file() else Recipe()
    return chosen.with_training(epochs=epochs, seed=seed)


class _Origins(NamedTuple):
    start: Path | None
    teachers: tuple[Path, ...]


def _train(
    settings: Recipe,
    dataset: Dataset,
    run_dir: Path,
    origins: _Origins,
    devices: int,
    *,
    resume: bool,
    again: str,
) -> None:
    from mien.train.fit import fit

    with steps_bar() as progress:
        task = progress.add_task("starting", total=None)

        def on_step(now: Progress) -> None:
            progress.update(
                task,
                description=f"epoch {now.epoch}/{now.epochs}  loss {now.loss:.3f}",
                completed=(now.epoch - 1) * now.steps + now.step,
                total=now.epochs * now.steps,
            )

        def on_epoch(row: EpochLog) -> None:
            progress.console.print(
                f"epoch {row.epoch:3}  loss {row.loss:.4f}  training {row.accuracy:.1%}  "
                f"held out {row.held_out_accuracy:.1%}  {row.seconds:.0f} s",
                highlight=False,
            )

        try:
            fit(
                settings,
                dataset,
                run_dir,
                start=origins.start,
                teachers=origins.teachers,
                resume=resume,
                devices=devices,
                on_step=on_step,
                on_epoch=on_epoch,
            )
        except KeyboardInterrupt:
            progress.stop()
            status.print(f"\nStopped. Go on with:\n  {again}", highlight=False, soft_wrap=True)
            raise typer.Exit(130) from None
    status.print(
        f"The run is in {run_dir}. Next: mien export {run_dir} --data ...", highlight=False
    )


def _print_summary(settings: Recipe) -> None:
    from mien.train import nets

    model = nets.build(settings.model.architecture)
    model.summary()
    cost = nets.summarise(model)
    typer.echo(
        f"{settings.model.architecture}: {cost.parameters:,} parameters, "
        f"{cost.multiply_adds:,} multiply-adds for one 48 x 48 crop"
    )


def _save_sheet(settings: Recipe, dataset: Dataset, path: Path) -> None:
    import numpy as np
    from PIL import Image

    from mien.train.augment import contact_sheet

    generator = np.random.default_rng(settings.training.seed)
    rows = generator.permutation(dataset.rows("Training"))[:_SHEET_ROWS]
    sheet = contact_sheet(dataset.crops[rows], settings.preprocessing.augment_by(), generator)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)
    status.print(f"{path}: each row is one picture and augmented variants of it", highlight=False)


def _command(
    data: Path | None,
    votes: Path | None,
    run_dir: Path,
    origins: _Origins,
    devices: int,
    *,
    skip_bad: bool,
) -> str:
    """Return the command line that continues this run."""
    parts = ["mien", "train", "--resume", "--run", str(run_dir), "--data", str(data)]
    parts += ["--votes", str(votes)] if votes else []
    parts += ["--start", str(origins.start)] if origins.start else []
    for path in origins.teachers:
        parts += ["--teacher", str(path)]
    parts += ["--devices", str(devices)] if devices > 1 else []
    parts += ["--skip-bad"] if skip_bad else []
    backend = os.environ.get("KERAS_BACKEND")
    return (f"KERAS_BACKEND={backend} " if backend else "") + shlex.join(parts)
