"""Nothing outside a card assumes seven labels, or crops of 48 pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien import Box, Face, FakeSession, Predictor, list_models, open_session
from mien.card import Calibration, Framing, Head, ModelCard, record_of, write_card
from mien.draw import annotate
from mien.explain import explain
from mien.images import encode
from mien.types import Image
from mien.wire import csv_fields, reading_from_dict, reading_to_dict, reading_to_row

LABELS = ("engaged", "bored", "away")
CARD = ModelCard(
    name="three",
    version="1",
    heads={"attention": Head(LABELS, Calibration(set_threshold=0.2))},
    default_head="attention",
    framing=Framing(size_hw=(64, 64)),
)
PHOTO = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)


def one_face(image: Image) -> tuple[Face, ...]:
    height, width = image.shape[:2]
    return (Face(Box(width // 4, height // 4, width // 3, width // 3), 0.9),)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(one_face, FakeSession(CARD))


def test_predict_wire_and_draw(predictor: Predictor) -> None:
    (reading,) = result = predictor.predict(PHOTO)

    assert predictor.crop(predictor.open(PHOTO), one_face(PHOTO)).pixels.shape == (1, 64, 64, 1)
    assert reading.labels == LABELS
    assert reading_from_dict(json.loads(json.dumps(reading_to_dict(reading)))) == reading
    assert list(reading_to_row(reading)) == csv_fields(LABELS)
    assert annotate(PHOTO, result.readings).shape == PHOTO.shape
    assert "engaged" in result._repr_html_()
    assert len(predictor.predict_crops(np.zeros((2, 64, 64, 1), np.uint8))) == 2


def test_explain(predictor: Predictor) -> None:
    crops = predictor.crop(predictor.open(PHOTO), one_face(PHOTO)).pixels
    (why,) = explain(predictor, crops)
    assert why.heatmap.shape == (64, 64)
    assert why.label in LABELS


def test_the_service(predictor: Predictor) -> None:
    pytest.importorskip("uvicorn")
    from tests.service.conftest import running

    with running(predictor) as service:
        headers = {"Content-Type": "application/octet-stream"}
        answer = service.client.post("/predict", content=encode(PHOTO), headers=headers).json()
        (face,) = answer["faces"]
        assert set(face["probabilities"]) == set(LABELS)
        assert service.client.get("/model_info").json()["labels"] == list(LABELS)
        metadata = service.client.get("/v2/models/three").json()
        assert metadata["inputs"][0]["shape"] == [-1, 64, 64, 1]
        assert service.client.get("/").status_code == 200


def test_the_web_app(predictor: Predictor) -> None:
    pytest.importorskip("streamlit")
    from mien.webapp.pictures import read_picture
    from mien.webapp.reasons import explain_picture

    result = read_picture("a.jpg", encode(PHOTO), predictor, keep=True)

    assert result.readings[0].labels == LABELS
    assert explain_picture(result, predictor).words


def test_evaluate() -> None:
    pytest.importorskip("sklearn")
    from mien.data import Dataset
    from mien.evaluation.evaluate import evaluate

    truth = np.arange(30) % 3
    crops = np.repeat(((truth + 0.5) * 85).astype(np.uint8), 64 * 64).reshape(30, 64, 64, 1)
    dataset = Dataset(crops, truth, np.full(30, "Test"), labels=LABELS)

    (result, *_) = evaluate(FakeSession(CARD), dataset)

    assert (result.labels, result.scores.accuracy) == (LABELS, 1.0)


def test_a_real_graph(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper: Any = onnx.helper
    weights = np.random.default_rng(0).normal(0, 1e-3, (4096, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["crops", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["attention"]),
        ],
        "three",
        [helper.make_tensor_value_info("crops", onnx.TensorProto.FLOAT, ["N", 64, 64, 1])],
        [helper.make_tensor_value_info("attention", onnx.TensorProto.FLOAT, ["N", 3])],
        [
            onnx.numpy_helper.from_array(np.array([-1, 4096]), "shape"),
            onnx.numpy_helper.from_array(weights, "weights"),
        ],
    )
    path = tmp_path / "three.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    write_card(
        ModelCard(**{**CARD.__dict__, "files": {path.name: record_of(path)}}),
        tmp_path / "three.card.json",
    )

    (reading,) = Predictor(one_face, open_session(path, threads=1)).predict(PHOTO)

    assert reading.labels == LABELS
    assert sum(reading.probabilities) == pytest.approx(1)


def test_the_models_that_ship_are_listed() -> None:
    models = list_models()
    assert [path.name for path in models] == ["glance.onnx"]
    assert next(iter(models.values())).version
