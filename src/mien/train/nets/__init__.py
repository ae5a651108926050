"""The networks, one file each, all of one form.

``build(name)`` returns a functional Keras model that takes raw grey crops, float 0-255,
(N, 48, 48, 1), and gives one softmax per head. Normalisation is its first layer, so that
no caller can get it wrong. :func:`logits_of` cuts the softmax off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from mien.errors import ConfigError
from mien.train.nets import glance, mini_xception, standard_cnn
from mien.train.nets.parts import NetOptions

__all__ = [
    "FEATURES",
    "HEADS",
    "NETS",
    "NetOptions",
    "Summary",
    "build",
    "in_training_form",
    "logits_of",
    "summarise",
    "with_features",
]

#: Every network by the name that recipes use.
NETS: dict[str, Callable[[NetOptions], keras.Model]] = {
    "glance": glance.build,
    "glance_53m": glance.build_even,
    "glance_54m": glance.build_opinion,
    "glance_57m": glance.build_first,
    "glance_67m": glance.build_deeper,
    "glance_104m": glance.build_wider,
    "mini_xception": mini_xception.build,
    "standard_cnn": standard_cnn.build,
}

#: Heads that a network may have: the layer ``<head>_logits`` and the softmax ``<head>``.
HEADS = ("emotion", "ferplus", "second_opinion")

#: The output of an exported graph that is not a head.
FEATURES = "features"


def build(name: str, options: NetOptions | None = None) -> keras.Model:
    """Build a network with fresh weights.

    Raises:
        ConfigError: there is no network of that name.
    """
    if name not in NETS:
        raise ConfigError(f"no network '{name}': choose one of {', '.join(NETS)}")
    options = options or NetOptions()
    model = NETS[name](options)
    if options.direct:
        for layer in model.layers:  # or each would cast maps of bfloat16 back to float32
            layer.autocast = False
    return model


def logits_of(model: keras.Model) -> keras.Model:
    """Return the same network, weights shared, giving ``{head: logits}``."""
    present = {layer.name for layer in model.layers}
    outputs = {
        head: model.get_layer(f"{head}_logits").output
        for head in HEADS
        if f"{head}_logits" in present
    }
    return keras.Model(model.input, outputs, name=model.name)


def with_features(model: keras.Model) -> keras.Model:
    """Return the same network, weights shared, giving ``{head: logits}`` and its features.

    Features are what every head reads: the input of the first layer after the trunk, without
    dropout, float32 (N, F), under the name :data:`FEATURES`.
    """
    logits = logits_of(model)
    trunk = logits.get_layer(f"{next(iter(logits.output))}_logits").input
    for layer in reversed(model.layers):
        if isinstance(layer, keras.layers.Dropout) and layer.output is trunk:
            trunk = layer.input
    return keras.Model(model.input, {**logits.output, FEATURES: trunk}, name=model.name)


def in_training_form(model: keras.Model) -> keras.Model:
    """Return a network of :data:`NETS` as :func:`logits_of` it, with layers that run faster.

    The weights are copies, and height and width are open. A network of another name comes
    back with its own layers.
    """
    if model.name not in NETS:
        return logits_of(model)
    fast = logits_of(build(model.name, NetOptions(any_size=True, direct=True)))
    fast.set_weights(logits_of(model).get_weights())
    return fast


@dataclass(frozen=True)
class Summary:
    """What a network costs.

    Attributes:
        parameters: all weights, batch normalisation's moving averages included.
        multiply_adds: of convolutions and dense layers, for one 48 x 48 crop.
    """

    parameters: int
    multiply_adds: int


def summarise(model: keras.Model) -> Summary:
    """Count parameters and multiply-adds."""
    return Summary(model.count_params(), sum(_multiply_adds(layer) for layer in model.layers))


def _multiply_adds(layer: keras.Layer) -> int:
    if isinstance(layer, keras.layers.Dense):
        return int(layer.kernel.shape[0] * layer.kernel.shape[1])
    kernels = [
        getattr(layer, name).shape
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel")
        if getattr(layer, name, None) is not None
    ]
    if not kernels or len(layer.output.shape) != 4:
        return 0
    _, height, width, _ = layer.output.shape
    return sum(int(height * width * a * b * c * d) for a, b, c, d in kernels)
