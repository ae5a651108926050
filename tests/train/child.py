"""What the tests let another process do, on either back end: train, be killed, go on.

python -m tests.train.child train-and-be-killed FOLDER
python -m tests.train.child go-on FOLDER
python -m tests.train.child compare-normalisations FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np

from mien.train import fit as training
from mien.train.data import Dataset, load
from mien.train.nets.parts import FusedBatchNormalization
from mien.train.recipes import Recipe

#: Small pictures first, two heads, dropout, averaging: whatever has a state is in it.
RECIPE = Recipe.model_validate(
    {
        "model": {"architecture": "glance"},
        "training": {
            "batch_size": 16,
            "epochs": 3,
            "optimiser": "sgd",
            "learning_rate": 0.05,
            "warmup_epochs": 1,
            "validation_split": 0.2,
            "ferplus_weight": 1.0,
            "ema": 0.9,
            "small_px": 24,
            "small_epochs": 1,
        },
    }
)


def drawn(folder: Path) -> Dataset:
    return load(folder / "fer2013.csv", folder / "fer2013new.csv", cache_dir=folder / "cache")


def train_and_be_killed(folder: Path) -> None:
    """Train one run to its end, and kill this process in the second epoch of another."""
    dataset = drawn(folder)
    training.fit(RECIPE, dataset, folder / "whole")

    def kill(now: training.Progress) -> None:
        if (now.epoch, now.step) == (2, 2):
            os.kill(os.getpid(), signal.SIGKILL)

    training.fit(RECIPE, dataset, folder / "killed", on_step=kill)


def go_on(folder: Path) -> None:
    """Finish the run that was killed."""
    training.fit(RECIPE, drawn(folder), folder / "killed", resume=True)


def compare_normalisations(folder: Path) -> None:
    """Write the largest differences between the fused layer and Keras' own."""
    generator = np.random.default_rng(0)
    shape = (8, 5, 6, 4)
    pictures = generator.normal(3, 2, shape).astype(np.float32)
    upstream = generator.normal(0, 1, shape).astype(np.float32)
    own, fused = (
        _through(layer(momentum=0.9, epsilon=1e-5), pictures, upstream)
        for layer in (keras.layers.BatchNormalization, FusedBatchNormalization)
    )
    rows = np.prod(shape[:3])
    own["moving_variance"] = 0.9 + (own["moving_variance"] - 0.9) * rows / (rows - 1)
    differences = {name: float(np.abs(own[name] - fused[name]).max()) for name in own}
    (folder / "differences.txt").write_text(repr(differences))


def _through(
    layer: keras.layers.BatchNormalization, pictures: np.ndarray, upstream: np.ndarray
) -> dict[str, np.ndarray]:
    """Return outputs, gradients and moving statistics of one training step."""
    layer.build(pictures.shape)
    layer.gamma.assign([0.5, 1.0, 1.5, 2.0])
    layer.beta.assign([0.1, -0.2, 0.3, 0.0])
    if keras.backend.backend() == "torch":
        import torch

        source = torch.tensor(pictures, requires_grad=True)
        output = layer(source, training=True)
        (output * torch.tensor(upstream)).sum().backward()
        gradients = [source.grad, layer.gamma.value.grad, layer.beta.value.grad]
    else:
        import tensorflow as tf

        source = tf.constant(pictures)
        with tf.GradientTape() as tape:
            tape.watch(source)
            output = layer(source, training=True)
            loss = tf.reduce_sum(output * upstream)
        gradients = tape.gradient(loss, [source, layer.gamma.value, layer.beta.value])
    numbers = {
        "output": output,
        "moving_mean": layer.moving_mean,
        "moving_variance": layer.moving_variance,
        "inference": layer(pictures, training=False),
    }
    numbers |= dict(zip(("d_input", "d_gamma", "d_beta"), gradients, strict=True))
    return {name: keras.ops.convert_to_numpy(value) for name, value in numbers.items()}


if __name__ == "__main__":
    actions = {
        "train-and-be-killed": train_and_be_killed,
        "go-on": go_on,
        "compare-normalisations": compare_normalisations,
    }
    *names, path = sys.argv[1:]
    for name in names:
        actions[name](Path(path))
