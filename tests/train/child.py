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

from mien.data import Dataset, load
from mien.train import fit as training
from mien.train.nets.parts import (
    DirectConv2D,
    DirectMaxPooling2D,
    DirectSeparableConv2D,
    FusedBatchNormalization,
)
from mien.train.recipes import Recipe

#: Small pictures first, two heads, dropout, mixing, averaging: whatever has a state is in it.
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
            "mixup": 0.2,
            "cutmix": 1.0,
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


def compare_precisions(folder: Path) -> None:
    """Write the losses of one run in float32 and of one in bfloat16, and the latter's weights."""
    log = {}
    for precision in ("float32", "bfloat16"):
        recipe = RECIPE.with_training(epochs=2).to_dict()
        recipe["training"]["precision"] = precision
        settings = Recipe.model_validate(recipe)
        log[precision] = [
            (row.loss, row.held_out_loss)
            for row in training.fit(settings, drawn(folder), folder / precision)
        ]
    (folder / "precisions.txt").write_text(repr(log))


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


def compare_direct_layers(folder: Path) -> None:
    """Write, for each kind and stride, the largest differences from Keras' own layer."""
    generator = np.random.default_rng(0)
    layers = keras.layers
    differences = {}
    for own, direct in (
        (layers.Conv2D, DirectConv2D),
        (layers.SeparableConv2D, DirectSeparableConv2D),
    ):
        for shape in ((2, 8, 8, 3), (2, 7, 10, 3)):
            for stride in (1, 2):
                pair = [
                    layer(5, 3, strides=stride, padding="same", use_bias=False)
                    for layer in (own, direct)
                ]
                for layer in pair:
                    layer.build(shape)
                pair[1].set_weights(pair[0].get_weights())
                pictures = generator.normal(0, 1, shape).astype(np.float32)
                upstream = generator.normal(0, 1, pair[0].compute_output_shape(shape))
                a, b = (_gradients(layer, pictures, upstream.astype(np.float32)) for layer in pair)
                differences[own.__name__, shape, stride] = max(
                    float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True)
                )
    for shape in ((2, 8, 8, 3), (2, 7, 10, 3)):
        for size, padding in ((2, "valid"), (3, "valid"), (2, "same"), (3, "same"), (5, "same")):
            pair = [
                layer(size, strides=2, padding=padding)
                for layer in (layers.MaxPooling2D, DirectMaxPooling2D)
            ]
            pictures = generator.normal(0, 1, shape).astype(np.float32)
            upstream = generator.normal(0, 1, pair[0].compute_output_shape(shape))
            a, b = (_gradients(layer, pictures, upstream.astype(np.float32)) for layer in pair)
            differences[f"MaxPooling2D {size} {padding}", shape, 2] = max(
                float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True)
            )
    (folder / "direct_layers.txt").write_text(repr(differences))


def _through(
    layer: keras.layers.BatchNormalization, pictures: np.ndarray, upstream: np.ndarray
) -> dict[str, np.ndarray]:
    """Return outputs, gradients and moving statistics of one training step."""
    layer.build(pictures.shape)
    layer.gamma.assign([0.5, 1.0, 1.5, 2.0])
    layer.beta.assign([0.1, -0.2, 0.3, 0.0])
    names = ("output", "d_input", "d_gamma", "d_beta")
    numbers = dict(zip(names, _gradients(layer, pictures, upstream, training=True), strict=True))
    return numbers | {
        "moving_mean": keras.ops.convert_to_numpy(layer.moving_mean),
        "moving_variance": keras.ops.convert_to_numpy(layer.moving_variance),
        "inference": keras.ops.convert_to_numpy(layer(pictures, training=False)),
    }


def _gradients(
    layer: keras.Layer, pictures: np.ndarray, upstream: np.ndarray, **call: bool
) -> list[np.ndarray]:
    """Return the output, and the gradients of the input and of every weight trained."""
    weights = [variable.value for variable in layer.trainable_variables]
    if keras.backend.backend() == "torch":
        import torch

        source = torch.tensor(pictures, requires_grad=True)
        output = layer(source, **call)
        (output * torch.tensor(upstream)).sum().backward()
        gradients = [source.grad, *(weight.grad for weight in weights)]
    else:
        import tensorflow as tf

        source = tf.constant(pictures)
        with tf.GradientTape() as tape:
            tape.watch(source)
            output = layer(source, **call)
            loss = tf.reduce_sum(output * upstream)
        gradients = tape.gradient(loss, [source, *weights])
    return [keras.ops.convert_to_numpy(value) for value in (output, *gradients)]


if __name__ == "__main__":
    actions = {
        "train-and-be-killed": train_and_be_killed,
        "go-on": go_on,
        "compare-direct-layers": compare_direct_layers,
        "compare-normalisations": compare_normalisations,
        "compare-precisions": compare_precisions,
    }
    *names, path = sys.argv[1:]
    for name in names:
        actions[name](Path(path))
