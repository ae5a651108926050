from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.models import FERPLUS, expected_logits, make_card, write_onnx, write_tiny_model

from mien.calibration import softmax
from mien.card import Calibration, write_card
from mien.data import Dataset
from mien.errors import ConfigError, ModelError
from mien.runtime import open_session
from mien.train import nets, runs
from mien.train.devices import OneDevice
from mien.train.distill import Watching, blend, mean_answers, teacher_answers
from mien.train.recipes import Recipe
from mien.train.session import KerasSession, load_network
from mien.types import EMOTIONS

from .conftest import recipe, write_teacher

ROOT = Path(__file__).parents[2]


def test_targets_are_the_calibrated_mean_over_a_crop_and_its_mirror_image(
    tmp_path: Path, drawn: Dataset
) -> None:
    teacher = write_tiny_model(tmp_path, calibration=Calibration(temperature=2.0))

    (targets,) = teacher_answers([teacher], drawn, ("emotion", "ferplus"), cache_dir=tmp_path)

    both = softmax(expected_logits(drawn.crops), 2.0)
    both += softmax(expected_logits(drawn.crops[:, :, ::-1]), 2.0)
    np.testing.assert_allclose(targets["emotion"], both / 2, atol=1e-6)
    assert targets["ferplus"].shape == (len(drawn), len(FERPLUS))
    assert targets["emotion"].dtype == np.float32


def test_several_teachers_are_averaged_over_those_that_have_a_head(
    tmp_path: Path, drawn: Dataset
) -> None:
    both = write_tiny_model(tmp_path)
    one_head = write_onnx(tmp_path / "one.onnx")
    card = make_card(
        one_head, heads={"emotion": EMOTIONS}, calibration=Calibration(temperature=3.0)
    )
    write_card(card, tmp_path / "one.card.json")

    heads = ("emotion", "ferplus")
    alone = teacher_answers([both, one_head], drawn, heads, cache_dir=tmp_path)
    together = mean_answers(alone)

    assert [list(answers) for answers in alone] == [["emotion", "ferplus"], ["emotion"]]
    np.testing.assert_array_equal(together["ferplus"], alone[0]["ferplus"])
    np.testing.assert_allclose(
        together["emotion"], (alone[0]["emotion"] + alone[1]["emotion"]) / 2, atol=1e-6
    )


def test_a_teacher_is_asked_once(tmp_path: Path, drawn: Dataset) -> None:
    teacher = write_tiny_model(tmp_path)
    asked: list[tuple[int, int]] = []

    (first,) = teacher_answers(
        [teacher], drawn, ("emotion",), cache_dir=tmp_path, progress=lambda *at: asked.append(at)
    )
    count = len(asked)
    (again,) = teacher_answers(
        [teacher], drawn, ("emotion",), cache_dir=tmp_path, progress=lambda *at: asked.append(at)
    )

    assert asked == [(1, 1)]
    assert len(asked) == count
    np.testing.assert_array_equal(first["emotion"], again["emotion"])


def test_a_teacher_without_a_common_head_is_refused(tmp_path: Path, drawn: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"tiny\.onnx has none of the student's heads valence"):
        teacher_answers([write_tiny_model(tmp_path)], drawn, ("valence",), cache_dir=tmp_path)


def test_watching_teachers_answer_to_what_they_are_shown(tmp_path: Path, drawn: Dataset) -> None:
    paths = [write_teacher(tmp_path, temperature=2.0), write_teacher(tmp_path, "standard_cnn")]
    shown = np.rot90(drawn.crops[:5], axes=(1, 2)).astype(np.float32)

    watching = Watching(paths, ("emotion", "ferplus"), OneDevice())
    said = watching(shown)

    glance, cnn = (open_session(path)(np.rot90(drawn.crops[:5], axes=(1, 2))) for path in paths)
    expected = (softmax(glance["emotion"], 2.0) + softmax(cnn["emotion"])) / 2
    np.testing.assert_allclose(said["emotion"], expected, atol=1e-5)
    np.testing.assert_allclose(said["ferplus"], softmax(glance["ferplus"]), atol=1e-5)


