"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest
from tests.support.drawn import write_csvs

from mien.data import Dataset, join_votes, read_csv
from mien.images import read
from mien.types import Image

ROOT = Path(__file__).parents[1]
#: What is not part of the project: FER2013 and FER+.
DATA = Path(os.environ.get("MIEN_TEST_DATA", ROOT.parent / "shared" / "data"))

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure() -> None:
    """Hear Ctrl-C: a shell's background job ignores it, and so would every program it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """A portrait of one smiling face, RGB (512, 512, 3), read-only."""
    image = read(ROOT / "examples" / "astronaut.jpg")
    image.flags.writeable = False
    return image


@pytest.fixture(scope="session")
def csvs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The drawn faces as fer2013.csv, and votes on them as fer2013new.csv."""
    return write_csvs(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def drawn(csvs: tuple[Path, Path]) -> Dataset:
    """The drawn faces with votes: 84 Training, 21 PublicTest, 14 PrivateTest."""
    data, votes = csvs
    return join_votes(read_csv(data), votes)


@pytest.fixture(scope="session")
def fer2013_csv() -> Path:
    """FER2013's CSV; the test is skipped where it is not."""
    return _shared(DATA / "fer2013.csv.gz")


@pytest.fixture(scope="session")
def solvay() -> Image:
    """The Solvay photograph of 1927, of 29 faces, in ``photos`` beside the data."""
    return read(_shared(DATA.parent / "photos" / "solvay1927.jpg"))


def _shared(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} is not part of the project: MIEN_TEST_DATA names its folder")
    return path
