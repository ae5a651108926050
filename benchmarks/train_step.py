"""Time one training step: Keras' own layers, those of ``mien.train.nets``, and bfloat16.

    KERAS_BACKEND=torch python benchmarks/train_step.py glance
    KERAS_BACKEND=tensorflow python benchmarks/train_step.py glance

The variants take turns, so that a noisy machine hurts all alike; prints the median step of
each in milliseconds, and its ratio to Keras' own. In bfloat16 with torch only.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import keras
import numpy as np

from mien.train import nets
from mien.train.devices import OneDevice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture", nargs="?", default="glance", choices=nets.NETS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()

    variants = {
        "plain": (_compiled(options.architecture, direct=False), OneDevice()),
        "direct": (_compiled(options.architecture, direct=True), OneDevice()),
    }
    if keras.backend.backend() == "torch":
        variants["bfloat16, torch's own gradients"] = (
            variants["direct"][0],
            _TorchAlone("bfloat16"),
        )
        variants["bfloat16"] = (variants["direct"][0], OneDevice("bfloat16"))
    generator = np.random.default_rng(0)
    crops = generator.integers(0, 256, (options.batch, 48, 48, 1)).astype(np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for step in range(options.steps + 2):
        for name, (model, device) in variants.items():
            targets = {
                head: keras.utils.to_categorical(
                    generator.integers(0, output.shape[-1], options.batch), output.shape[-1]
                )
                for head, output in model.output.items()
            }
            weights = dict.fromkeys(targets, np.ones(options.batch, np.float32))
            begin = time.perf_counter()
            device.step(model, (crops, targets, weights))
            if step >= 2:  # the first steps trace graphs and fill caches
                seconds[name].append(time.perf_counter() - begin)
    medians = {name: statistics.median(seconds[name]) * 1000 for name in variants}
    print(f"{keras.backend.backend()}, {options.architecture}, batch {options.batch}:")
    for name, median in medians.items():
        print(f"{name} {median:.0f} ms, ratio {median / medians['plain']:.2f}")


class _TorchAlone(OneDevice):
    """Leaves the gradients of small maps' kernels to torch."""

    def step(self, model: keras.Model, batch: Any) -> dict[str, float]:
        from mien.train.nets import torch_conv

        small_px, torch_conv.SMALL_PX = torch_conv.SMALL_PX, 0
        try:
            return super().step(model, batch)
        finally:
            torch_conv.SMALL_PX = small_px


def _compiled(architecture: str, *, direct: bool) -> keras.Model:
    model = nets.logits_of(nets.build(architecture, nets.NetOptions(direct=direct)))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        loss=dict.fromkeys(model.output, loss),
    )
    return model


if __name__ == "__main__":
    main()
