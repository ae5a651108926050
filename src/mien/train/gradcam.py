"""Grad-CAM: what a Keras network's label rests on, by one pass back instead of many forward.

Source:
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017. The map is taken at the last feature maps, as there: Glance's
    have 3 x 3 pixels, so it tells the rough place only. Earlier ones are finer, and name
    worse places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling, fromarray

from mien.calibration import softmax
from mien.card import ModelCard
from mien.errors import ConfigError
from mien.explain import Explanation, Heatmap, column_of, cover, region_of
from mien.runtime import check_crops
from mien.train.nets import logits_of
from mien.types import Crops

__all__ = ["GradCam"]


class GradCam:
    """Explains readings of a Keras network, on its TensorFlow and torch back ends.

    Args:
        model: of :mod:`mien.train.nets`' form.
        card: its card.
        head: the head that is explained; the card's default one if ``None``.
        layer: whose feature maps are weighed; the last that has any if ``None``.

    Raises:
        ConfigError: there is no such layer, or Keras runs on another back end.
    """

    def __init__(
        self,
        model: keras.Model,
        card: ModelCard,
        layer: str | None = None,
        *,
        head: str | None = None,
    ) -> None:
        if keras.backend.backend() not in _BACK_ENDS:
            raise ConfigError(
                f"Grad-CAM needs Keras on {' or '.join(_BACK_ENDS)}, not on "
                f"{keras.backend.backend()}: set KERAS_BACKEND"
            )
        self.card = card
        self.layer = _last(model) if layer is None else _named(model, layer)
        self._head = card.head(head)
        name = card.default_head if head is None else head
        outputs = [self.layer.output, logits_of(model).output[name]]
        self._model = keras.Model(model.input, outputs)

    def __call__(self, crops: Crops, label: str | None = None) -> tuple[Explanation, ...]:
        """Explain the label of each crop; see :func:`mien.explain.explain`."""
        check_crops(crops, self.card)
        column = None if label is None else column_of(label, self.card.name, self._head.labels)
        return tuple(self._explain(crops[at : at + 1], column) for at in range(len(crops)))

    def _explain(self, crop: Crops, column: int | None) -> Explanation:
        shares = self._shares(crop)
        column = int(shares.argmax()) if column is None else column
        features, slopes = _BACK_ENDS[keras.backend.backend()](self._model, crop, column)
        heatmap = _heatmap(features, slopes, (crop.shape[1], crop.shape[2]))
        region = region_of(heatmap)
        hidden = self._shares(cover(crop, region))[column]
        return Explanation(
            self._head.labels[column], float(shares[column]), heatmap, region, float(hidden)
        )

    def _shares(self, crop: Crops) -> NDArray[np.float64]:
        logits = self._model.predict_on_batch(crop.astype(np.float32))[1]
        return softmax(np.asarray(logits, np.float32), self._head.calibration.temperature)[0]


def _heatmap(
    features: NDArray[np.float32], slopes: NDArray[np.float32], size_hw: tuple[int, int]
) -> Heatmap:
    """Return the features (h, w, channels), weighed by their mean slopes, 0 to 1 and enlarged."""
    weighed = np.maximum(features @ slopes.mean(axis=(0, 1)), 0)
    enlarged = fromarray(np.float32(weighed)).resize(size_hw[::-1], Resampling.BICUBIC)
    heatmap = np.maximum(np.asarray(enlarged), 0)
    return np.asarray(heatmap / max(float(heatmap.max()), np.finfo(np.float32).tiny), np.float32)


_Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def _by_tensorflow(model: keras.Model, crop: Crops, column: int) -> _Pair:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        features, logits = model(tf.constant(crop, tf.float32), training=False)
        score = logits[0, column]
    return features[0].numpy(), tape.gradient(score, features)[0].numpy()


def _by_torch(model: keras.Model, crop: Crops, column: int) -> _Pair:
    import torch

    features, logits = model(keras.ops.convert_to_tensor(crop, "float32"), training=False)
    (slopes,) = torch.autograd.grad(logits[0, column], features)
    return features[0].detach().cpu().numpy(), slopes[0].cpu().numpy()


# Features (h, w, channels) of a crop, and the slopes of a column's logit by them.
_BACK_ENDS: dict[str, Callable[[keras.Model, Crops, int], _Pair]] = {
    "tensorflow": _by_tensorflow,
    "torch": _by_torch,
}


def _last(model: keras.Model) -> Any:
    found = _with_maps(model)
    if not found:
        raise ConfigError(f"the network {model.name} has no feature maps for Grad-CAM")
    return found[-1]


def _named(model: keras.Model, name: str) -> Any:
    for layer in _with_maps(model):
        if layer.name == name:
            return layer
    raise ConfigError(f"the network {model.name} has no layer '{name}' with feature maps")


def _with_maps(model: keras.Model) -> list[Any]:
    """Return the layers whose output is smaller than the crop, but has a height and a width."""
    shapes = ((layer, layer.output.shape) for layer in model.layers)
    return [
        layer for layer, shape in shapes if len(shape) == 4 and shape[1:3] != model.input.shape[1:3]
    ]
