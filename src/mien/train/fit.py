"""One training run, readable in one sitting.

Killed at any moment, a run continues from its last whole epoch and ends with the same
numbers. What lies in its folder is told in :mod:`mien.train.runs`.

Works on Keras' TensorFlow and torch back ends alike.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from mien.card import sha256_of
from mien.data import Dataset, hold_out
from mien.errors import ConfigError, ModelError, TrainingError
from mien.evaluation.metrics import accuracy_and_loss
from mien.train import nets, runs
from mien.train.augment import augment
from mien.train.devices import Devices, open_devices
from mien.train.distill import Watching, blend
from mien.train.mix import Batch, mix
from mien.train.pool import Voters
from mien.train.recipes import Recipe, TrainingPart
from mien.train.runs import EpochLog
from mien.train.session import KerasSession, load_network
from mien.train.targets import learned_from
from mien.types import Crops

__all__ = ["Progress", "fit", "learning_rate_at"]

_Arrays = list[NDArray[Any]]

_EVALUATION_BATCH = 256
_LEAST_SHARED = 0.5  # of the weights; unnamed layers of two networks may agree by accident


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
    start: Path | None = None,
    teachers: Sequence[Path] = (),
    resume: bool = False,
    devices: int = 1,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[EpochLog], None] = lambda log: None,
) -> list[EpochLog]:
    """Train by ``recipe`` on the Training rows of ``dataset``.

    Args:
        run_dir: where the run lives; made if it does not exist.
        start: a ``.keras`` file of the recipe's network whose weights to begin with; fresh
            ones if ``None``.
        teachers: model files whose probabilities ``teacher_weight`` of the targets are.
        resume: continue the run in ``run_dir`` instead of refusing to overwrite it.
        devices: that share every batch; see :mod:`mien.train.devices`.
        on_step: called after every step, ``on_epoch`` after every epoch.

    Returns:
        The log, one row an epoch.

    Raises:
        ConfigError: the folder holds a run and ``resume`` is off, the recipe, the start or
            the teachers differ, the recipe wants a teacher and there is none, or the devices
            are not there.
        ModelError: ``start`` or a teacher is no usable model.
        TrainingError: the loss is no longer a number, memory ran out, or the checkpoint
            cannot be continued.
    """
    if bool(teachers) != (recipe.training.teacher_weight > 0):
        raise ConfigError(
            "the recipe's teacher_weight is above 0: name a trained model with --teacher"
            if recipe.training.teacher_weight > 0
            else "a teacher is given, but the recipe's teacher_weight is 0: set it, 0.5 for one"
        )
    training = recipe.training
    opened = open_devices(devices, training.batch_size, training.precision)
    origins = runs.Origins.of(start, teachers)
    runs.check_folder(run_dir, recipe, dataset, origins, resume=resume)
    with opened.scope():
        run = _Run(recipe, dataset, run_dir, start, teachers, opened)
    runs.open_folder(run_dir, recipe, dataset, origins, resume=resume)
    log = run.restore() if resume else []
    try:
        for epoch in range(len(log), recipe.training.epochs):
            log.append(run.one_epoch(epoch, on_step))
            run.save(log)
            on_epoch(log[-1])
    except Exception as error:  # each back end has its own exception for a full memory
        if not _is_full_memory(error):
            raise
        raise TrainingError(
            f"memory ran out with batches of {recipe.training.batch_size}: lower batch_size, "
            f"which makes it a new run; the last whole epoch is kept in {run_dir}"
        ) from error
    return log


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


class _Run:
    """The state of one run: network, optimiser, averaged weights, targets."""

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        run_dir: Path,
        start: Path | None,
        teachers: Sequence[Path],
        devices: Devices,
    ) -> None:
        training = recipe.training
        self.devices = devices
        keras.utils.set_random_seed(training.seed)
        self.recipe, self.dataset, self.run_dir = recipe, dataset, run_dir
        self.rows, self.held_out = hold_out(dataset, training.validation_split, training.seed)
        options = nets.NetOptions(
            dropout=recipe.model.dropout,
            l2=training.l2,
            any_size=training.small_epochs > 0,
            direct=True,
        )
        self.model = nets.logits_of(nets.build(recipe.model.architecture, options))
        if start is not None:
            _begin_with(self.model, start)
        # A run that goes on from another one should not see its very pictures again.
        self.stream = [training.seed, int(sha256_of(start)[:8], 16) if start else 0]
        self.heads = tuple(self.model.output)
        self.targets, self.weights = learned_from(
            dataset, self.heads, training, teachers, self.rows, self.held_out
        )
        watching = bool(teachers) and training.teacher_sees == "augmented"
        self.watching = Watching(teachers, self.heads, devices) if watching else None
        self.voters = (
            Voters.beside(self._teachers_say, dataset, self.rows, self.held_out)
            if watching and training.teacher_votes
            else None
        )
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
            jit_compile=False,  # XLA made a step 2 to 10 times slower on the CPU
        )
        self.optimiser.build(self.model.trainable_variables)
        self.averaged = _copies(self.model.weights)
        self.steps_done = 0
        self.best = -1.0
        self.traced_px = 0

    def one_epoch(self, epoch: int, on_step: Callable[[Progress], None]) -> EpochLog:
        training = self.recipe.training
        begin = time.monotonic()
        # Dropout draws from torch's global state, which no checkpoint holds: seed each epoch.
        keras.utils.set_random_seed(training.seed + epoch)
        size_px = self._size_px(epoch)
        self._trace_for(size_px)
        generator = np.random.default_rng([*self.stream, epoch])
        # A last batch of a few rows would spoil batch normalisation's averages: leave it out.
        order = generator.permutation(self.rows)
        steps = max(len(order) // training.batch_size, 1)
        batches = _batches(order[: steps * training.batch_size], training.batch_size)
        losses, accuracies, rate = [], [], 0.0
        for step, rows in enumerate(batches):
            rate = learning_rate_at(epoch + step / steps, training)
            loss, accuracy = self._one_step(rows, rate, size_px, generator)
            losses.append(loss)
            accuracies.append(accuracy)
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} in epoch {epoch + 1}, step {step + 1}: lower "
                    f"learning_rate; the last whole epoch is kept in {self.run_dir}"
                )
            on_step(Progress(epoch + 1, training.epochs, step + 1, steps, loss))
        held_out_accuracy, held_out_loss = self._evaluate(size_px)
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
        """Write everything that changed; the checkpoint last, since it says what counts."""
        epochs, score = len(log), log[-1].held_out_accuracy
        weights = _numbered("w", self.averaged)
        runs.write_log(self.run_dir, log)
        runs.write_curves(self.run_dir, log)
        runs.save_arrays(self.run_dir / "last.npz", weights)
        # Accuracies on small pictures do not compare with those on whole ones.
        small = epochs <= self.recipe.training.small_epochs
        if small or not score <= self.best:  # also when nothing is held out and it is NaN
            self.best = self.best if small else score
            runs.save_arrays(self.run_dir / "best.npz", weights)
        checkpoint = {
            **_numbered("v", _copies(self._changing())),
            **weights,
            "epochs": np.array(epochs),
            "steps": np.array(self.steps_done),
            "best": np.array(self.best),
            "backend": np.array(keras.backend.backend()),
        }
        runs.save_arrays(self.run_dir / "checkpoint.npz", checkpoint)

    def restore(self) -> list[EpochLog]:
        """Take up the state of the last whole epoch; none yet is a fresh start."""
        path = self.run_dir / "checkpoint.npz"
        if not path.is_file():
            return []
        arrays = runs.load_arrays(path)
        backend = str(arrays.get("backend", keras.backend.backend()))
        if backend != keras.backend.backend():
            raise TrainingError(
                f"{self.run_dir} was trained with {backend}: continue it with "
                f"KERAS_BACKEND={backend}, or begin a new run"
            )
        for index, variable in enumerate(self._changing()):
            variable.assign(arrays[f"v{index}"])
        self.averaged = [arrays[f"w{index}"] for index in range(len(self.averaged))]
        self.steps_done, self.best = int(arrays["steps"]), float(arrays["best"])
        return runs.read_log(self.run_dir)[: int(arrays["epochs"])]

    def _one_step(
        self, rows: NDArray[np.int64], rate: float, size_px: int, generator: np.random.Generator
    ) -> tuple[float, float]:
        how = self.recipe.preprocessing.augment_by()
        crops = augment(self.dataset.crops[rows], how, generator, size_px)
        targets = {head: self.targets[head][rows] for head in self.heads}
        weights = {head: self.weights[head][rows] for head in self.heads}
        if self.voters:  # mixed as the labels are
            targets["voters"], weights["voters"] = self.voters.opinion[rows], weights["emotion"]
        training = self.recipe.training
        batch = Batch(crops.astype(np.float32), targets, weights)
        batch = mix(batch, training.mixup, training.cutmix, generator)
        if self.watching:
            said = self.watching(batch.crops, generator if training.teacher_strays else None)
            if self.voters:
                voters, _ = batch.targets.pop("voters"), batch.weights.pop("voters")
                said["emotion"] = self.voters.pooled_with(said["emotion"], voters)
            batch = batch._replace(targets=blend(batch.targets, said, training.teacher_weight))
        self.optimiser.learning_rate.assign(rate)
        results = self.devices.step(self.model, tuple(batch))
        self._average()
        accuracy = next(value for name, value in results.items() if name.endswith("accuracy"))
        return results["loss"], accuracy

    def _teachers_say(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.watching is not None
        parts = [self.watching(batch)["emotion"] for batch in _batches(crops, _EVALUATION_BATCH)]
        return np.concatenate(parts)

    def _trace_for(self, size_px: int) -> None:
        """Begin a graph of its own for each size of pictures.

        TensorFlow would make one graph for all sizes of the first that it meets, and the
        last digits then depend on where a run was taken up.
        """
        if size_px != self.traced_px:
            self.model.make_train_function(force=True)
            self.model.make_predict_function(force=True)
            self.traced_px = size_px

    def _size_px(self, epoch: int) -> int:
        training = self.recipe.training
        whole_px = self.dataset.crops.shape[1]
        return training.small_px if epoch < training.small_epochs else whole_px

    def _changing(self) -> list[keras.Variable]:
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

    def _evaluate(self, size_px: int) -> tuple[float, float]:
        """Judge the averaged weights, at the size trained on: another one tells little."""
        if len(self.held_out) == 0:
            return math.nan, math.nan
        current = _copies(self.model.weights)
        self.model.set_weights(self.averaged)
        crops = _resized(self.dataset.crops[self.held_out], size_px)
        logits = [
            self.devices.predict(self.model, batch.astype(np.float32))["emotion"]
            for batch in _batches(crops, _EVALUATION_BATCH)
        ]
        self.model.set_weights(current)
        return accuracy_and_loss(np.concatenate(logits), self.dataset.emotion[self.held_out])


def _begin_with(model: keras.Model, start: Path) -> None:
    """Take over a network's weights: all in order, or each layer that both have by name and shape.

    A kernel of 3 x 3 pixels begins one of 4 x 4 as the mean of its four places in it: the
    answers are others at first, and come back in the first epochs.

    Keras numbers layers without a name through a whole process, so that the same network
    may have other names next time; their order stays.
    """
    found = KerasSession(*load_network(start)).weights()
    layers = [layer for layer in model.layers if layer.weights]
    if [_shapes(layer.weights) for layer in layers] == [_shapes(w) for w in found.values()]:
        found = dict(zip((layer.name for layer in layers), found.values(), strict=True))
    taken = 0
    for layer in layers:
        weights = _grown(found.get(layer.name, []), _shapes(layer.weights))
        if _shapes(weights) == _shapes(layer.weights):
            layer.set_weights(weights)
            taken += layer.count_params()
    if taken < _LEAST_SHARED * model.count_params():
        raise ModelError(
            f"{start} is not a start for {model.name}: they have {taken:,} of "
            f"{model.count_params():,} weights in common, by name and shape of their layers"
        )


def _grown(
    weights: list[NDArray[np.float32]], shapes: list[tuple[int, ...]]
) -> list[NDArray[np.float32]]:
    if len(weights) != 1 or [w.shape[:2] for w in weights] != [(3, 3)]:
        return weights
    (kernel,) = weights
    if shapes != [(4, 4, *kernel.shape[2:])]:
        return weights
    places = [
        ((top, 1 - top), (left, 1 - left), (0, 0), (0, 0)) for top in (0, 1) for left in (0, 1)
    ]
    return [np.mean([np.pad(kernel, place) for place in places], axis=0, dtype=np.float32)]


def _shapes(weights: Sequence[NDArray[np.float32] | keras.Variable]) -> list[tuple[int, ...]]:
    return [tuple(w.shape) for w in weights]


def _optimiser(training: TrainingPart) -> keras.optimizers.Optimizer:
    decay = training.weight_decay or None
    optimiser = (
        keras.optimizers.Adam(
            training.learning_rate,
            beta_1=training.beta_1,
            beta_2=training.beta_2,
            weight_decay=decay,
        )
        if training.optimiser == "adam"
        else keras.optimizers.SGD(
            training.learning_rate,
            momentum=training.momentum,
            nesterov=training.momentum > 0,
            weight_decay=decay,
        )
    )
    if decay:
        optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimiser


def _is_full_memory(error: Exception) -> bool:
    return (
        isinstance(error, MemoryError)
        or "ResourceExhausted" in type(error).__name__
        or "OutOfMemory" in type(error).__name__
        or "allocate memory" in str(error)
    )


def _resized(crops: Crops, size_px: int) -> Crops:
    if crops.shape[1] == size_px:
        return crops
    return np.stack([cv2.resize(crop, (size_px, size_px))[..., None] for crop in crops])


def _batches(values: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _copies(variables: list[keras.Variable]) -> _Arrays:
    """Copy variables out; on torch, Keras' own ``get_weights`` shares their memory."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _numbered(prefix: str, arrays: _Arrays) -> dict[str, NDArray[Any]]:
    return {f"{prefix}{index}": array for index, array in enumerate(arrays)}
