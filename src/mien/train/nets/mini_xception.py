"""Mini-Xception, drawn exactly as the reference document draws it.

The document says 3.8 M parameters; its own layer list comes to 0.90 M.

Source:
    Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017;
    Arriaga et al., "Real-time Convolutional Neural Networks for Emotion and Gender
    Classification", 2017.
"""

from __future__ import annotations

import keras
from keras import layers

from mien.train.nets.parts import NetOptions, conv, head, max_pool, norm, separable
from mien.types import EMOTIONS

__all__ = ["build"]


def build(options: NetOptions) -> keras.Model:
    """Build the network: raw crops (N, 48, 48, 1) to seven probabilities."""
    inputs = options.input
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (32, 64):
        x = layers.ReLU()(norm(conv(x, filters, 3, options), options))
    for filters in (128, 256, 512):
        residual = conv(x, filters, 1, options, stride=2, normalised=False)
        x = layers.ReLU()(norm(separable(x, filters, options), options))
        x = separable(x, filters, options)
        x = max_pool(x, 3, options, padding="same")
        x = layers.Add()([x, residual])
    x = layers.GlobalAveragePooling2D()(x)
    for units, rate in ((256, 0.5), (128, 0.3)):
        x = layers.Dense(units, activation="relu", kernel_regularizer=options.regulariser)(x)
        x = layers.Dropout(rate * options.dropout)(x)
    return keras.Model(inputs, head(x, "emotion", len(EMOTIONS), options), name="mini_xception")
