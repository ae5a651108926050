"""A run of ``student.py``, written down; every key is checked, unknown ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.errors import ConfigError

__all__ = ["Degrading", "Recipe", "read_recipe"]

_Fraction = Annotated[float, Field(ge=0, le=1)]
_Positive = Annotated[float, Field(gt=0)]
_Name = Annotated[str, Field(pattern=r"^\w+$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Degrading(_Part):
    """How much of a batch is degraded.

    Attributes:
        fraction: of the rows that are degraded, by a strength from 0.5 to 5.5 (5 is the most).
        twice: of those, the fraction degraded in two ways, each at half the strength.
        erasing: probability that a box is painted over with noise, on the other rows.
        unreadable: rows without a face that are added to a batch, as a fraction of it.
    """

    fraction: _Fraction = 0.35
    twice: _Fraction = 0.25
    erasing: _Fraction = 0.15
    unreadable: _Fraction = 0.04


class Recipe(_Part):
    """Every number that decides what comes out.

    Attributes:
        teachers: names of ``views.py``; without any, labels and voters teach alone, and views
            are ``plain_views`` in number.
        opinion: the name of the second opinion among them; empty for none.
        voters: pool the teachers with what the votes say of the label.
        teacher_weight: fraction of the targets that is what teachers and voters say together.
        rate: the peak of the learning rate, after one epoch of warm-up; a cosine leads to 0.
        decay: weight decay of kernels.
        batch: rows of a step, for each worker.
        ema: decay a step of the averaged weights that are measured and kept.
        workers: processes that share each step.
    """

    network: Literal["glance", "standard_cnn", "face_resnet"] = "glance"
    teachers: tuple[_Name, ...] = ()
    opinion: Annotated[str, Field(pattern=r"^\w*$")] = ""
    plain_views: Annotated[int, Field(ge=1)] = 100
    voters: bool = True
    teacher_weight: _Fraction = 0.75
    epochs: Annotated[int, Field(ge=2)] = 40
    rate: _Positive = 0.04
    decay: Annotated[float, Field(ge=0)] = 5e-4
    batch: Annotated[int, Field(ge=2)] = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.998
    degrading: Degrading = Degrading()
    workers: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _check_teachers(self) -> Recipe:
        if not self.teachers and not self.voters:
            raise ValueError("teachers is empty and voters is off: somebody has to teach")
        return self


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        ConfigError: the file is unreadable, or a key is unknown or out of range; the message
            names every such key.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the recipe {path}: {error}") from None
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, each['loc'])) or 'recipe'}: {each['msg']} (got {each['input']!r})"
            for each in error.errors()
        ]
        raise ConfigError(f"{path}: " + "; ".join(problems)) from None
