from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.support.commands import exit_code

from mien.card import ModelCard
from mien.runtime import FakeSession, Session


@pytest.fixture(autouse=True)
def a_fake_model(monkeypatch: pytest.MonkeyPatch, drawn_folder: Path) -> None:
    """Open a fake model whatever is asked for, in a folder that holds the drawn data."""

    def open_fake(path: object = None) -> Session:
        return FakeSession(ModelCard(name="fake", version="1"))

    monkeypatch.setattr("mien.runtime.open_session", open_fake)


run = partial(exit_code, "audit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument"),
        (("none.csv",), "no data at none.csv"),
        (("fer2013.csv", "--votes", "none.csv"), "cannot read the FER+ votes"),
        (("fer2013.csv", "-o", "."), "holds something else than an audit"),
        (("fer2013.csv", "-o", "fer2013.csv"), "cannot write to fer2013.csv: File exists"),
    ],
)
def test_a_mistake_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(*arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_a_page_is_written_and_the_counts_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fer2013.csv", "--votes", "fer2013new.csv") == 0

    printed = capsys.readouterr()
    assert "label disputed by votes" in printed.out
    assert "The page is audit/index.html" in printed.err
    assert Path("audit/index.html").is_file()
