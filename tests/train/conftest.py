"""The drawn faces, on disk and in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.drawn import write_csvs

from mien.train.data import Dataset, join_votes, read_csv


@pytest.fixture(scope="session")
def csvs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The drawn faces as fer2013.csv, and votes on them as fer2013new.csv."""
    return write_csvs(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def drawn(csvs: tuple[Path, Path]) -> Dataset:
    """The drawn faces with votes: 84 Training, 21 PublicTest, 14 PrivateTest."""
    data, votes = csvs
    return join_votes(read_csv(data), votes)