def test_straying_teachers_answer_to_views_a_pixel_beside(tmp_path: Path, drawn: Dataset) -> None:
    shown = drawn.crops[:12].astype(np.float32)
    watching = Watching([write_teacher(tmp_path)], ("emotion",), OneDevice())
    said = watching(shown, np.random.default_rng(1))["emotion"]

    margins = ((0, 0), (1, 1), (1, 1), (0, 0))
    pair = [np.pad(view, margins, mode="edge") for view in (shown, shown[:, :, ::-1])]
    views = [
        [watching(view[:, top : top + 48, left : left + 48])["emotion"] for view in pair]
        for top, left in np.ndindex(3, 3)
    ]
    off = np.abs(said - np.array(views)).max(axis=-1)  # (place, mirrored, crop)
    place = off.min(axis=1).max(axis=1).argmin()
    assert off[place].min(axis=0).max() < 1e-5, "not all moved to one place"
    assert set(off[place].argmin(axis=0)) == {0, 1}, "not some mirrored and some not"


def test_who_cannot_watch_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tiny\.onnx: .* is a \.keras file; give one"):
        Watching([write_tiny_model(tmp_path)], ("emotion",), OneDevice())
    with pytest.raises(ConfigError, match=r"cnn\.keras has none of the student's heads ferplus"):
        Watching([write_teacher(tmp_path, "standard_cnn")], ("ferplus",), OneDevice())
    with pytest.raises(ModelError, match="there is no such model file"):
        Watching([tmp_path / "none.keras"], ("emotion",), OneDevice())


def test_a_watching_teacher_alone_makes_labels_meaningless(tmp_path: Path, drawn: Dataset) -> None:
    from mien.train.fit import fit

    teacher = write_teacher(tmp_path, "standard_cnn")
    renamed = replace(drawn, emotion=(drawn.emotion + 1) % len(EMOTIONS))
    settings = {
        "teacher_sees": "augmented",
        "mixup": 0.5,
        "class_weight": "none",
        "validation_split": 0.0,
    }

    losses = {
        (weight, name): fit(
            recipe(teacher_weight=weight, **settings),
            dataset,
            tmp_path / f"{name}{weight}",
            teachers=[teacher],
        )[0].loss
        for weight in (0.5, 1.0)
        for name, dataset in (("labels", drawn), ("renamed", renamed))
    }

    assert losses[1.0, "labels"] == losses[1.0, "renamed"]
    assert losses[0.5, "labels"] != losses[0.5, "renamed"]


def test_targets_are_blended_by_weight() -> None:
    own = {"emotion": np.array([[1.0, 0.0]], np.float32), "ferplus": np.ones((1, 3), np.float32)}

    mixed = blend(own, {"emotion": np.array([[0.2, 0.8]], np.float32)}, 0.25)

    np.testing.assert_allclose(mixed["emotion"], [[0.8, 0.2]])
    np.testing.assert_array_equal(mixed["ferplus"], own["ferplus"])


