"""Stand-ins for the networks, and the page with them: ``streamlit run tests/webapp/fakes.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.card import Calibration, Head, ModelCard
from mien.errors import ModelError
from mien.predictor import Predictor
from mien.runtime import FakeSession
from mien.types import EMOTIONS, Box, Crops, Face, Image, Logits, Point

CARD = ModelCard(
    name="fake",
    version="1",
    heads={"emotion": Head(EMOTIONS, Calibration(set_threshold=0.05, abstain_below=0.5))},
    metrics={"PublicTest + PrivateTest": {"accuracy": 0.7, "macro_f1": 0.68, "ece": 0.01}},
)


class FakeDetector:
    """Finds a face in the middle of any picture that is not black, two if it is wide."""

    def __call__(self, image: Image) -> tuple[Face, ...]:
        height, width = image.shape[:2]
        if not image.any():
            return ()
        side = max(1, min(height, width) // 2)
        lefts = (0, width - side) if width > 2 * height else ((width - side) // 2,)
        return tuple(_face(Box(left, height // 4, side, side)) for left in lefts)


def _face(box: Box) -> Face:
    places = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    return Face(box, 0.9, tuple(Point(box.x + box.w * x, box.y + box.h * y) for x, y in places))


def logits_of(crops: Crops) -> Logits:
    """Bright faces are happy; dark ones are between sad and fear."""
    logits = np.zeros((len(crops), 7), np.float32)
    bright = crops.mean(axis=(1, 2, 3)) > 60
    logits[bright, 3] = 5
    logits[~bright, 5], logits[~bright, 2] = 2.2, 2
    return logits


def fake_predictor(_model: Path = Path()) -> Predictor:
    """Return a predictor without networks."""
    return Predictor(FakeDetector(), FakeSession(CARD, logits_of))


def half_fake_predictor(_model: Path) -> Predictor:
    """Return one that finds faces truly, and reads them by their brightness."""
    return Predictor(session=FakeSession(CARD, logits_of))


def no_predictor(model: Path) -> Predictor:
    """Fail as a missing model does."""
    raise ModelError(f"{model}: there is no such model file; check the path")


if __name__ == "__main__":
    from mien.webapp.app import main

    main(half_fake_predictor)
