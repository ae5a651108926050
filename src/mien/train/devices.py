"""Training on several devices of one machine, each with its share of every batch.

The shares' gradients are summed and all devices take the same step, so that a run on two of
them follows one on one device up to batch normalisation, whose statistics are those of a share.

Source:
    Goyal et al., "Accurate, Large Minibatch SGD", 2017, which normalises by shares too.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError

__all__ = ["Devices", "MirroredDevices", "OneDevice", "open_devices"]


class Devices(Protocol):
    """Where a network lives and takes its steps."""

    def scope(self) -> AbstractContextManager[Any]:
        """Build and compile the network inside it."""
        ...

    def step(self, model: keras.Model, batch: Any) -> dict[str, float]:
        """Take one training step on ``(crops, targets, weights)``; return what was measured."""
        ...

    def predict(self, model: keras.Model, crops: NDArray[np.float32]) -> dict[str, Any]:
        """Return the network's outputs for a batch, a row for each crop."""
        ...

    def ask(self, teacher: keras.Model, crops: NDArray[np.float32]) -> dict[str, Any]:
        """The same, as quickly as a step multiplies."""
        ...


def open_devices(count: int, batch_size: int, precision: str = "float32") -> Devices:
    """Return ``count`` graphics cards, or TensorFlow's logical processors if there are none.

    Args:
        precision: ``bfloat16`` for :class:`OneDevice` to multiply in it.

    Raises:
        ConfigError: there are not so many, the batch cannot be shared out evenly, or Keras
            does not run on TensorFlow; or bfloat16 is asked for and it does not run on torch.
    """
    if precision == "bfloat16" and (keras.backend.backend() != "torch" or count > 1):
        raise ConfigError(
            "the recipe's precision is bfloat16, which is for one device of Keras' torch back "
            "end: pip install torch and set KERAS_BACKEND=torch, or set precision to float32"
        )
    if count == 1:
        return OneDevice(precision)
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"{count} devices are for Keras' TensorFlow back end, this is "
            f"{keras.backend.backend()}: unset KERAS_BACKEND, or train on one device"
        )
    if count < 1 or batch_size % count:
        raise ConfigError(
            f"a batch of {batch_size} cannot be shared out evenly among {count} devices: "
            "choose a batch_size that can"
        )
    import tensorflow as tf

    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(names) < count:
        raise ConfigError(f"{count} devices are asked for, TensorFlow sees {len(names)} {kind}")
    return MirroredDevices(_strategy(tuple(names[:count])))


@cache
def _strategy(names: tuple[str, ...]) -> Any:
    """Return the process's one strategy: two would number their sums alike and meet in them."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names)


class OneDevice:
    """The back end's own choice.

    With ``bfloat16``, on torch, steps convolve and multiply in it and keep weights, their
    gradients and normalisation's statistics in float32; evaluation stays in float32. Processors
    with AMX are much quicker at it (``benchmarks/train_step.py``).
    """

    def __init__(self, precision: str = "float32") -> None:
        self.precision = precision

    def scope(self) -> AbstractContextManager[Any]:
        """See :class:`Devices`."""
        return nullcontext()

    def step(self, model: keras.Model, batch: Any) -> dict[str, float]:
        """See :class:`Devices`."""
        crops, targets, weights = batch
        with self._multiplying():
            measured = model.train_on_batch(crops, targets, sample_weight=weights, return_dict=True)
        return {name: float(value) for name, value in measured.items()}

    def predict(self, model: keras.Model, crops: NDArray[np.float32]) -> dict[str, Any]:
        """See :class:`Devices`."""
        outputs: dict[str, Any] = model.predict_on_batch(crops)
        return outputs

    def ask(self, teacher: keras.Model, crops: NDArray[np.float32]) -> dict[str, Any]:
        """See :class:`Devices`."""
        with self._multiplying():
            return self.predict(teacher, crops)

    def _multiplying(self) -> AbstractContextManager[Any]:
        if self.precision == "float32":
            return nullcontext()
        import torch

        return torch.autocast("cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16)


class MirroredDevices:
    """A copy of the network on every device of a ``tf.distribute.MirroredStrategy``."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy

    def scope(self) -> AbstractContextManager[Any]:
        """See :class:`Devices`."""
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def step(self, model: keras.Model, batch: Any) -> dict[str, float]:
        """See :class:`Devices`."""
        import tensorflow as tf

        count = self._strategy.num_replicas_in_sync

        def share(context: Any) -> Any:
            number = context.replica_id_in_sync_group
            return tf.nest.map_structure(
                lambda rows: tf.convert_to_tensor(
                    rows[number * len(rows) // count : (number + 1) * len(rows) // count]
                ),
                batch,
            )

        # What train_on_batch does, which would give the whole batch to every device.
        model.make_train_function()
        model.reset_metrics()
        shares = self._strategy.experimental_distribute_values_from_function(share)
        return {name: float(value) for name, value in model.train_function(iter([shares])).items()}

    def predict(self, model: keras.Model, crops: NDArray[np.float32]) -> dict[str, Any]:
        """See :class:`Devices`."""
        # Every device reads the whole batch, and Keras joins their answers.
        outputs = model.predict_on_batch(crops)
        return {name: rows[: len(crops)] for name, rows in outputs.items()}

    def ask(self, teacher: keras.Model, crops: NDArray[np.float32]) -> dict[str, Any]:
        """See :class:`Devices`."""
        return self.predict(teacher, crops)
