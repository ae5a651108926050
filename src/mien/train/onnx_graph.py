"""A Keras network as an ONNX graph: raw uint8 crops in; every head's logits and features out.

Batch normalisation and constants are folded, and the names are ours: ``crops`` in, one
output named after each head. The nodes are those for which ONNX Runtime has quick kernels,
integer ones too, so that the same graph can be quantised. Needs Keras' TensorFlow back end.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, version_converter

from mien.errors import ModelError
from mien.files import atomic_write
from mien.types import CROP_HW

__all__ = ["OPSET", "save_onnx", "write_onnx"]

#: What ONNX Runtime 1.20, the oldest that mien takes, reads at most.
OPSET = 21
_TF2ONNX_OPSET = 18  # the newest that it writes
_IR_VERSION = 10
_EXACT = 1e-6  # how far a rescaled pixel may be off


def write_onnx(logits_model: keras.Model, path: Path) -> None:
    """Write the network; ``logits_model`` gives ``{name: output}``, in the order written.

    Raises:
        ModelError: Keras runs on another back end than TensorFlow, or the graph is not
            valid ONNX.
    """
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            "ONNX files are written by way of TensorFlow: set KERAS_BACKEND=tensorflow"
        )
    model = version_converter.convert_version(_convert(logits_model), OPSET)
    _take_pixels_as_levels(model.graph)
    _pool_in_one_step(model.graph)
    _add_bias_where_it_multiplies(model.graph)
    _in_order(model.graph, list(logits_model.output))
    save_onnx(model, path)


def save_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Name everything anew, check the graph and write it whole or not at all.

    Raises:
        ModelError: the graph is not valid ONNX.
    """
    tidied = _tidy(model)
    try:
        onnx.checker.check_model(tidied, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the graph written is not valid ONNX: {error}") from None
    with atomic_write(path) as temporary:
        onnx.save(tidied, temporary)


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


def _take_pixels_as_levels(graph: onnx.GraphProto) -> None:
    """Rescale by one DequantizeLinear instead of Cast, Mul and Add.

    ``x * scale + offset`` is ``(x - zero_point) * scale``, which is what uint8 pixels are for
    an integer network: it reads them as they are, and pads with the zero point. A rescale
    without a whole zero point between 0 and 255 stays as it is.
    """
    nodes = _chain(graph, graph.input[0].name, "Cast", "Mul", "Add", "Reshape")
    if not nodes:
        return
    _, multiply, add, reshape = nodes
    scale, offset = _scalar(graph, multiply), _scalar(graph, add)
    if scale is None or offset is None or scale == 0:
        return
    zero_point = round(-offset / scale)
    if not (0 <= zero_point <= 255 and abs(zero_point * scale + offset) < _EXACT):
        return
    levels = f"{reshape.output[0]}_levels"
    constants = {"scale": np.float32(scale), "zero_point": np.uint8(zero_point)}
    inputs = [levels, *(_constant(graph, levels, *each) for each in constants.items())]
    _replace(
        graph,
        nodes,
        helper.make_node("Reshape", [graph.input[0].name, reshape.input[1]], [levels]),
        helper.make_node("DequantizeLinear", inputs, list(reshape.output)),
    )


def _pool_in_one_step(graph: onnx.GraphProto) -> None:
    """Write the mean over height and width as GlobalAveragePool, without a Transpose."""
    for transpose in [node for node in graph.node if node.op_type == "Transpose"]:
        mean = _chain(graph, transpose.output[0], "ReduceMean")
        if not mean or list(_attribute(transpose, "perm")) != [0, 2, 3, 1]:
            continue
        if _attribute(mean[0], "keepdims") != 0 or sorted(_second(graph, mean[0])) != [1, 2]:
            continue
        pooled = f"{mean[0].output[0]}_pooled"
        _replace(
            graph,
            [transpose, *mean],
            helper.make_node("GlobalAveragePool", list(transpose.input), [pooled]),
            helper.make_node("Flatten", [pooled], list(mean[0].output)),
        )


def _add_bias_where_it_multiplies(graph: onnx.GraphProto) -> None:
    """Write dense layers as Gemm; they stand on pooled features, so (N, features)."""
    for product in [node for node in graph.node if node.op_type == "MatMul"]:
        added = _chain(graph, product.output[0], "Add")
        nodes, inputs = [product, *added], list(product.input)
        if added:
            inputs += [name for name in added[0].input if name != product.output[0]]
        _replace(graph, nodes, helper.make_node("Gemm", inputs, list(nodes[-1].output)))


def _in_order(graph: onnx.GraphProto, names: list[str]) -> None:
    """Sort the outputs, which a converter sorts by name, by their place in ``names``."""
    ordered = sorted(graph.output, key=lambda output: names.index(output.name))
    del graph.output[:]
    graph.output.extend(ordered)


def _chain(graph: onnx.GraphProto, value: str, *kinds: str) -> list[onnx.NodeProto]:
    """Return the nodes of these kinds that follow each other, or none of them.

    Each has to be the only user of what comes before it.
    """
    nodes: list[onnx.NodeProto] = []
    for kind in kinds:
        users = [node for node in graph.node if value in node.input]
        if len(users) != 1 or users[0].op_type != kind:
            return []
        nodes += users
        value = users[0].output[0]
    return nodes


def _replace(graph: onnx.GraphProto, old: list[onnx.NodeProto], *new: onnx.NodeProto) -> None:
    """Put nodes in the place of the last of others, and drop constants that nobody uses."""
    kept = list(graph.node)
    place = kept.index(old[-1])
    nodes = [node for node in (*kept[:place], *new, *kept[place + 1 :]) if node not in old]
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    constants = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _constant(graph: onnx.GraphProto, owner: str, role: str, value: np.generic) -> str:
    name = f"{owner}_{role}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def _second(graph: onnx.GraphProto, node: onnx.NodeProto) -> NDArray[np.generic]:
    """Return the constant that is a node's second input; empty if it is none."""
    found = [each for each in graph.initializer if each.name == node.input[1]]
    return numpy_helper.to_array(found[0]) if found else np.empty(0)


def _scalar(graph: onnx.GraphProto, node: onnx.NodeProto) -> float | None:
    value = _second(graph, node)
    return float(value.item()) if value.size == 1 else None


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    found = [each for each in node.attribute if each.name == name]
    return helper.get_attribute_value(found[0]) if found else None


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
            new.setdefault(source, f"{node.name}_{_ROLES.get(node.op_type, 'abc')[number]}")
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


#: What constants are called, by the place in which they go into an operation.
_ROLES = {
    "Conv": ("data", "weight", "bias"),
    "Gemm": ("data", "weight", "bias"),
    "Reshape": ("data", "shape"),
    "DequantizeLinear": ("levels", "scale", "zero_point"),
    "QuantizeLinear": ("data", "scale", "zero_point"),
}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
