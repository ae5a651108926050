"""What ways of quantising keep of a network: the choices behind ``mien optimize``.

    python benchmarks/quantisation.py models/best_model.keras fer2013.csv.gz

Prints, for each way, the points of accuracy lost on held-out rows, and by how much the
probabilities of a crop move, in the mean and at most on 99 of 100 crops. Ways of
ai-edge-quantizer are left out where it is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_static,
)

from mien.data import load
from mien.runtime import LiteRtSession, OnnxSession
from mien.train import nets
from mien.train.onnx_graph import write_onnx
from mien.train.optimise.checks import Probe, answers, compare, held_out_probe
from mien.train.optimise.litert import write_litert
from mien.train.session import KerasSession, load_network
from mien.types import Crops

_BATCH = 32

#: ``quantize_static``'s options; the first line is what ``mien optimize`` does.
ONNX_WAYS: dict[str, dict[str, Any]] = {
    "7 bits, extremes": {},
    "8 bits, extremes": {"reduce_range": False},
    "7 bits, whole layers": {"per_channel": False},
    "7 bits, entropy": {"calibrate_method": CalibrationMethod.Entropy},
    "7 bits, 99.99 %": {
        "calibrate_method": CalibrationMethod.Percentile,
        "extra_options": {"CalibPercentile": 99.99},
    },
    "7 bits, 99.9 %": {
        "calibrate_method": CalibrationMethod.Percentile,
        "extra_options": {"CalibPercentile": 99.9},
    },
}


class Batches(CalibrationDataReader):
    """Crops as ONNX Runtime's calibration takes them."""

    def __init__(self, crops: Crops) -> None:
        whole = len(crops) // _BATCH * _BATCH  # histograms want batches of one size
        self._batches = iter(crops[:whole].reshape(-1, _BATCH, *crops.shape[1:]))

    def get_next(self) -> dict[str, Any] | None:
        """Return the next batch, or nothing at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {"crops": batch}


def onnx_ways(network: Any, probe: Probe, folder: Path) -> Iterator[tuple[str, Path]]:
    float_path = folder / "float32.onnx"
    write_onnx(network, float_path)
    for name, options in ONNX_WAYS.items():
        path = folder / "int8.onnx"
        chosen = {"per_channel": True, "reduce_range": True, **options}
        kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        quantize_static(float_path, path, Batches(probe.calibration), **kinds, **chosen)
        yield f"ONNX int8, {name}", path


def litert_ways(network: Any, probe: Probe, folder: Path) -> Iterator[tuple[str, Path]]:
    path = folder / "small.tflite"
    for precision, crops in (("dynamic", None), ("int8", probe.calibration)):
        write_litert(network, path, precision, crops)
        yield f"LiteRT {precision}, TensorFlow", path
    if find_spec("ai_edge_quantizer") is None:
        return
    from ai_edge_quantizer import quantizer, recipe

    float_path = folder / "float32.tflite"
    write_litert(network, float_path, "float32")
    shown = [{"crops": crop[None].astype(np.float32)} for crop in probe.calibration]
    for precision, make in (
        ("dynamic", recipe.dynamic_wi8_afp32),
        ("int8", recipe.static_wi8_ai8),
    ):
        worker = quantizer.Quantizer(str(float_path), make())
        ranges = worker.calibrate({"serving_default": shown}) if precision == "int8" else None
        path.write_bytes(bytes(worker.quantize(ranges).quantized_model))
        yield f"LiteRT {precision}, ai-edge-quantizer", path


def main(keras_path: Path, data: Path) -> None:
    model, card = load_network(keras_path)
    probe = held_out_probe(card, load(data))
    expected = answers(KerasSession(model, card), probe)
    head = card.default_head
    ways: tuple[Callable[..., Iterator[tuple[str, Path]]], ...] = (onnx_ways, litert_ways)
    print(f"{'':40} lost  mean    99 %")
    with TemporaryDirectory() as folder:
        for each in ways:
            for name, path in each(nets.logits_of(model), probe, Path(folder)):
                kind = OnnxSession if path.suffix == ".onnx" else LiteRtSession
                given = answers(kind(path, card), probe)
                check = compare(head, expected, given, probe)
                mean = np.abs(given - expected).max(axis=1).mean()
                print(
                    f"{name:40} {check.lost_points:+.2f} {mean:.4f} {check.moved:.4f}", flush=True
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
