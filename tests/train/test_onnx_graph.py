from __future__ import annotations

from collections import Counter
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest

from mien.card import ModelCard
from mien.runtime import OnnxSession
from mien.train.onnx_graph import write_onnx

if keras.backend.backend() != "tensorflow":
    pytest.skip("graphs are written by way of TensorFlow", allow_module_level=True)

CARD = ModelCard(name="small", version="0")


def network(rescaling: keras.layers.Layer | None, *, strides: int, bias: bool) -> keras.Model:
    """Build a small network, "same" padding included, that gives logits."""
    keras.utils.set_random_seed(0)
    source = keras.Input((48, 48, 1))
    x = source if rescaling is None else rescaling(source)
    x = keras.layers.Conv2D(4, 3, strides=strides, padding="same", use_bias=False)(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    logits = keras.layers.Dense(7, bias_initializer="normal" if bias else "zeros")(x)
    return keras.Model(source, {"emotion": logits})


@pytest.mark.parametrize(
    ("scale", "offset", "strides", "zero_point"),
    [
        (None, 0.0, 1, None),
        (1 / 255, 0.0, 1, 0),
        (1 / 64, -2.0, 1, 128),
        (1 / 64, -2.0, 2, 128),  # pads on one side only
        (1 / 127.5, -1.0, 2, None),  # 127.5 is no level of 8 bits
        (1 / 64, 1.0, 1, None),  # nor is -64
    ],
)
def test_pixels_are_taken_as_levels_where_that_is_exact(
    tmp_path: Path, scale: float | None, offset: float, strides: int, zero_point: int | None
) -> None:
    rescaling = None if scale is None else keras.layers.Rescaling(scale, offset)
    model = network(rescaling, strides=strides, bias=strides == 1)
    path = tmp_path / "small.onnx"

    write_onnx(model, path)

    graph = onnx.load(path).graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    kinds = Counter(node.op_type for node in graph.node)
    levels = [node for node in graph.node if node.op_type == "DequantizeLinear"]
    assert [int(constants[node.input[2]]) for node in levels] == (
        [] if zero_point is None else [zero_point]
    )
    assert kinds["Cast"] == (zero_point is None)
    assert kinds["Mul"] + kinds["Add"] == (0 if zero_point is not None or scale is None else 2)
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8

    crops = np.random.default_rng(0).integers(0, 256, (9, 48, 48, 1), np.uint8)
    crops[0], crops[1] = 0, 255
    expected = model.predict_on_batch(crops.astype(np.float32))["emotion"]
    found = OnnxSession(path, CARD)(crops)["emotion"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_rest_is_what_has_integer_kernels(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"

    write_onnx(network(keras.layers.Rescaling(1 / 64, -2.0), strides=2, bias=True), path)

    assert [node.op_type for node in onnx.load(path).graph.node] == [
        *("Reshape", "DequantizeLinear", "Conv", "Relu"),
        *("GlobalAveragePool", "Flatten", "Gemm"),
    ]
