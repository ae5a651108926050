"""The reference document's alternative: four VGG-like blocks, 5.5 M parameters.

Source:
    Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", ICLR 2015; batch normalisation and global average pooling came later.
"""

from __future__ import annotations

import keras
from keras import layers

from mien.train.nets.parts import NetOptions, conv, head, max_pool, norm
from mien.types import EMOTIONS

__all__ = ["build"]


def build(options: NetOptions) -> keras.Model:
    """Build the network: raw crops (N, 48, 48, 1) to seven probabilities."""
    inputs = options.input
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (64, 128, 256, 512):
        for _ in range(2):
            x = layers.ReLU()(norm(conv(x, filters, 3, options), options))
        x = max_pool(x, 2, options)
        x = layers.Dropout(0.25 * options.dropout)(x)
    x = layers.GlobalAveragePooling2D()(x)
    for units, rate in ((1024, 0.5), (256, 0.5)):
        x = layers.Dense(units, activation="relu", kernel_regularizer=options.regulariser)(x)
        x = layers.Dropout(rate * options.dropout)(x)
    return keras.Model(inputs, head(x, "emotion", len(EMOTIONS), options), name="standard_cnn")
