"""The folder of a training run: what lies in it, written whole or not at all.

recipe.yaml      what was asked for
data.json        what it was trained on: number of rows, fingerprint
origins.json     the weights that it began with and its teachers, by hash
log.csv          a row an epoch
curves.png       the same, drawn
checkpoint.npz   everything that an exact continuation needs
best.npz         the weights that did best on the held-out rows
last.npz         the weights after the last epoch
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.card import sha256_of
from mien.data import Dataset
from mien.errors import ConfigError, ModelError, TrainingError
from mien.files import atomic_write
from mien.train.recipes import Recipe, load_recipe

if TYPE_CHECKING:
    import keras

__all__ = [
    "EpochLog",
    "Origins",
    "check_same_data",
    "load_arrays",
    "open_folder",
    "read_log",
    "read_origins",
    "save_arrays",
    "trained_model",
    "write_curves",
    "write_log",
]


@dataclass(frozen=True)
class EpochLog:
    """One row of ``log.csv``; the accuracies are parts of 1.

    Attributes:
        accuracy: how often the likeliest label is the target's, which teachers have a part in:
            on the augmented training pictures, while the weights changed.
        held_out_accuracy: of the evaluated (averaged) weights, on pictures of the size
            trained on; NaN if nothing is held out.
        held_out_loss: cross-entropy in nats, the same.
        seconds: for the epoch, evaluation included.
    """

    epoch: int
    loss: float
    accuracy: float
    held_out_accuracy: float
    held_out_loss: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Origins:
    """The models that a run builds on, by SHA-256: what it began with, and its teachers."""

    start: str | None = None
    teachers: tuple[str, ...] = ()

    @classmethod
    def of(cls, start: Path | None, teachers: Sequence[Path]) -> Origins:
        """Hash the files.

        Raises:
            ModelError: one of them is not there.
        """
        for path in (*([start] if start else []), *teachers):
            if not path.is_file():
                raise ModelError(f"{path}: there is no such model file; check the path")
        return cls(sha256_of(start) if start else None, tuple(sha256_of(path) for path in teachers))


def check_folder(
    run_dir: Path,
    recipe: Recipe,
    dataset: Dataset,
    origins: Origins = Origins(),
    *,
    resume: bool,
) -> bool:
    """Make sure that a run may begin in a folder, or the one in it be continued.

    Returns:
        Whether there is a run in it.

    Raises:
        ConfigError: the folder holds a run and ``resume`` is off, or the recipe, the start
            or the teachers differ.
        TrainingError: the run was trained on other data.
    """
    stored = run_dir / "recipe.yaml"
    if not stored.exists():
        return False
    if not resume:
        raise ConfigError(
            f"{run_dir} already holds a run: continue it with --resume, or choose another folder"
        )
    if load_recipe(stored) != recipe:
        raise ConfigError(
            f"the recipe differs from the one in {stored}: a run is continued "
            "with the recipe it began with"
        )
    if read_origins(run_dir) != origins:
        raise ConfigError(
            f"the run in {run_dir} began with other weights or teachers: "
            "give the same --start and --teacher"
        )
    check_same_data(run_dir, dataset)
    return True


def open_folder(
    run_dir: Path,
    recipe: Recipe,
    dataset: Dataset,
    origins: Origins = Origins(),
    *,
    resume: bool,
) -> None:
    """Write down in a folder what a new run is; :func:`check_folder` comes before.

    Raises:
        ConfigError, TrainingError: as :func:`check_folder`.
    """
    if check_folder(run_dir, recipe, dataset, origins, resume=resume):
        return
    with atomic_write(run_dir / "data.json") as temporary:
        temporary.write_text(json.dumps(_described(dataset)) + "\n", encoding="utf-8")
    with atomic_write(run_dir / "origins.json") as temporary:
        temporary.write_text(json.dumps(asdict(origins)) + "\n", encoding="utf-8")
    # The recipe comes last: a folder that has one is a whole run folder.
    with atomic_write(run_dir / "recipe.yaml") as temporary:
        temporary.write_text(recipe.to_yaml(), encoding="utf-8")


def check_same_data(run_dir: Path, dataset: Dataset) -> None:
    """Make sure that the data is what the run was trained on, so that held-out rows are.

    Raises:
        TrainingError: it is not.
    """
    path = run_dir / "data.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != _described(dataset):
        raise TrainingError(
            f"this is not the data that the run in {run_dir} was trained on: "
            "give the same --data and --votes"
        )


def trained_model(run_dir: Path) -> keras.Model:
    """Build the network of a finished or stopped run with the weights the run is for.

    Raises:
        ConfigError: there is no run.
        TrainingError: the run has not finished an epoch, or its weights are damaged.
    """
    from mien.train import nets

    recipe = load_recipe(run_dir / "recipe.yaml")
    path = run_dir / f"{recipe.training.keep}.npz"
    if not path.is_file():
        raise TrainingError(f"{run_dir} holds no trained weights yet: no {path.name}")
    model = nets.build(recipe.model.architecture)
    arrays = load_arrays(path)
    try:
        nets.logits_of(model).set_weights([arrays[f"w{index}"] for index in range(len(arrays))])
    except (KeyError, ValueError) as error:
        raise TrainingError(f"{path} does not fit the network: {error}") from None
    return model


def save_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write an ``.npz``."""
    with atomic_write(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]  # of names that are not its own


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read an ``.npz``.

    Raises:
        TrainingError: it is damaged.
    """
    try:
        # opened here, since numpy leaves a damaged file open
        with path.open("rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} is damaged ({error}): begin a new run") from None


def read_log(run_dir: Path) -> list[EpochLog]:
    """Read ``log.csv``."""
    with (run_dir / "log.csv").open(newline="", encoding="utf-8") as file:
        return [
            EpochLog(int(row.pop("epoch")), **{name: float(value) for name, value in row.items()})
            for row in csv.DictReader(file)
        ]


def write_log(run_dir: Path, log: Sequence[EpochLog]) -> None:
    """Write ``log.csv``."""
    path = run_dir / "log.csv"
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochLog)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in log)


def write_curves(run_dir: Path, log: Sequence[EpochLog]) -> None:
    """Draw accuracy and learning rate over the epochs into ``curves.png``."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    epochs = [row.epoch for row in log]
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    marker = "o" if len(log) == 1 else None
    accuracies = {
        "training, augmented": ([row.accuracy for row in log], "#c9905a"),
        "held out": ([row.held_out_accuracy for row in log], "#2f6f9f"),
    }
    for label, (values, colour) in accuracies.items():
        upper.plot(epochs, values, label=label, color=colour, marker=marker)
    rates = [row.learning_rate for row in log]
    lower.plot(epochs, rates, color="#6b7780", marker=marker)
    upper.set_ylabel("accuracy")
    upper.yaxis.set_major_formatter(PercentFormatter(1))
    upper.legend(frameon=False, loc="lower right")
    lower.set(xlabel="epoch", ylabel="learning rate", ylim=(0, None))
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (upper, lower):
        axes.grid(color="#c9d1d8", linewidth=0.6, alpha=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_write(run_dir / "curves.png") as temporary:
        figure.savefig(temporary)


def read_origins(run_dir: Path) -> Origins:
    """Return what a run builds on; nothing where its folder does not say."""
    path = run_dir / "origins.json"
    if not path.is_file():
        return Origins()
    content = json.loads(path.read_text(encoding="utf-8"))
    return Origins(content["start"], tuple(content["teachers"]))


def _described(dataset: Dataset) -> dict[str, Any]:
    return {"rows": len(dataset), "fingerprint": dataset.fingerprint()}
