"""Train on one and on two logical processors, which only a fresh process can have.

python -m tests.train.devices_child FOLDER
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import keras
import tensorflow as tf

from mien.data import load
from mien.train import fit as training
from mien.train.nets.parts import NetOptions, conv, head, norm
from mien.train.recipes import Recipe


def small_net(_: str, options: NetOptions) -> keras.Model:
    """Build a network that is traced in a second.

    With dropout it has what the real ones have; without, nothing that two devices may do in
    another way than one.
    """
    source = options.input
    x = keras.layers.Rescaling(1 / 255)(source)
    x = conv(x, 8, 3, options, stride=4)
    x = norm(x, options) if options.dropout else x
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    x = keras.layers.Dropout(0.5 * options.dropout)(x)
    return keras.Model(source, head(x, "emotion", 7, options))


def recipe(**training_part: object) -> Recipe:
    return Recipe.model_validate(
        {
            "model": {"architecture": "mini_xception", "dropout": training_part.pop("dropout", 0)},
            "training": {
                "batch_size": 16,
                "epochs": 1,
                "warmup_epochs": 0,
                "learning_rate": 0.01,
                "optimiser": "sgd",
                "validation_split": 0.2,
                **training_part,
            },
        }
    )


class Stopped(Exception):
    pass


def main(folder: Path) -> None:
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        processor, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    training.nets.build = small_net
    dataset = load(folder / "fer2013.csv", None, cache_dir=folder / "cache")
    outcomes: list[object] = []
    for devices in (1, 2):
        losses: list[float] = []
        (row,) = training.fit(
            recipe(),
            dataset,
            folder / str(devices),
            devices=devices,
            on_step=lambda now, losses=losses: losses.append(now.loss),
        )
        outcomes.append({"steps": losses, "held_out": row.held_out_loss})

    def stop(_: object) -> None:
        raise Stopped

    # with dropout, whose random state is one of its own on each device
    settings = recipe(dropout=1.0, epochs=2)
    try:
        training.fit(settings, dataset, folder / "stopped", devices=2, on_epoch=stop)
    except Stopped:
        log = training.fit(settings, dataset, folder / "stopped", devices=2, resume=True)
        outcomes.append([asdict(row) for row in log])
    (folder / "losses.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
