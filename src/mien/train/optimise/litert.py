"""A Keras network as a ``.tflite`` file, in the precisions that LiteRT has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.types import CROP_HW, Crops

__all__ = ["write_litert"]


def write_litert(
    logits_model: keras.Model, path: Path, precision: str, calibration: Crops | None = None
) -> None:
    """Write the network; any number of raw crops in, logits under the names of the heads out.

    Weights are quantised by output channel. ``benchmarks/quantisation.py`` compares this
    converter with ai-edge-quantizer.

    Args:
        logits_model: gives ``{head: logits}``.
        precision: ``float32``, ``float16``, ``dynamic`` or ``int8``.
        calibration: for ``int8`` alone, crops that show the range of every activation.

    Raises:
        ModelError: Keras runs on another back end than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            ".tflite files are written by way of TensorFlow: set KERAS_BACKEND=tensorflow"
        )
    import tensorflow as tf

    class Network(tf.Module):  # what holds the weights, so that they become constants
        def __init__(self) -> None:
            super().__init__()
            self.weights = [weight.value for weight in logits_model.variables]

        @tf.function(input_signature=[tf.TensorSpec((None, *CROP_HW, 1), tf.float32, "crops")])
        def __call__(self, crops):  # type: ignore[no-untyped-def]
            return logits_model(crops, training=False)

    network = Network()
    function = network.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.representative_dataset = lambda: _one_by_one(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    path.write_bytes(converter.convert())


def _one_by_one(crops: Crops) -> Iterator[list[NDArray[np.float32]]]:
    for crop in crops:
        yield [crop[None].astype(np.float32)]