def test_weight_and_teacher_belong_together(tmp_path: Path, drawn: Dataset) -> None:
    from mien.train.fit import fit

    with pytest.raises(ConfigError, match="name a trained model with --teacher"):
        fit(recipe(teacher_weight=0.5), drawn, tmp_path / "run")
    with pytest.raises(ConfigError, match="teacher_weight is 0"):
        fit(recipe(), drawn, tmp_path / "run", teachers=[write_tiny_model(tmp_path)])
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_not_there_is_told(tmp_path: Path, drawn: Dataset) -> None:
    from mien.train.fit import fit

    with pytest.raises(ModelError, match=r"none\.keras: there is no such model file"):
        fit(recipe(), drawn, tmp_path / "run", start=tmp_path / "none.keras")
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network_do_not_start_this_one(tmp_path: Path, drawn: Dataset) -> None:
    from mien.train.fit import fit

    settings = recipe().to_dict()
    settings["model"]["architecture"] = "mini_xception"

    with pytest.raises(ModelError, match="is not a start for mini_xception"):
        fit(
            Recipe.model_validate(settings),
            drawn,
            tmp_path / "run",
            start=ROOT / "models" / "best_model.keras",
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("architecture", ["mini_xception", "standard_cnn"])
def test_layers_that_are_numbered_anew_still_start_the_same_network(
    architecture: str, tmp_path: Path, drawn: Dataset
) -> None:
    import keras

    from mien.train.fit import fit

    start = tmp_path / "start.keras"
    given = nets.build(architecture)
    given.save(start)
    write_card(make_card(start, heads={"emotion": EMOTIONS}), tmp_path / "start.card.json")
    settings = recipe(learning_rate=1e-9, min_learning_rate=0.0, batch_size=100).to_dict()
    settings["model"]["architecture"] = architecture

    fit(Recipe.model_validate(settings), drawn, tmp_path / "run", start=start)

    kept = runs.trained_model(tmp_path / "run")
    assert keras.saving.load_model(start, compile=False).layers[2].name != kept.layers[2].name
    kernels = [layer.kernel for layer in given.layers if isinstance(layer, keras.layers.Conv2D)]
    taken = [layer.kernel for layer in kept.layers if isinstance(layer, keras.layers.Conv2D)]
    for before, after in zip(kernels, taken, strict=True):
        np.testing.assert_allclose(np.asarray(after), np.asarray(before), atol=1e-5)


def test_larger_kernels_begin_as_smaller_ones_smoothed(tmp_path: Path, drawn: Dataset) -> None:
    from mien.train.fit import fit

    start = write_teacher(tmp_path)
    settings = recipe(learning_rate=1e-9, min_learning_rate=0.0, batch_size=100).to_dict()
    settings["model"]["architecture"] = "glance_53m"

    fit(Recipe.model_validate(settings), drawn, tmp_path / "run", start=start)

    name = "stage2_block1_conv1"
    before = KerasSession(*load_network(start)).weights()[name][0][:, :, 3, 5]
    kept = runs.trained_model(tmp_path / "run").get_layer(name)
    after = np.asarray(kept.kernel)[:, :, 3, 5]
    assert (before.shape, after.shape) == ((3, 3), (4, 4))
    box = np.pad(before, 1)
    expected = (box[1:, 1:] + box[1:, :-1] + box[:-1, 1:] + box[:-1, :-1]) / 4
    np.testing.assert_allclose(after, expected, atol=1e-5)


def test_a_student_begins_where_its_start_ends_and_learns_from_the_teacher(
    tmp_path: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from mien.train.fit import fit

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    start = ROOT / "models" / "best_model.keras"
    begun = keras.saving.load_model(start, compile=False).get_layer("stage4_block1_conv2")

    log = fit(
        recipe(teacher_weight=0.5, learning_rate=1e-6, min_learning_rate=0.0),
        drawn,
        tmp_path / "run",
        start=start,
        teachers=[write_tiny_model(tmp_path)],
    )

    kept = runs.trained_model(tmp_path / "run").get_layer("stage4_block1_conv2")
    np.testing.assert_allclose(kept.get_weights()[0], begun.get_weights()[0], atol=1e-5)
    assert [row.epoch for row in log] == [1]
    assert list(tmp_path.glob("mien/teacher-*.npz")) != []


def test_a_run_goes_on_with_the_models_it_began_with(tmp_path: Path, drawn: Dataset) -> None:
    teacher = write_tiny_model(tmp_path)
    origins = runs.Origins.of(None, [teacher])
    runs.open_folder(tmp_path / "run", recipe(), drawn, origins, resume=False)

    runs.open_folder(tmp_path / "run", recipe(), drawn, origins, resume=True)
    with pytest.raises(ConfigError, match="give the same --start and --teacher"):
        runs.open_folder(tmp_path / "run", recipe(), drawn, resume=True)
