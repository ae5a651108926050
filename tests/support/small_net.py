"""A network of two small convolutions, for tests of what changes a Keras network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from mien.card import ModelCard, record_of, write_card
from mien.types import Crops


def small_net() -> keras.Model:
    """Build it with weights of its own, normalisation as if nothing had been seen yet."""
    keras.utils.set_random_seed(0)
    source = keras.Input((48, 48, 1), name="crops")
    x = keras.layers.Rescaling(1 / 255)(source)
    for layer, stride in ((1, 4), (2, 2)):
        x = keras.layers.Conv2D(4, 3, strides=stride, name=f"conv{layer}")(x)
        x = keras.layers.BatchNormalization(name=f"norm{layer}")(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(7, name="emotion_logits")(x)
    return keras.Model(source, keras.layers.Softmax(name="emotion")(x), name="small")


def write_small_net(path: Path) -> Path:
    """Save it with a card."""
    small_net().save(path)
    card = ModelCard(name="small", version="1", files={path.name: record_of(path)})
    write_card(card, path.with_name(f"{path.name}.card.json"))
    return path


def noise(count: int, *, light: float = 1.0, seed: int = 0) -> Crops:
    """Return crops in which nothing is to be seen."""
    generator = np.random.default_rng(seed)
    return (generator.integers(0, 256, (count, 48, 48, 1)) * light).astype(np.uint8)
