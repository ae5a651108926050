from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from tests.support.commands import exit_code

from mien.card import Head, ModelCard
from mien.data import FERPLUS_LABELS
from mien.runtime import FakeSession, Session
from mien.types import EMOTIONS

CARD = ModelCard(
    name="fake",
    version="1",
    heads={"emotion": Head(EMOTIONS), "ferplus": Head(FERPLUS_LABELS)},
)


@pytest.fixture(autouse=True)
def a_fake_model(monkeypatch: pytest.MonkeyPatch, drawn_folder: Path) -> None:
    """Open a fake model whatever is asked for, in a folder that holds the drawn data."""

    def open_fake(path: object = None) -> Session:
        return FakeSession(CARD)

    monkeypatch.setattr("mien.runtime.open_session", open_fake)


run = partial(exit_code, "evaluate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name FER2013 with --data"),
        (("--data", "none.csv"), "no data at none.csv"),
        (("--data", "fer2013.csv", "--votes", "none.csv"), "cannot read the FER+ votes"),
        (("--data", "x", "--dataset", "ck+", "--degradations"), "go with FER2013"),
    ],
)
def test_a_mistake_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(*arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("model.onnx", "--data", "fer2013.csv") == 0

    output = capsys.readouterr().out
    assert "emotion: 7 labels" in output
    assert "disgust" in output
    assert "ferplus" not in output  # without votes there is nothing to judge it by


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    votes = ("--votes", "fer2013new.csv")

    assert run("--data", "fer2013.csv", *votes, "--flip", "--json") == 0

    report = json.loads(capsys.readouterr().out)
    assert report["model"] == "fake"
    assert {each["head"] for each in report["results"]} == {"emotion", "ferplus"}
    assert {each["flip"] for each in report["results"]} == {True, False}


def test_a_report_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", "fer2013.csv", "-o", "report") == 0

    names = {path.name for path in Path("report").iterdir()}
    assert {"report.json", "report.md", "emotion_confusion.png"} <= names
    assert "The report is in report" in capsys.readouterr().err


def test_test_rows_are_judged_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{row},{'left' if row % 2 else 'right'}" for row in range(85, 120)]
    Path("groups.csv").write_text("\n".join(["row,side", *rows]))

    assert run("--data", "fer2013.csv", "--groups", "groups.csv", "-o", "report") == 0

    output = capsys.readouterr().out
    assert "by side" in output
    assert "left *" in output  # 18 faces: too few to be compared
    report = json.loads(Path("report/report.json").read_text())
    (grouping,) = report["groups"]
    assert (grouping["column"], grouping["everyone"]["count"]) == ("side", 35)
    assert "### By side" in Path("report/report.md").read_text()


def test_degraded_rows_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", "fer2013.csv", "--degradations", "-o", "report") == 0

    output = capsys.readouterr().out
    assert "one sided" in output
    assert "no expression to be seen" in output
    written = Path("report")
    assert (written / "emotion_degradations.png").is_file()
    assert "## Degraded faces" in (written / "report.md").read_text(encoding="utf-8")
    content = json.loads((written / "report.json").read_text(encoding="utf-8"))
    assert {each["strength"] for each in content["degradations"]["degraded"]} == set(range(6))
