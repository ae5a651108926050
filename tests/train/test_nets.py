from __future__ import annotations

import keras
import numpy as np
import pytest

from mien.errors import ConfigError
from mien.train import nets
from mien.train.nets.parts import NetOptions

#: Parameters and multiply-adds. The reference document says 5.5 M for standard_cnn; its own
#: list of layers makes 0.9 M of mini_xception.
COSTS = {
    "glance": (1_584_047, 46_176_000),
    "glance_53m": (1_885_327, 52_498_176),
    "glance_54m": (1_887_126, 52_500_224),
    "glance_57m": (1_602_735, 56_792_832),
    "glance_67m": (1_954_223, 67_409_664),
    "glance_104m": (3_555_711, 103_768_704),
    "mini_xception": (900_000, 230_000_000),
    "standard_cnn": (5_500_000, 469_000_000),
}


def test_an_unknown_network_is_told() -> None:
    with pytest.raises(ConfigError, match="choose one of glance, glance_53m, glance_54m"):
        nets.build("resnet")


@pytest.mark.parametrize("name", nets.NETS)
def test_networks_cost_what_they_should(name: str) -> None:
    summary = nets.summarise(nets.build(name))

    parameters, multiply_adds = COSTS[name]
    assert summary.parameters == pytest.approx(parameters, rel=0.05)
    assert summary.multiply_adds == pytest.approx(multiply_adds, rel=0.05)


@pytest.mark.parametrize("name", ["glance", "glance_53m", "glance_54m", "glance_67m"])
def test_glance_keeps_to_its_budget(name: str) -> None:
    summary = nets.summarise(nets.build(name))

    assert summary.parameters <= 2_000_000
    assert summary.multiply_adds <= 70_000_000


@pytest.mark.parametrize("name", nets.NETS)
def test_raw_crops_become_probabilities(name: str) -> None:
    model = nets.build(name)
    crops = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.float32)

    outputs = model.predict_on_batch(crops)
    logits = nets.logits_of(model).predict_on_batch(crops)

    for head, values in zip(
        logits, outputs if isinstance(outputs, list) else [outputs], strict=True
    ):
        assert values.shape == (2, 8 if head == "ferplus" else 7)
        np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)
        raised = np.exp(logits[head] - logits[head].max(axis=1, keepdims=True))
        np.testing.assert_allclose(values, raised / raised.sum(1, keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("name", nets.NETS)
def test_networks_for_any_size_are_the_same_networks(name: str) -> None:
    options = NetOptions(any_size=True, l2=1e-4, direct=True)
    free = nets.logits_of(nets.build(name, options))
    fixed = nets.logits_of(nets.build(name))
    free.set_weights(fixed.get_weights())
    crops = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.float32)

    same, small = (
        free.predict_on_batch(pictures)["emotion"] for pictures in (crops, crops[:, 8:40, 8:40])
    )

    expected = fixed.predict_on_batch(crops)["emotion"]
    np.testing.assert_allclose(same, expected, rtol=1e-4, atol=1e-5)
    assert small.shape == (2, 7)
    assert np.isfinite(small).all()


def test_only_glance_has_a_second_head() -> None:
    heads = {name: tuple(nets.logits_of(nets.build(name)).output) for name in nets.NETS}

    assert heads == {
        "glance": ("emotion", "ferplus"),
        "glance_53m": ("emotion", "ferplus"),
        "glance_54m": ("emotion", "ferplus", "second_opinion"),
        "glance_57m": ("emotion", "ferplus"),
        "glance_67m": ("emotion", "ferplus"),
        "glance_104m": ("emotion", "ferplus"),
        "mini_xception": ("emotion",),
        "standard_cnn": ("emotion",),
    }


def test_the_deeper_glance_begins_with_the_answers_of_glance() -> None:
    glance, deeper = (nets.logits_of(nets.build(name)) for name in ("glance", "glance_67m"))
    for layer in deeper.layers:
        if "block3" not in layer.name and layer.weights:
            layer.set_weights(glance.get_layer(layer.name).get_weights())
    crops = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.float32)

    before, after = (net.predict_on_batch(crops)["emotion"] for net in (glance, deeper))

    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-6)


def test_a_mirrored_kernel_reads_a_mirrored_face_as_the_other_does_the_face() -> None:
    """Maps that shrink evenly have a middle: nothing is read beside the place it mirrors."""
    crops = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.float32)
    answers = {}
    for name in ("glance", "glance_53m"):
        network = nets.logits_of(nets.build(name))
        face = network.predict_on_batch(crops)["emotion"]
        for layer in network.layers:
            if hasattr(layer, "kernel") and len(layer.kernel.shape) == 4:
                layer.set_weights([layer.get_weights()[0][:, ::-1]])
        mirrored = network.predict_on_batch(crops[:, :, ::-1])["emotion"]
        answers[name] = np.abs(face - mirrored).max() / np.abs(face).max()

    assert answers["glance_53m"] < 1e-5
    assert answers["glance"] > 1e-3


@pytest.mark.parametrize("name", nets.NETS)
def test_the_faster_form_gives_the_same_answers(name: str) -> None:
    crops = np.random.default_rng(0).uniform(0, 255, (3, 48, 48, 1)).astype(np.float32)
    model = nets.build(name)

    fast = nets.in_training_form(model).predict_on_batch(crops)

    for head, logits in nets.logits_of(model).predict_on_batch(crops).items():
        np.testing.assert_allclose(fast[head], logits, atol=1e-5)


def test_dropout_can_be_switched_off() -> None:
    model = nets.build("mini_xception", NetOptions(dropout=0.0))

    assert {layer.rate for layer in model.layers if hasattr(layer, "rate")} == {0.0}


@pytest.mark.parametrize("name", nets.NETS)
def test_features_are_what_every_head_reads(name: str) -> None:
    """Without dropout, so that a head is a dense layer on them."""
    model = nets.build(name)
    crops = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1)).astype(np.float32)

    outputs = nets.with_features(model)(crops, training=True)

    features = np.asarray(keras.ops.convert_to_numpy(outputs.pop(nets.FEATURES)))
    assert features.ndim == 2
    still = nets.with_features(model)(crops, training=False)
    features = np.asarray(keras.ops.convert_to_numpy(still[nets.FEATURES]))
    for head in outputs:
        kernel, bias = model.get_layer(f"{head}_logits").get_weights()
        logits = np.asarray(keras.ops.convert_to_numpy(still[head]))
        np.testing.assert_allclose(features @ kernel + bias, logits, atol=1e-4)
