"""Networks of one random layer, in every format: enough to test what stands on a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from mien.card import Calibration, Head, ModelCard, record_of, write_card
from mien.types import EMOTIONS, Crops, Logits

FERPLUS = (*EMOTIONS, "contempt")
HEADS = {"emotion": EMOTIONS, "ferplus": FERPLUS}
WEIGHTS: dict[str, NDArray[np.float32]] = {
    head: np.random.default_rng(7).normal(0, 3e-4, (2304, len(labels))).astype(np.float32)
    for head, labels in HEADS.items()
}


def expected_logits(crops: Crops, head: str = "emotion") -> Logits:
    return crops.reshape(len(crops), 2304).astype(np.float32) @ WEIGHTS[head]


def expected_of_all(crops: Crops) -> dict[str, Logits]:
    return {head: expected_logits(crops, head) for head in HEADS}


def some_crops(count: int) -> Crops:
    return np.random.default_rng(count).integers(0, 256, (count, 48, 48, 1), np.uint8)


def make_card(
    *files: Path,
    heads: Mapping[str, tuple[str, ...]] = HEADS,
    calibration: Calibration | None = None,
    **changes: Any,
) -> ModelCard:
    """Make a card of the network: with ``calibration`` of its first head, the default one."""
    records = {path.name: record_of(path) for path in files}
    default = next(iter(heads))
    made = {name: Head(labels) for name, labels in heads.items()}
    made[default] = Head(heads[default], calibration or Calibration())
    values = {"name": "tiny", "version": "0", "files": records, **changes}
    return ModelCard(**{"heads": made, "default_head": default, **values})


def write_onnx(path: Path, *, batch: str | int = "N", side: int = 48, uint8: bool = False) -> Path:
    """Write the network, without a card. ``side`` is for a wrong one: it cannot be run."""
    kind = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["crops"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "shape"], ["flat"]),
        *(helper.make_node("MatMul", ["flat", f"{head}_weights"], [head]) for head in HEADS),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("crops", kind, [batch, side, side, 1])],
        [
            helper.make_tensor_value_info(head, TensorProto.FLOAT, [batch, len(labels)])
            for head, labels in HEADS.items()
        ],
        [
            numpy_helper.from_array(np.array([-1, 2304]), "shape"),
            *(numpy_helper.from_array(WEIGHTS[head], f"{head}_weights") for head in HEADS),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def write_int8_onnx(path: Path) -> Path:
    """Write the network with weights and activations in int8, as QDQ, without a card."""
    batches = iter([{"crops": some_crops(64)}])

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            return next(batches, None)

    float_path = write_onnx(path.with_name("float.onnx"), uint8=True)
    quantize_static(float_path, path, Reader(), per_channel=True, reduce_range=True)
    return path


def write_tiny_model(folder: Path, **changes: Any) -> Path:
    """Write the network as ONNX, with its card."""
    path = write_onnx(folder / "tiny.onnx")
    write_card(make_card(path, **changes), folder / "tiny.card.json")
    return path


def write_tflite(path: Path, *, int8: bool = False, signature: bool = True) -> Path:
    """Write the network for LiteRT, without a card; ``int8`` all through, or float32.

    ``signature`` keeps the heads' names; without, a reader has to tell them by their columns.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.description = 3, "tiny"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if int8 else 1
    model.operatorCodes, model.buffers = [code], [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.name, graph.tensors, graph.operators = "main", [], []
    kind = schema.TensorType.INT8 if int8 else schema.TensorType.FLOAT32

    def add(name: str, shape: list[int], scale: float, zero: int, data: bytes = b"") -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, shape, kind
        if shape[0] == 1:
            tensor.shapeSignature = [-1, *shape[1:]]
        if int8:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [zero]
        if data:
            tensor.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT())
            model.buffers[-1].data = np.frombuffer(data, np.uint8)
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    source = add("crops", [1, 48, 48, 1], 1.0, -128)
    graph.inputs, graph.outputs = [source], []
    for head, weights in WEIGHTS.items():
        step = float(np.abs(weights).max() / 127)
        stored = np.rint(weights.T / step).astype(np.int8) if int8 else weights.T.copy()
        kernel = add(f"{head}_weights", list(stored.shape), step, 0, stored.tobytes())
        target = add(f"{head}_out", [1, stored.shape[0]], 0.05, 3)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, [source, kernel, -1], [target]
        operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        operator.builtinOptions = schema.FullyConnectedOptionsT()
        graph.operators.append(operator)
        graph.outputs.append(target)
    model.subgraphs = [graph]
    if signature:
        model.signatureDefs = [
            _signature(schema, source, dict(zip(HEADS, graph.outputs, strict=True)))
        ]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _signature(schema: Any, source: int, targets: dict[str, int]) -> Any:
    def name(label: str, index: int) -> Any:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = label, index
        return entry

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = [name("crops", source)]
    signature.outputs = [name(head, index) for head, index in targets.items()]
    return signature
