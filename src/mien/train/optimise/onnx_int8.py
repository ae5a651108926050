"""An ONNX graph in integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from mien.train.onnx_graph import save_onnx
from mien.types import Crops

__all__ = ["quantise_onnx"]

_BATCH = 32


def quantise_onnx(float_path: Path, path: Path, calibration: Crops) -> None:
    """Write a graph of :func:`mien.train.onnx_graph.write_onnx` with everything in int8.

    Weights are quantised by output channel and to seven bits: processors without VNNI add
    two products in 16 bits, which overflow with eight. Activations are uint8; their ranges
    are the least and largest values that ``calibration`` brings about. Other ways are
    compared in ``benchmarks/quantisation.py``.

    Raises:
        ModelError: the graph is not valid ONNX.
    """
    prepared = onnx.load(float_path)
    add_pre_process_metadata(prepared)  # it is folded already; this keeps advice off the screen
    beside = path.with_name(f"{path.name}.tmp")
    try:
        quantize_static(
            prepared,
            beside,
            _Reader(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        model = onnx.load(beside)
    finally:
        beside.unlink(missing_ok=True)
    _read_levels_directly(model.graph)
    del model.metadata_props[:]
    save_onnx(model, path)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, crops: Crops) -> None:
        self._batches = (crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH))

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"crops": batch}


def _read_levels_directly(graph: onnx.GraphProto) -> None:
    """Let the first layers read the pixels themselves.

    Pixels are levels of 8 bits from the start; the quantiser cannot know and quantises them
    again, to a scale that it estimates.
    """
    makers = {node.output[0]: node for node in graph.node}
    for again in [node for node in graph.node if node.op_type == "QuantizeLinear"]:
        first = makers.get(again.input[0])
        if first is None or first.op_type != "DequantizeLinear":
            continue
        backs = [node for node in graph.node if again.output[0] in node.input]
        undone = {back.output[0] for back in backs}
        for node in graph.node:
            node.input[:] = [first.output[0] if name in undone else name for name in node.input]
        for node in (again, *backs):
            graph.node.remove(node)
