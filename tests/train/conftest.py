"""A short run, and a teacher."""

from __future__ import annotations

from pathlib import Path

from tests.support.models import FERPLUS, make_card

from mien.card import Calibration, card_path, write_card
from mien.train import nets
from mien.train.recipes import Recipe
from mien.types import EMOTIONS


def recipe(**changes: object) -> Recipe:
    """A run of one short epoch; ``changes`` are keys of its part ``training``."""
    content = {"batch_size": 16, "epochs": 1, "warmup_epochs": 0, "validation_split": 0.2}
    return Recipe.model_validate(
        {"model": {"architecture": "glance"}, "training": content | changes}
    )


def write_teacher(folder: Path, architecture: str = "glance", **confidence: float) -> Path:
    """Write a network with fresh weights, and its card."""
    path = folder / f"{architecture}.keras"
    model = nets.build(architecture)
    model.save(path)
    heads = {"emotion": EMOTIONS} | ({"ferplus": FERPLUS} if architecture == "glance" else {})
    write_card(make_card(path, heads=heads, calibration=Calibration(**confidence)), card_path(path))
    return path
