from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from tests.support.small_net import noise, small_net

from mien.card import Calibration, Head, ModelCard, read_card
from mien.errors import ConfigError, DataError, ModelError
from mien.evaluation.comparison import ENOUGH_LABELLED, compare, verdict
from mien.runtime import open_session
from mien.train import adapt as adapting
from mien.train.adapt import Adaptation, adapt, cross_adapted, fit_on_labelled, write_adapted
from mien.train.session import KerasSession
from mien.types import EMOTIONS, Crops, Logits

CARD = ModelCard(
    name="small",
    version="1",
    heads={"emotion": Head(EMOTIONS, Calibration(temperature=1.5))},
)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small network with two normalisations whose statistics are those of some noise."""
    settled, _ = adapt(small_net(), noise(300), prior=0)
    return settled


def logits_of(model: keras.Model, crops: Crops) -> Logits:
    return KerasSession(model, CARD)(crops)["emotion"]


def statistics(model: keras.Model) -> list[np.ndarray]:
    return [
        np.array(keras.ops.convert_to_numpy(weight))
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for weight in (layer.moving_mean, layer.moving_variance)
    ]


def test_no_face_no_normalisation_and_a_negative_prior_are_refused(model: keras.Model) -> None:
    source = keras.Input((48, 48, 1))
    plain = keras.Model(source, keras.layers.Flatten()(source))

    with pytest.raises(DataError, match="no face to adapt to"):
        adapt(model, noise(0))
    with pytest.raises(ConfigError, match="from 0 on, not -1"):
        adapt(model, noise(1), prior=-1)
    with pytest.raises(ModelError, match="no batch normalisation"):
        adapt(plain, noise(1))


def test_the_statistics_become_those_of_the_faces(model: keras.Model) -> None:
    before = statistics(model)
    dark = noise(300, light=0.3, seed=1)

    adapted, done = adapt(model, dark, prior=0)

    norm = adapted.get_layer("norm2")
    seen = keras.Model(adapted.input, norm.input).predict_on_batch(dark.astype(np.float32))
    np.testing.assert_allclose(norm.moving_mean, seen.mean((0, 1, 2)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, seen.var((0, 1, 2)), rtol=1e-3, atol=1e-6)
    assert (done.faces, done.weight, done.layers) == (300, 1.0, 2)
    assert done.moved > 0.2
    for kept, was in zip(statistics(model), before, strict=True):
        np.testing.assert_array_equal(kept, was)  # the model itself is left alone


def test_the_light_no_longer_matters(model: keras.Model) -> None:
    dark = noise(300, light=0.5, seed=2)
    adapted, _ = adapt(model, dark, prior=0)

    bright = logits_of(model, noise(300, seed=2))
    astray = np.abs(logits_of(model, dark) - bright).mean()
    back = np.abs(logits_of(adapted, dark) - bright).mean()

    assert back < astray / 5


@pytest.mark.parametrize(("count", "prior", "weight"), [(1, 64, 1 / 65), (64, 64, 0.5), (5, 0, 1)])
def test_few_faces_are_mixed_with_the_old_statistics(
    model: keras.Model, count: int, prior: float, weight: float
) -> None:
    adapted, done = adapt(model, noise(count, light=0.2), prior=prior)
    wholly, _ = adapt(model, noise(count, light=0.2), prior=0)

    assert done.weight == pytest.approx(weight)
    old, new, mixed = (statistics(each)[0] for each in (model, wholly, adapted))
    np.testing.assert_allclose(mixed, weight * new + (1 - weight) * old, rtol=1e-4)


def test_of_very_many_faces_some_are_drawn(
    model: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapting, "MOST_FACES", 20)

    _, done = adapt(model, noise(50))

    assert done.faces == 20


def test_faces_are_read_by_what_the_others_taught(model: keras.Model) -> None:
    crops = np.concatenate([noise(40, light=0.3), noise(40, seed=1)])
    people = tuple("a" if row < 40 else "b" for row in range(80))

    logits = cross_adapted(model, CARD, crops, people)

    by_b, _ = adapt(model, crops[40:])
    expected = logits_of(by_b, crops[:40])
    np.testing.assert_allclose(logits[:40], expected, atol=1e-4)
    with pytest.raises(DataError, match="other people"):
        cross_adapted(model, CARD, crops, ("a",) * 80)


def readings(count: int, lift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = np.random.default_rng(9).integers(0, 7, count)
    logits = generator.normal(0, 1, (count, 7)).astype(np.float32)
    logits[np.arange(count), truth] += lift
    return 3 * logits, truth


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (1.0, 3.0, "the adaptation helped"),
        (3.0, 1.0, "did harm, so keep the model as it was"),
        (2.0, 2.0, "no difference that 200 pictures can show"),
    ],
)
def test_what_the_labelled_faces_say_is_said(before: float, after: float, said: str) -> None:
    earlier, truth = readings(200, before)
    later, _ = readings(200, after, seed=1)

    found = compare(CARD, earlier, later, truth)

    assert said in verdict(found)
    change = found.change["accuracy"]
    assert change.value == pytest.approx(found.after["accuracy"] - found.before["accuracy"])
    assert found.fitted_ece is not None
    assert found.fitted_ece < found.after["ece"]  # three times too sure of itself before


def test_a_temperature_takes_enough_labels() -> None:
    logits, truth = readings(ENOUGH_LABELLED, 2.0)
    few = slice(ENOUGH_LABELLED - 1)

    assert fit_on_labelled(CARD, logits[few], truth[few]) is CARD.calibration
    assert compare(CARD, logits[few], logits[few], truth[few]).fitted_ece is None
    fitted = fit_on_labelled(CARD, logits, truth)
    assert fitted.temperature != CARD.calibration.temperature
    assert fitted.set_threshold > 0
    one_person = compare(CARD, logits, logits, truth, ("a",) * len(truth))
    assert one_person.fitted_ece is None  # nobody else to fit on


@pytest.mark.parametrize("name", ["mine.keras", "mine.v2.onnx"])
def test_an_adapted_model_is_written_with_a_card_of_its_own(
    tmp_path: Path, model: keras.Model, name: str
) -> None:
    if name.endswith("onnx") and keras.backend.backend() != "tensorflow":
        pytest.skip("ONNX files are written by way of TensorFlow")
    crops = noise(30, light=0.5)
    adapted, done = adapt(model, crops)

    path, card_file = write_adapted(adapted, CARD, done, tmp_path / name, crops)

    card = read_card(card_file)
    assert (card.name, card.metrics, list(card.files)) == ("mine", {}, [name])
    assert "30 unlabelled faces" in card.protocol
    session = open_session(path)
    expected = logits_of(adapted, crops)
    np.testing.assert_allclose(session(crops)["emotion"], expected, atol=1e-4)
    assert session.card.labels == EMOTIONS


def test_another_ending_is_refused(tmp_path: Path, model: keras.Model) -> None:
    with pytest.raises(ConfigError, match=r"\.keras or \.onnx"):
        write_adapted(model, CARD, Adaptation(1, 1, 1, 0), tmp_path / "a.tflite", noise(1))
    assert list(tmp_path.iterdir()) == []
