"""The drawn faces, on disk and in memory, and a short run on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.drawn import write_csvs
from tests.models import FERPLUS, make_card

from mien.card import Confidence, card_path, write_card
from mien.train import nets
from mien.train.data import Dataset, join_votes, read_csv
from mien.train.recipes import Recipe
from mien.types import EMOTIONS


@pytest.fixture(scope="session")
def csvs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The drawn faces as fer2013.csv, and votes on them as fer2013new.csv."""
    return write_csvs(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def drawn(csvs: tuple[Path, Path]) -> Dataset:
    """The drawn faces with votes: 84 Training, 21 PublicTest, 14 PrivateTest."""
    data, votes = csvs
    return join_votes(read_csv(data), votes)


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
    write_card(make_card(path, heads=heads, confidence=Confidence(**confidence)), card_path(path))
    return path
