from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mien.errors import ConfigError
from mien.train.augment import Augmentation
from mien.train.recipes import Recipe, load_recipe, named

ROOT = Path(__file__).parents[2]

BAD = {
    "nothing": ("", "expected the sections"),
    "a list": ("- model", "expected the sections"),
    "no yaml": ("model: [", "cannot read the recipe"),
    "unknown section": ("optimizer: {}", "unknown key optimizer"),
    "unknown key": ("training: {learning_rat: 0.1}", r"unknown key training\.learning_rat"),
    "unknown deep key": (
        "preprocessing: {augmentation: {rotate: 1}}",
        r"unknown key preprocessing\.augmentation\.rotate",
    ),
    "unknown network": ("model: {architecture: resnet}", r"model\.architecture"),
    "another size": ("model: {input_shape: [64, 64, 1]}", r"model\.input_shape"),
    "another number of classes": ("model: {num_classes: 8}", r"model\.num_classes"),
    "zero epochs": ("training: {epochs: 0}", r"training\.epochs"),
    "text": ("training: {batch_size: many}", r"training\.batch_size.*got 'many'"),
    "negative rate": ("training: {learning_rate: -1}", r"training\.learning_rate"),
    "not a number": ("training: {learning_rate: .nan}", r"training\.learning_rate"),
    "all held out": ("training: {validation_split: 1.0}", r"training\.validation_split"),
    "warm-up too long": ("training: {epochs: 5, warmup_epochs: 5}", "warmup_epochs is 5"),
    "minimum above peak": ("training: {min_learning_rate: 1}", "min_learning_rate is above"),
    "straying from a plain picture": (
        "training: {teacher_weight: 1, teacher_strays: true}",
        "set teacher_sees to augmented",
    ),
    "votes for nobody": ("training: {teacher_votes: true}", "teacher_votes is on"),
    "small pictures over a shoulder": (
        "training: {teacher_weight: 1, teacher_sees: augmented, small_epochs: 1}",
        "set small_epochs to 0",
    ),
    "flip": ("preprocessing: {augmentation: {horizontal_flip: 2}}", "horizontal_flip"),
    "normalisation": ("preprocessing: {normalisation: minmax}", r"preprocessing\.normalisation"),
    "two at once": ("training: {epochs: 0, batch: 1}", r"training\.epochs.*unknown key"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(path)

    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml")


def test_the_root_config_is_the_default() -> None:
    assert load_recipe(ROOT / "config.yaml") == Recipe()


#: The reference document's "Training Configuration", "Data Preprocessing" and config.yaml.
REFERENCE: dict[str, Any] = {
    "model": {"architecture": "mini_xception", "input_shape": [48, 48, 1], "num_classes": 7},
    "training": {
        "batch_size": 64,
        "epochs": 50,
        "learning_rate": 0.001,
        "validation_split": 0.15,
        "optimiser": "adam",
        "beta_1": 0.9,
        "beta_2": 0.999,
        "warmup_epochs": 5,
        "min_learning_rate": 1e-6,
        "l2": 1e-4,
        "class_weight": "balanced",
    },
}


@pytest.mark.parametrize("section", REFERENCE)
def test_the_defaults_are_the_references(section: str) -> None:
    content = Recipe().to_dict()[section]

    assert {key: content[key] for key in REFERENCE[section]} == REFERENCE[section]


def test_the_references_own_config_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    text = """
        model: {architecture: "mini_xception", input_shape: [48, 48, 1], num_classes: 7}
        training: {batch_size: 64, epochs: 50, learning_rate: 0.001, validation_split: 0.15}
        preprocessing:
          normalisation: "divide_255"
          augmentation: {rotation_range: 10, width_shift_range: 0.1, height_shift_range: 0.1}
    """
    path.write_text(text)

    assert load_recipe(path) == Recipe()


def test_the_default_augmentation_is_the_functions_own() -> None:
    assert Recipe().preprocessing.augment_by() == Augmentation()


def test_a_recipe_survives_being_stored(tmp_path: Path) -> None:
    recipe = named("glance")
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe.to_yaml())

    assert load_recipe(path) == recipe
    assert yaml.safe_load(recipe.to_yaml()) == recipe.to_dict()


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="choose one of glance"):
        named("resnet")


def test_training_keys_can_be_changed() -> None:
    changed = Recipe().with_training(epochs=9, seed=None)

    assert (changed.training.epochs, changed.training.seed) == (9, 0)
    assert Recipe().with_training() == Recipe()
    with pytest.raises(ConfigError, match="warmup_epochs is 5"):
        Recipe().with_training(epochs=3)
