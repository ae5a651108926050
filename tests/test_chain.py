"""The whole chain, with the real detector and the real model, on labelled pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scripts.measure_crop_geometry import lay_out

from mien import Predictor, data
from mien.calibration import softmax
from mien.faces import CenterFace

#: Points of accuracy that finding and cutting out a face may cost.
_ALLOWED_LOSS = 0.03
_IMAGES = 1000


@pytest.mark.data
def test_the_chain_loses_under_three_points_against_the_direct_crops(fer2013_csv: Path) -> None:
    dataset = data.load(fer2013_csv)
    generator = np.random.default_rng(0)
    rows = generator.permutation(dataset.rows("PublicTest"))[:_IMAGES]
    originals, truth = dataset.crops[rows], dataset.emotion[rows]
    canvases, _ = lay_out(originals[..., 0], generator)
    predictor = Predictor(CenterFace(min_face_px=16))

    readings = list(predictor.predict_many(list(canvases)))

    seen = np.array([bool(faces) for faces in readings])
    labels = predictor.session.card.labels
    chain = np.array([labels.index(faces[0].top) for faces in readings if faces])
    direct = softmax(predictor.session(originals[seen])).argmax(axis=1)
    assert seen.mean() > 0.9
    assert (chain == truth[seen]).mean() > (direct == truth[seen]).mean() - _ALLOWED_LOSS


def test_the_astronaut_smiles(astronaut: np.ndarray) -> None:
    (reading,) = Predictor().predict(astronaut)

    assert reading.top == "happy"
    assert reading.confidence > 0.8
    assert reading.set == ("happy",)
