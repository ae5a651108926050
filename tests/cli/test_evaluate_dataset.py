"""``mien evaluate --dataset``: sets of drawn squares, found by a detector of squares."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from tests.support import layouts
from tests.support.clips import find_square
from tests.support.commands import exit_code
from tests.support.small_net import write_small_net

from mien import faces
from mien.card import ModelCard
from mien.runtime import FakeSession, Session

CARD = ModelCard(name="fake", version="1")


@pytest.fixture(autouse=True)
def squares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faces, "open_detector", lambda: find_square)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _fake_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_fake(path: object = None, *, head: str | None = None) -> Session:
        return FakeSession(CARD)

    monkeypatch.setattr("mien.runtime.open_session", open_fake)


run = partial(exit_code, "evaluate")


@pytest.mark.usefixtures("_fake_model")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "jaffe"), "say where jaffe lies with --data"),
        (("--dataset", "jaffe", "--data", "."), "expected KA.AN1.39.tiff"),
        (("--dataset", "fer2014", "--data", "."), "choose one of ck+"),
        (("--data", ".", "--adapt"), "--adapt go with --dataset"),
        (("--dataset", "jaffe", "--data", ".", "--votes", "x"), "--votes go with FER2013"),
        (("--dataset", "folder", "--data", ".", "--map", "none.yaml"), "cannot read the map"),
    ],
)
def test_a_mistake_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(*arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("_fake_model")
def test_a_graph_cannot_be_adapted(capsys: pytest.CaptureFixture[str]) -> None:
    layouts.jaffe(Path("jaffe"))

    assert run("glance.onnx", "--dataset", "jaffe", "--data", "jaffe", "--adapt") == 2
    assert "needs a .keras file" in capsys.readouterr().err


@pytest.mark.usefixtures("_fake_model")
@pytest.mark.parametrize("name", layouts.WRITERS)
def test_every_set_is_judged(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.WRITERS[name](Path("set"))
    arguments = ("--map", "map.yaml") if name == "folder" else ()
    find = ("--find-faces",) if name == "affectnet" else ()

    assert run("--dataset", name, "--data", "set", *arguments, *find, "--json") == 0

    report = json.loads(capsys.readouterr().out)
    (result,) = report["results"]
    assert result["accuracy"] == 1.0  # the fake network reads squares by their grey
    assert result["count"] == report["dataset"]["judged"]
    assert "Nothing was fitted" in report["protocol"]
    assert report["dataset"]["framing"] in ("photo", "clip")


@pytest.mark.usefixtures("_fake_model")
def test_what_is_left_out_is_told_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    layouts.folder(Path("set"))
    Path("set/joy/broken.png").write_bytes(b"no picture")
    Path("groups.csv").write_text("file,light\na.jpg,day\nb.png,night\n")
    options = ("--map", "map.yaml", "--skip-bad", "--flip", "--groups", "groups.csv")

    assert run("--dataset", "folder", "--data", "set", *options, "-o", "report") == 0

    captured = capsys.readouterr()
    assert "faces judged: 2; pictures without one: 1" in captured.out
    assert "dropped, labelled boredom: 1" in captured.out
    assert "by light" in captured.out
    assert "skipped joy/broken.png" in captured.err
    report = json.loads(Path("report/report.json").read_text())
    assert report["dataset"]["no_face"] == ["Anger/empty.png"]
    assert report["dataset"]["dropped"] == {"labelled boredom": 1}
    assert [each["flip"] for each in report["results"]] == [False, True]
    page = Path("report/report.md").read_text()
    assert "## The data: set, all" in page
    assert "no face was found: 1. " in page
    assert "### By light" in page


def test_a_network_is_judged_with_and_without_adaptation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_small_net(Path("small.keras"))
    layouts.ck_plus(Path("ck"))

    assert run("small.keras", "--dataset", "ck+", "--data", "ck", "--adapt", "-o", "report") == 0

    output = capsys.readouterr().out
    assert "CK+, adapted" in output
    assert "on 4 labelled faces" in output
    report = json.loads(Path("report/report.json").read_text())
    assert [each["split"] for each in report["results"]] == ["CK+", "CK+, adapted"]
    assert set(report["adaptation"]["change"]) >= {"accuracy", "ece"}
    assert "## Adapted without labels" in Path("report/report.md").read_text()
