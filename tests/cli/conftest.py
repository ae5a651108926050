"""The drawn faces, for the commands around training."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.drawn import write_csvs


@pytest.fixture(scope="session")
def drawn_csvs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The drawn faces as fer2013.csv, and votes on them as fer2013new.csv."""
    return write_csvs(tmp_path_factory.mktemp("drawn"))
