"""Glance: mien's own network, a residual net made for small grey faces and plain CPUs.

1.60 M parameters, 56 M multiply-adds. A stride-2 stem, because a 24 x 24 map already
holds what a 48 x 48 face shows; dense 3 x 3 convolutions, because a CPU runs them at half
of its peak and depthwise ones at a tenth; one block only at the large map, where a block
costs the most time for the fewest weights.

Two heads stand on one trunk: ``emotion``, the 7 labels of FER2013, and ``ferplus``, the 8
categories of FER+. The votes behind the second are far cleaner than the labels behind the
first, and the trunk learns from both.

Source:
    He et al., "Deep Residual Learning", CVPR 2016; last normalisation of a block starting
    at zero: Goyal et al., "Accurate, Large Minibatch SGD", 2017.
"""

from __future__ import annotations

import keras
from keras import layers

from mien.train.nets.parts import NetOptions, conv, head, norm
from mien.types import EMOTIONS

__all__ = ["build"]

#: Filters and number of blocks; every stage but the first halves the map.
_STAGES = ((32, 1), (64, 2), (128, 2), (256, 1))
_FERPLUS_CLASSES = 8


def build(options: NetOptions) -> keras.Model:
    """Build the network: raw crops (N, 48, 48, 1) to 7 and 8 probabilities."""
    inputs = options.input
    x = layers.Rescaling(1 / 64, offset=-2.0)(inputs)
    x = layers.ReLU()(norm(conv(x, _STAGES[0][0], 3, options, stride=2), options))
    for stage, (filters, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            x = _block(x, filters, 2 if stage > 0 and block == 0 else 1, options)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3 * options.dropout)(x)
    outputs = [
        head(x, "emotion", len(EMOTIONS), options),
        head(x, "ferplus", _FERPLUS_CLASSES, options),
    ]
    return keras.Model(inputs, outputs, name="glance")


def _block(
    x: keras.KerasTensor, filters: int, stride: int, options: NetOptions
) -> keras.KerasTensor:
    shortcut = x
    y = layers.ReLU()(norm(conv(x, filters, 3, options, stride=stride), options))
    y = norm(conv(y, filters, 3, options), options, gamma="zeros")
    if stride != 1 or x.shape[-1] != filters:
        shortcut = norm(conv(x, filters, 1, options, stride=stride), options)
    return layers.ReLU()(layers.Add()([y, shortcut]))
