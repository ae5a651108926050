"""The drawn faces, for the commands around training."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.drawn import write_csvs


@pytest.fixture(scope="session")
def drawn_csvs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The drawn faces as fer2013.csv, and votes on them as fer2013new.csv."""
    return write_csvs(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def drawn_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn_csvs: tuple[Path, Path]
) -> Path:
    """The working folder, with the drawn data in it and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for path in drawn_csvs:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path
