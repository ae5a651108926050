from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.models import WEIGHTS, expected_logits, make_card, some_crops, write_tiny_model

from mien.card import write_card
from mien.errors import ConfigError, MissingExtra, ModelError
from mien.runtime import open_session


@pytest.fixture(scope="module")
def keras_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras = pytest.importorskip("keras")
    path = tmp_path_factory.mktemp("keras") / "tiny.keras"
    source = keras.Input((48, 48, 1))
    outputs = []
    for name, weights in WEIGHTS.items():
        dense = keras.layers.Dense(weights.shape[1], use_bias=False, name=f"{name}_logits")
        outputs.append(keras.layers.Softmax(name=name)(dense(keras.layers.Flatten()(source))))
        dense.set_weights([weights])
    keras.Model(source, outputs).save(path)
    write_card(make_card(path), path.with_name("tiny.card.json"))
    return path


def test_nothing_named_is_miens_own_model() -> None:
    assert open_session(None).card.name == "glance"


@pytest.mark.parametrize(
    ("name", "device", "error", "message"),
    [
        ("none.keras", "auto", ModelError, "there is no such model file"),
        ("none.onnx", "auto", ModelError, "there is no such model file"),
        ("model.h5", "auto", ModelError, "expected a model file ending in"),
        ("tiny.onnx", "tpu", ConfigError, "no device 'tpu'"),
    ],
)
def test_what_cannot_be_opened_is_told(
    tmp_path: Path, name: str, device: str, error: type[Exception], message: str
) -> None:
    write_tiny_model(tmp_path)

    with pytest.raises(error, match=message):
        open_session(tmp_path / name, device=device)


def test_keras_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.keras"
    path.touch()
    write_card(make_card(path), tmp_path / "a.card.json")
    monkeypatch.setitem(sys.modules, "keras", None)

    with pytest.raises(MissingExtra, match=r"pip install 'mien\[train\]'"):
        open_session(path)


@pytest.mark.parametrize("head", ["emotion", "ferplus"])
def test_a_keras_file_is_a_session_like_others(keras_model: Path, head: str) -> None:
    crops = some_crops(2)

    logits = open_session(keras_model, threads=1)(crops)

    np.testing.assert_allclose(logits[head], expected_logits(crops, head), atol=1e-3)


def test_videos_and_cameras_take_it(keras_model: Path) -> None:
    from mien.cli.choice import Choice
    from mien.cli.video import open_predictor

    assert open_predictor(Choice(keras_model)).session.card.name == "tiny"


def test_the_service_takes_it(keras_model: Path) -> None:
    """By the settings alone: what ``uvicorn --factory`` starts with MIEN_MODEL set."""
    app = pytest.importorskip("mien.service.app")
    settings = pytest.importorskip("mien.service.settings")

    predictor = app.predictor_of(settings.Settings(model=keras_model))

    assert predictor.card.name == "tiny"


def test_the_web_app_takes_it(keras_model: Path) -> None:
    pytest.importorskip("streamlit")
    from mien.webapp.app import build_predictor

    assert build_predictor(keras_model).card.name == "tiny"
