"""Grad-CAM on a network whose reasons are known, on the back ends that are installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from mien.card import Calibration, Head, ModelCard
from mien.errors import ConfigError, InputError
from mien.explain import cover
from mien.train import nets
from mien.train.gradcam import GradCam
from mien.types import EMOTIONS, Crops

CARD = ModelCard(
    name="cells",
    version="0",
    heads={"emotion": Head(EMOTIONS, Calibration(temperature=2.0))},
)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Happy is how bright the brightest 8 x 8 cells are, sad how dark the rest is."""
    crops = keras.Input((48, 48, 1))
    cells = layers.AveragePooling2D(8, name="cells")(crops)
    bright = layers.Conv2D(2, 1, activation="relu", name="bright")(cells)
    pooled = layers.GlobalAveragePooling2D()(bright)
    logits = layers.Dense(7, name="emotion_logits")(pooled)
    model = keras.Model(crops, layers.Softmax(name="emotion")(logits), name="cells")
    model.get_layer("bright").set_weights(
        [np.array([1.0, -1.0]).reshape(1, 1, 1, 2), np.array([-100.0, 100.0])]
    )
    kernel = np.zeros((2, 7))
    kernel[0, 3], kernel[1, 5] = 1.0, 0.02
    model.get_layer("emotion_logits").set_weights([kernel, np.zeros(7)])
    return model


def spotted() -> Crops:
    crop = np.full((1, 48, 48, 1), 60, np.uint8)
    crop[:, 32:40, 8:16] = 240
    return crop


def test_no_crop_has_no_explanation(network: keras.Model) -> None:
    assert GradCam(network, CARD)(np.empty((0, 48, 48, 1), np.uint8)) == ()


def test_what_cannot_be_explained_is_refused(network: keras.Model) -> None:
    with pytest.raises(InputError, match="expected crops uint8"):
        GradCam(network, CARD)(np.zeros((1, 48, 48), np.uint8))
    with pytest.raises(ConfigError, match="cells has no label 'joy'"):
        GradCam(network, CARD)(spotted(), "joy")
    with pytest.raises(ConfigError, match="no layer 'emotion' with feature maps"):
        GradCam(network, CARD, "emotion")
    flat = keras.Sequential(
        [keras.Input((48, 48, 1)), layers.Flatten(), layers.Dense(7, name="emotion_logits")]
    )
    with pytest.raises(ConfigError, match="has no feature maps"):
        GradCam(flat, CARD)


def test_back_ends_that_cannot_are_refused(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConfigError, match="needs Keras on tensorflow or torch, not on jax"):
        GradCam(network, CARD)


def test_a_known_reason_is_named(network: keras.Model) -> None:
    crops = np.concatenate([spotted(), spotted()])
    cam = GradCam(network, CARD)

    explanations = cam(crops)

    assert cam.layer.name == "bright"
    for each in explanations:
        assert each.label == "happy"
        assert (each.heatmap.shape, each.heatmap.dtype) == ((48, 48), np.float32)
        assert each.heatmap.min() == 0
        assert each.heatmap.max() == each.heatmap[32:40, 8:16].max() == 1
        assert (each.heatmap[:20] == 0).all()
        assert each.region.y <= 32 < 40 <= each.region.y + 16
        (hidden,) = cam(cover(spotted(), each.region), "happy")
        assert each.hidden == pytest.approx(hidden.probability)
        assert each.hidden < each.probability


def test_another_label_has_other_reasons(network: keras.Model) -> None:
    (sad,) = GradCam(network, CARD)(spotted(), "sad")
    assert sad.label == "sad"
    assert sad.heatmap[36, 12] < 0.2
    assert sad.heatmap[8, 36] > 0.8


def test_what_nothing_speaks_for_has_an_empty_map(network: keras.Model) -> None:
    (none,) = GradCam(network, CARD)(spotted(), "fear")
    assert (none.heatmap == 0).all()


def test_glances_last_maps_are_taken() -> None:
    cam = GradCam(nets.build("glance"), ModelCard(name="glance", version="0"))
    assert cam.layer.output.shape[1:] == (3, 3, 256)
    (found,) = cam(spotted())
    assert np.isfinite(found.heatmap).all()


@pytest.mark.skipif(
    keras.backend.backend() == "torch" or importlib.util.find_spec("torch") is None,
    reason="the second back end is not installed, or is the one in use",
)
def test_the_second_back_end_says_the_same() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    ran = subprocess.run(
        [*command, "-k", "known_reason"],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
