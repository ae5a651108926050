"""A training run, written down: every number that decides what comes out.

A recipe is read from YAML of the reference document's form, ``config.yaml`` or one of the
named recipes beside this file. Every key is checked; unknown keys are refused.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.errors import ConfigError
from mien.train.augment import Augmentation

__all__ = ["ModelPart", "PreprocessingPart", "Recipe", "TrainingPart", "load_recipe", "named"]

_Fraction = Annotated[float, Field(ge=0, lt=1)]
_Positive = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelPart(_Part):
    """Which network. ``dropout`` is a factor on the network's own rates."""

    architecture: Literal[
        "mini_xception",
        "standard_cnn",
        "glance",
        "glance_53m",
        "glance_54m",
        "glance_57m",
        "glance_67m",
        "glance_104m",
    ] = "mini_xception"
    input_shape: Annotated[tuple[Literal[48], Literal[48], Literal[1]], Field(strict=False)] = (
        48,
        48,
        1,
    )
    num_classes: Literal[7] = 7
    dropout: Annotated[float, Field(ge=0, le=1.5)] = 1.0


class TrainingPart(_Part):
    """How the weights are found.

    Attributes:
        learning_rate: the peak, reached after the warm-up.
        l2: L2 penalty, part of the loss.
        weight_decay: decoupled decay of kernels, times the learning rate each step.
        class_weight: ``balanced`` weighs a row by the inverse frequency of its class.
        ferplus_weight: weight of the loss against the FER+ votes; 0 trains the labels alone.
        teacher_weight: part of the targets that is the teachers' probabilities; see
            :mod:`mien.train.distill`.
        teacher_votes: pool the teachers' probabilities with what the FER+ votes say of
            FER2013's label; see :mod:`mien.train.pool`.
        teacher_sees: ``plain``, each picture and its mirror image, once for the whole run;
            ``augmented``, what the student sees, at every step.
        teacher_strays: show each teacher that watches what the student sees, half the time
            mirrored, and moved by up to a pixel; see :class:`mien.train.distill.Watching`.
        mixup: blend pairs of pictures by shares from Beta(mixup, mixup); 0 for none.
        cutmix: paste a box of one picture into another, by areas from Beta(cutmix, cutmix);
            0 for none. See :mod:`mien.train.mix`.
        ema: decay per step of the averaged weights that are evaluated and kept; 0 for none.
        small_px: side of the pictures in the first ``small_epochs`` epochs.
        precision: what a step multiplies in; ``bfloat16`` needs Keras' torch back end.
        keep: which epoch's weights the run is for: the best on the held-out rows or the last.
    """

    batch_size: Annotated[int, Field(ge=1, le=4096)] = 64
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 50
    learning_rate: _Positive = 0.001
    min_learning_rate: Annotated[float, Field(ge=0)] = 1e-6
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    validation_split: _Fraction = 0.15
    optimiser: Literal["adam", "sgd"] = "adam"
    beta_1: _Fraction = 0.9
    beta_2: _Fraction = 0.999
    momentum: _Fraction = 0.9
    l2: Annotated[float, Field(ge=0)] = 1e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    class_weight: Literal["balanced", "none"] = "balanced"
    label_smoothing: _Fraction = 0.0
    ferplus_weight: Annotated[float, Field(ge=0)] = 0.0
    teacher_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    teacher_votes: bool = False
    teacher_sees: Literal["plain", "augmented"] = "plain"
    teacher_strays: bool = False
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    cutmix: Annotated[float, Field(ge=0, le=10)] = 0.0
    ema: _Fraction = 0.0
    small_px: Annotated[int, Field(ge=16, le=48)] = 48
    small_epochs: Annotated[int, Field(ge=0)] = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    keep: Literal["best", "last"] = "best"
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check_epochs(self) -> TrainingPart:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs is {self.warmup_epochs}, expected less than epochs ({self.epochs})"
            )
        if self.min_learning_rate > self.learning_rate:
            raise ValueError("min_learning_rate is above learning_rate")
        if self.teacher_votes and self.teacher_weight == 0:
            raise ValueError("teacher_votes is on and teacher_weight is 0: set it, 0.5 for one")
        if self.teacher_strays and self.teacher_sees != "augmented":
            raise ValueError("teacher_strays is on: set teacher_sees to augmented")
        if self.teacher_sees == "augmented" and self.small_epochs:
            raise ValueError(
                "teacher_sees is augmented: teachers look at whole pictures, so set small_epochs "
                "to 0"
            )
        return self


class _AugmentationPart(_Part):
    rotation_range: Annotated[float, Field(ge=0, le=180)] = 10.0
    width_shift_range: _Fraction = 0.1
    height_shift_range: _Fraction = 0.1
    shear_range: _Fraction = 0.1
    zoom_range: _Fraction = 0.1
    horizontal_flip: Annotated[float, Field(ge=0, le=1)] = 0.5
    brightness_range: _Fraction = 0.0
    contrast_range: _Fraction = 0.0
    erasing: Annotated[float, Field(ge=0, le=1)] = 0.0
    erasing_area: Annotated[float, Field(gt=0.02, le=0.5)] = 0.2


class PreprocessingPart(_Part):
    """What happens to the pixels. Normalisation is inside the network, by its name here."""

    normalisation: Literal["divide_255"] = "divide_255"
    augmentation: _AugmentationPart = _AugmentationPart()

    def augment_by(self) -> Augmentation:
        """Return the augmentation as the plain record that :mod:`augment` takes."""
        return Augmentation(**self.augmentation.model_dump())


class Recipe(_Part):
    """A whole run; frozen, and stored in the run folder and the model's card."""

    model: ModelPart = ModelPart()
    training: TrainingPart = TrainingPart()
    preprocessing: PreprocessingPart = PreprocessingPart()

    def with_training(self, **changes: int | float | None) -> Recipe:
        """Return the recipe with some keys of ``training`` changed; ``None`` leaves one alone.

        Raises:
            ConfigError: a value is out of range.
        """
        content = self.to_dict()
        content["training"] |= {key: value for key, value in changes.items() if value is not None}
        return _validate(content, "command line")

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings, ready for YAML or JSON."""
        return self.model_dump(mode="json")

    def to_yaml(self) -> str:
        """Return the YAML that :func:`load_recipe` reads."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        ConfigError: the file is unreadable, or a key is unknown, misspelt or out of range;
            the message names every such key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the recipe {path}: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: expected the sections model, training and preprocessing, "
            f"got {type(content).__name__}"
        )
    return _validate(content, str(path))


def named(name: str) -> Recipe:
    """Return one of the recipes that ship with mien.

    Raises:
        ConfigError: there is none of that name.
    """
    folder = resources.files(__package__)
    known = sorted(
        entry.name.removesuffix(".yaml")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    )
    if name not in known:
        raise ConfigError(f"no recipe '{name}': choose one of {', '.join(known)}, or give a file")
    content = yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8"))
    return _validate(content, name)


def _validate(content: dict[str, Any], origin: str) -> Recipe:
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = [_explain(dict(problem)) for problem in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(lines)) from None


def _explain(problem: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"]) or "recipe"
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key}"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}"
    return f"{key}: {problem['msg']} (got {problem['input']!r})"
