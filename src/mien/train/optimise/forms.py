"""The files that a network is written as."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import keras

from mien.train.onnx_graph import write_onnx
from mien.train.optimise.litert import write_litert
from mien.train.optimise.onnx_int8 import quantise_onnx
from mien.types import Crops

__all__ = ["FORMS", "PRECISIONS", "Form"]


@dataclass(frozen=True, slots=True)
class Form:
    """One file that a network can be written as.

    Attributes:
        ending: of the file's name, after the network's: ``.int8.onnx``.
        precision: of the weights; ``int8`` is that of the activations too.
        tolerance: on 99 of 100 crops no probability may move further, 0 to 1.
        write: takes the network that gives logits, crops for calibration, and the path.
        calibrated: ``write`` needs the crops.
    """

    ending: str
    precision: str
    tolerance: float
    write: Callable[[keras.Model, Crops, Path], None]
    calibrated: bool = False


def _write_int8_onnx(logits_model: keras.Model, calibration: Crops, path: Path) -> None:
    with TemporaryDirectory() as folder:
        float_path = Path(folder) / "float32.onnx"
        write_onnx(logits_model, float_path)
        quantise_onnx(float_path, path, calibration)


# Tolerances are two to six times of what was seen on Glance's held-out rows: 0.0008 in
# float16, 0.02 with dynamic range, 0.05 (LiteRT) and 0.06 (ONNX) in int8.
FORMS = (
    Form(".onnx", "float32", 1e-4, lambda model, _, path: write_onnx(model, path)),
    Form(".tflite", "float32", 1e-4, lambda model, _, path: write_litert(model, path, "float32")),
    Form(
        ".float16.tflite",
        "float16",
        0.005,
        lambda model, _, path: write_litert(model, path, "float16"),
    ),
    Form(
        ".dynamic.tflite",
        "dynamic",
        0.1,
        lambda model, _, path: write_litert(model, path, "dynamic"),
    ),
    Form(
        ".int8.tflite",
        "int8",
        0.2,
        lambda model, crops, path: write_litert(model, path, "int8", crops),
        calibrated=True,
    ),
    Form(".int8.onnx", "int8", 0.2, _write_int8_onnx, calibrated=True),
)

#: In the order in which they lose.
PRECISIONS = tuple(dict.fromkeys(form.precision for form in FORMS))
