"""Glance: mien's own network, a residual net made for small grey faces and plain CPUs.

``glance_54m`` is the one that ships: 1.89 M parameters, 52 M multiply-adds. The others are what
it came from, and what was tried. A stride-2 stem, because a 24 x 24 map already
holds what a 48 x 48 face shows; dense 3 x 3 convolutions, because a CPU runs them near its
peak and depthwise ones at a tenth; no block at the large map, where a block costs the most
time for the fewest weights.

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

__all__ = ["build", "build_deeper", "build_even", "build_first", "build_opinion", "build_wider"]

#: Filters and number of blocks of the stages at 24, 12, 6 and 3 pixels a side.
_GLANCE = ((32, 0), (64, 2), (128, 2), (256, 1))
_FIRST = ((32, 1), (64, 2), (128, 2), (256, 1))
_DEEPER = ((32, 0), (64, 3), (128, 3), (256, 1))
_WIDER = ((48, 0), (96, 2), (192, 2), (384, 1))
_FERPLUS_CLASSES = 8


def build(options: NetOptions) -> keras.Model:
    """Build the network: raw crops (N, 48, 48, 1) to 7 and 8 probabilities."""
    return _build("glance", _GLANCE, options)


def build_even(options: NetOptions) -> keras.Model:
    """Build ``glance_53m``, which shrinks its maps evenly.

    A 3 x 3 kernel at every second pixel reads an even map off its middle, and aliases: a crop
    moved by one pixel, or mirrored, is read at other places. A 4 x 4 kernel lies in the middle
    of four pixels, and has room to smooth; the way around a block takes their mean.

    Source:
        Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019; the mean in
        the shortcut: He et al., "Bag of Tricks", CVPR 2019 (ResNet-D).
    """
    return _build("glance_53m", _GLANCE, options, even=True)


def build_opinion(options: NetOptions) -> keras.Model:
    """Build ``glance_54m``: ``glance_53m`` with a third head, ``second_opinion``.

    The head imitates a network that was trained on other faces (``experiments/training``).
    """
    return _build("glance_54m", _GLANCE, options, even=True, opinion=True)


def build_first(options: NetOptions) -> keras.Model:
    """Build ``glance_57m``, which has a block at 24 x 24 more: where Glance's weights begin."""
    return _build("glance_57m", _FIRST, options)


def build_deeper(options: NetOptions) -> keras.Model:
    """Build ``glance_67m``, which has a block more at 12 x 12 and at 6 x 6.

    A run that starts with Glance's weights starts with its answers, too: both blocks change
    nothing at first, since their last normalisation begins at zero.
    """
    return _build("glance_67m", _DEEPER, options)


def build_wider(options: NetOptions) -> keras.Model:
    """Build ``glance_104m``, half as wide again as Glance: a teacher, not made to be shipped."""
    return _build("glance_104m", _WIDER, options)


def _build(
    name: str,
    stages: tuple[tuple[int, int], ...],
    options: NetOptions,
    *,
    even: bool = False,
    opinion: bool = False,
) -> keras.Model:
    inputs = options.input
    x = layers.Rescaling(1 / 64, offset=-2.0)(inputs)
    x = conv(x, stages[0][0], 4 if even else 3, options, stride=2, name="stem_conv")
    x = layers.ReLU()(norm(x, options, name="stem_norm"))
    for stage, (filters, blocks) in enumerate(stages, 1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(x, f"stage{stage}_block{block}", filters, stride, options, even=even)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.3 * options.dropout)(x)
    outputs = [
        head(x, "emotion", len(EMOTIONS), options),
        head(x, "ferplus", _FERPLUS_CLASSES, options),
    ]
    if opinion:
        outputs.append(head(x, "second_opinion", len(EMOTIONS), options))
    return keras.Model(inputs, outputs, name=name)


def _block(
    x: keras.KerasTensor,
    name: str,
    filters: int,
    stride: int,
    options: NetOptions,
    *,
    even: bool,
) -> keras.KerasTensor:
    shortcut = x
    shrinks_evenly = even and stride != 1
    y = conv(x, filters, 4 if shrinks_evenly else 3, options, stride=stride, name=f"{name}_conv1")
    y = layers.ReLU()(norm(y, options, name=f"{name}_norm1"))
    y = conv(y, filters, 3, options, name=f"{name}_conv2")
    y = norm(y, options, gamma="zeros", name=f"{name}_norm2")
    if stride != 1 or x.shape[-1] != filters:
        if shrinks_evenly:
            shortcut, stride = layers.AveragePooling2D(2, padding="same")(x), 1
        shortcut = conv(shortcut, filters, 1, options, stride=stride, name=f"{name}_shortcut_conv")
        shortcut = norm(shortcut, options, name=f"{name}_shortcut_norm")
    return layers.ReLU()(layers.Add()([y, shortcut]))
