"""One training run, readable in one sitting.

A run lives in a folder: ``recipe.yaml``, ``log.csv`` (a row an epoch), ``curves.png``,
``checkpoint.npz`` (everything that an exact continuation needs), ``best.npz`` and
``last.npz`` (weights alone). Files are written beside and renamed, so that a run killed at
any moment continues from its last whole epoch and ends with the same numbers.

Works on Keras' TensorFlow and torch back ends alike.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, TrainingError
from mien.train import nets
from mien.train.augment import augment
from mien.train.data import Dataset, hold_out, vote_distribution
from mien.train.nets.parts import FusedBatchNormalization
from mien.train.recipes import Recipe, TrainingPart, load_recipe
from mien.types import EMOTIONS

__all__ = ["EpochLog", "Progress", "fit", "learning_rate_at", "read_log", "trained_model"]

Weights = list[NDArray[Any]]

_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class EpochLog:
    """One row of ``log.csv``; the accuracies are parts of 1.

    Attributes:
        accuracy: on the augmented training pictures, while the weights changed.
        held_out_accuracy: of the evaluated (averaged) weights; NaN if nothing is held out.
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
class Progress:
    """Where a run stands, as given to ``on_step``; epochs and steps count from 1."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float


def fit(
    recipe: Recipe,
    dataset: Dataset,
    run_dir: Path,
    *,
    resume: bool = False,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[EpochLog], None] = lambda log: None,
) -> list[EpochLog]:
    """Train by ``recipe`` on the Training rows of ``dataset``.

    Args:
        run_dir: where the run lives; made if it does not exist.
        resume: continue the run in ``run_dir`` instead of refusing to overwrite it.
        on_step: called after every step, ``on_epoch`` after every epoch.

    Returns:
        The log, one row an epoch.

    Raises:
        ConfigError: the folder holds a run and ``resume`` is off, or the recipe differs.
        TrainingError: the loss is no longer a number, or memory ran out.
    """
    _prepare_folder(recipe, run_dir, resume)
    run = _Run(recipe, dataset, run_dir)
    log = run.restore() if resume else []
    try:
        for epoch in range(len(log), recipe.training.epochs):
            row = run.one_epoch(epoch, on_step)
            log.append(row)
            _write_log(run_dir / "log.csv", log)
            run.save(log)
            on_epoch(row)
    except MemoryError:
        raise TrainingError(_no_memory(recipe)) from None
    except Exception as error:  # each back end has its own exception for a full memory
        if "memory" in str(error).lower() or "exhausted" in type(error).__name__.lower():
            raise TrainingError(_no_memory(recipe)) from error
        raise
    return log


def trained_model(run_dir: Path) -> keras.Model:
    """Build the network of a finished or stopped run with the weights the run is for.

    Raises:
        TrainingError: the run has not finished an epoch.
    """
    recipe = load_recipe(run_dir / "recipe.yaml")
    path = run_dir / f"{recipe.training.keep}.npz"
    if not path.is_file():
        raise TrainingError(f"{run_dir} holds no trained weights yet: no {path.name}")
    model = nets.build(recipe.model.architecture)
    with np.load(path) as arrays:
        model.set_weights([arrays[f"w{index}"] for index in range(len(arrays.files))])
    return model


def learning_rate_at(position: float, training: TrainingPart) -> float:
    """Return the rate at ``position`` epochs: a linear warm-up, then a cosine to the minimum.

    Source:
        Loshchilov and Hutter, "SGDR", ICLR 2017; Goyal et al. 2017 for the warm-up.
    """
    if position < training.warmup_epochs:
        return training.learning_rate * max(position, 1e-3) / training.warmup_epochs
    part = (position - training.warmup_epochs) / (training.epochs - training.warmup_epochs)
    span = training.learning_rate - training.min_learning_rate
    return training.min_learning_rate + span * (1 + math.cos(math.pi * min(part, 1.0))) / 2


def read_log(path: Path) -> list[EpochLog]:
    """Read ``log.csv``."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            EpochLog(
                **{
                    field.name: (int if field.name == "epoch" else float)(row[field.name])
                    for field in fields(EpochLog)
                }
            )
            for row in csv.DictReader(file)
        ]


