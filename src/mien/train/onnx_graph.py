"""A Keras network as an ONNX graph: raw uint8 crops in, the logits of every head out.

Batch normalisation and constants are folded, and the names are ours: ``crops`` in, one
output named after each head. Needs Keras' TensorFlow back end.
"""

from __future__ import annotations

import re
from pathlib import Path

import keras
import onnx
from onnx import version_converter

from mien.errors import ModelError
from mien.train.files import replacing
from mien.types import CROP_HW

__all__ = ["OPSET", "write_onnx"]

#: What ONNX Runtime 1.20, the oldest that mien takes, reads at most.
OPSET = 21
_TF2ONNX_OPSET = 18  # the newest that it writes
_IR_VERSION = 10


def write_onnx(logits_model: keras.Model, path: Path) -> None:
    """Write the network; ``logits_model`` gives ``{head: logits}``.

    Raises:
        ModelError: Keras runs on another back end than TensorFlow, or the graph is not
            valid ONNX.
    """
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            "ONNX files are written by way of TensorFlow: set KERAS_BACKEND=tensorflow"
        )
    graph = _tidy(version_converter.convert_version(_convert(logits_model), OPSET))
    try:
        onnx.checker.check_model(graph, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the graph written is not valid ONNX: {error}") from None
    with replacing(path) as beside:
        onnx.save(graph, beside)


def _convert(logits_model: keras.Model) -> onnx.ModelProto:
    import tensorflow as tf
    import tf2onnx

    @tf.function
    def network(crops):  # type: ignore[no-untyped-def]
        return logits_model(tf.cast(crops, tf.float32), training=False)

    signature = [tf.TensorSpec((None, *CROP_HW, 1), tf.uint8, name="crops")]
    graph: onnx.ModelProto
    graph, _ = tf2onnx.convert.from_function(network, signature, opset=_TF2ONNX_OPSET)
    return graph


def _tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give nodes and values short names, and say nothing about how the file was made."""
    graph = model.graph
    fixed = {value.name for value in (*graph.input, *graph.output)}
    new: dict[str, str] = {name: name for name in fixed} | {"": ""}
    for index, node in enumerate(graph.node):
        node.name = f"{_snake(node.op_type)}_{index}"
        for number, output in enumerate(node.output):
            new.setdefault(output, node.name if number == 0 else f"{node.name}_{number}")
    for node in graph.node:
        for number, source in enumerate(node.input):
            new.setdefault(source, f"{node.name}_{_ROLES.get(node.op_type, 'bc')[number - 1]}")
        node.input[:] = [new[name] for name in node.input]
        node.output[:] = [new[name] for name in node.output]
        node.doc_string = ""
    for constant in graph.initializer:
        constant.name = new[constant.name]
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    graph.name = "mien"
    model.producer_name, model.producer_version, model.doc_string = "mien", "", ""
    model.ir_version = _IR_VERSION
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    return model


#: What the second and third input of an operation are called.
_ROLES = {"Conv": ("weight", "bias"), "MatMul": ("weight",), "Gemm": ("weight", "bias")}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
