"""Fixtures that several test modules share."""

from __future__ import annotations

import signal
from pathlib import Path

import hypothesis
import pytest

from mien.images import read
from mien.types import Image

ROOT = Path(__file__).parents[1]

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
def fer2013_csv() -> Path:
    """The data set, beside the checkout; the test is skipped where it is not."""
    return _beside_checkout("data/fer2013.csv.gz")


@pytest.fixture(scope="session")
def solvay() -> Image:
    """The Solvay photograph of 1927, beside the checkout: 29 faces."""
    return read(_beside_checkout("photos/solvay1927.jpg"))


def _beside_checkout(name: str) -> Path:
    path = ROOT.parent / "shared" / name
    if not path.exists():
        pytest.skip(f"{name} is not part of the project")
    return path