class _Run:
    """The state of one run: network, optimiser, averaged weights, targets."""

    def __init__(self, recipe: Recipe, dataset: Dataset, run_dir: Path) -> None:
        training = recipe.training
        keras.utils.set_random_seed(training.seed)
        self.recipe, self.run_dir = recipe, run_dir
        self.rows, self.held_out = hold_out(dataset, training.validation_split, training.seed)
        self.dataset = dataset
        options = nets.NetOptions(
            dropout=recipe.model.dropout,
            l2=training.l2,
            any_size=training.small_epochs > 0,
            norm=FusedBatchNormalization,
        )
        self.full_model = nets.build(recipe.model.architecture, options)
        self.model = nets.logits_of(self.full_model)
        self.heads = tuple(self.model.output.keys())
        self.targets, self.weights = _targets(dataset, self.heads, training)
        self.optimiser = _optimiser(training)
        self.model.compile(
            self.optimiser,
            loss={
                head: keras.losses.CategoricalCrossentropy(
                    from_logits=True,
                    label_smoothing=training.label_smoothing if head == "emotion" else 0.0,
                )
                for head in self.heads
            },
            metrics={"emotion": [keras.metrics.CategoricalAccuracy(name="accuracy")]},
        )
        self.optimiser.build(self.model.trainable_variables)
        self.averaged = _copies(self.model.weights)
        self.steps_done = 0
        self.best = -1.0

    def one_epoch(self, epoch: int, on_step: Callable[[Progress], None]) -> EpochLog:
        training = self.recipe.training
        begin = time.monotonic()
        generator = np.random.default_rng([training.seed, epoch])
        order = generator.permutation(self.rows)
        # A last batch of a few rows would spoil batch normalisation's averages: leave it out.
        steps = max(len(order) // training.batch_size, 1)
        size_px = training.small_px if epoch < training.small_epochs else None
        how = self.recipe.preprocessing.augment_by()
        losses: list[float] = []
        accuracies: list[float] = []
        for step, rows in enumerate(islice(_batches(order, training.batch_size), steps)):
            rate = learning_rate_at(epoch + step / steps, training)
            self.optimiser.learning_rate.assign(rate)
            results = self.model.train_on_batch(
                augment(self.dataset.crops[rows], how, generator, size_px).astype(np.float32),
                {head: self.targets[head][rows] for head in self.heads},
                sample_weight={head: self.weights[head][rows] for head in self.heads},
                return_dict=True,
            )
            losses.append(float(results["loss"]))
            accuracies.append(
                float(next(results[key] for key in results if key.endswith("accuracy")))
            )
            if not math.isfinite(losses[-1]):
                raise TrainingError(
                    f"the loss is {losses[-1]} in epoch {epoch + 1}, step {step + 1}: lower "
                    f"learning_rate; the last whole epoch is kept in {self.run_dir}"
                )
            self._average()
            on_step(Progress(epoch + 1, training.epochs, step + 1, steps, losses[-1]))
        held_out_accuracy, held_out_loss = self._evaluate()
        return EpochLog(
            epoch=epoch + 1,
            loss=float(np.mean(losses)),
            accuracy=float(np.mean(accuracies)),
            held_out_accuracy=held_out_accuracy,
            held_out_loss=held_out_loss,
            learning_rate=rate,
            seconds=time.monotonic() - begin,
        )

    def save(self, log: list[EpochLog]) -> None:
        weights = _numbered("w", self.averaged)
        _save(self.run_dir / "last.npz", weights)
        score = log[-1].held_out_accuracy
        if not score <= self.best:  # also when nothing is held out and the score is NaN
            self.best = score
            _save(self.run_dir / "best.npz", weights)
        _plot(self.run_dir / "curves.png", log)
        _save(
            self.run_dir / "checkpoint.npz",
            {
                **_numbered("v", _copies(self._all())),
                **weights,
                "epochs": np.array(len(log)),
                "steps": np.array(self.steps_done),
                "best": np.array(self.best),
            },
        )

    def restore(self) -> list[EpochLog]:
        path = self.run_dir / "checkpoint.npz"
        if not path.is_file():
            return []
        with np.load(path) as arrays:
            for index, variable in enumerate(self._all()):
                variable.assign(arrays[f"v{index}"])
            self.averaged = [arrays[f"w{index}"] for index in range(len(self.averaged))]
            self.steps_done, self.best = int(arrays["steps"]), float(arrays["best"])
            epochs = int(arrays["epochs"])
        return read_log(self.run_dir / "log.csv")[:epochs]

    def _all(self) -> list[keras.Variable]:
        """Everything that changes while training, dropout's random state included."""
        seen = {id(v): v for v in (*self.model.variables, *self.optimiser.variables)}
        return list(seen.values())

    def _average(self) -> None:
        """Move the averaged weights on, batch statistics too; faster at the start.

        Source:
            the warm-up (1 + n) / (10 + n) is TensorFlow's ``ExponentialMovingAverage``.
        """
        self.steps_done += 1
        decay = min(self.recipe.training.ema, (1 + self.steps_done) / (10 + self.steps_done))
        for mean, variable in zip(self.averaged, self.model.weights, strict=True):
            mean *= decay
            mean += (1 - decay) * keras.ops.convert_to_numpy(variable)

    def _evaluate(self) -> tuple[float, float]:
        if len(self.held_out) == 0:
            return math.nan, math.nan
        current = _copies(self.model.weights)
        self.model.set_weights(self.averaged)
        crops = self.dataset.crops[self.held_out].astype(np.float32)
        logits = np.concatenate(
            [
                keras.ops.convert_to_numpy(self.model(batch, training=False)["emotion"])
                for batch in _batches(crops, _EVALUATION_BATCH)
            ]
        )
        self.model.set_weights(current)
        truth = self.dataset.emotion[self.held_out]
        shifted = logits - logits.max(axis=1, keepdims=True)
        chosen = shifted[np.arange(len(truth)), truth]
        loss = float((np.log(np.exp(shifted).sum(axis=1)) - chosen).mean())
        return float((logits.argmax(axis=1) == truth).mean()), loss


def _targets(
    dataset: Dataset, heads: tuple[str, ...], training: TrainingPart
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """Return soft targets and row weights for each head, over all rows of the data set."""
    one_hot = np.eye(len(EMOTIONS), dtype=np.float32)[dataset.emotion]
    weight = np.ones(len(dataset), np.float32)
    if training.class_weight == "balanced":
        counts = np.bincount(dataset.emotion[dataset.rows("Training")], minlength=len(EMOTIONS))
        share = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weight = share[dataset.emotion].astype(np.float32)
    targets, weights = {"emotion": one_hot}, {"emotion": weight}
    if "ferplus" in heads:
        if dataset.votes is None and training.ferplus_weight > 0:
            raise ConfigError(
                "the recipe trains on FER+ votes (ferplus_weight above 0): "
                "give --votes fer2013new.csv, or set ferplus_weight to 0"
            )
        votes = np.zeros((len(dataset), 10), np.float32) if dataset.votes is None else dataset.votes
        targets["ferplus"], usable = vote_distribution(votes)
        weights["ferplus"] = usable.astype(np.float32) * training.ferplus_weight
    return targets, weights


def _optimiser(training: TrainingPart) -> keras.optimizers.Optimizer:
    decay = training.weight_decay or None
    if training.optimiser == "adam":
        optimiser = keras.optimizers.Adam(
            training.learning_rate,
            beta_1=training.beta_1,
            beta_2=training.beta_2,
            weight_decay=decay,
        )
    else:
        optimiser = keras.optimizers.SGD(
            training.learning_rate,
            momentum=training.momentum,
            nesterov=training.momentum > 0,
            weight_decay=decay,
        )
    if decay:
        optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimiser


def _prepare_folder(recipe: Recipe, run_dir: Path, resume: bool) -> None:
    stored = run_dir / "recipe.yaml"
    if stored.exists():
        if not resume:
            raise ConfigError(
                f"{run_dir} already holds a run: continue it with --resume, "
                "or choose another folder"
            )
        if load_recipe(stored) != recipe:
            raise ConfigError(
                f"the recipe differs from the one in {stored}: a run is continued "
                "with the recipe it began with"
            )
    run_dir.mkdir(parents=True, exist_ok=True)
    stored.write_text(recipe.to_yaml(), encoding="utf-8")


def _batches(values: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _copies(variables: list[keras.Variable]) -> Weights:
    """Copy variables out; on torch, Keras' own ``get_weights`` shares their memory."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _numbered(prefix: str, arrays: Weights) -> dict[str, NDArray[Any]]:
    return {f"{prefix}{index}": array for index, array in enumerate(arrays)}


def _save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    with _replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _write_log(path: Path, log: list[EpochLog]) -> None:
    with _replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(EpochLog)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in log)


def _plot(path: Path, log: list[EpochLog]) -> None:
    from matplotlib.figure import Figure

    epochs = [row.epoch for row in log]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(epochs, [row.accuracy * 100 for row in log], label="training, augmented")
    axes.plot(epochs, [row.held_out_accuracy * 100 for row in log], label="held out")
    axes.set(xlabel="epoch", ylabel="accuracy in %")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    with _replacing(path) as beside:
        figure.savefig(beside, format="png", dpi=120)


def _no_memory(recipe: Recipe) -> str:
    return (
        f"memory ran out with batches of {recipe.training.batch_size}: "
        "lower batch_size and continue with --resume in a new run"
    )


class _replacing:
    """A path beside the real one, renamed onto it when the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path, self.beside = path, path.with_name(path.name + ".tmp")

    def __enter__(self) -> Path:
        return self.beside

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            os.replace(self.beside, self.path)
        else:
            self.beside.unlink(missing_ok=True)
