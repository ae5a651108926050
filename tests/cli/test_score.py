"""``mien score`` as people use it, with reading itself replaced: tests/scale reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.commands import exit_code
from tests.support.models import write_tiny_model

import mien
from mien.errors import ConfigError
from mien.scale import PartReport


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.jpg").touch()
    return folder


run = partial(exit_code, "score")


def pretend(monkeypatch: pytest.MonkeyPatch, *ends: object) -> list[object]:
    """Let reading give these reports, or raise these errors; return what it was asked."""
    asked: list[object] = []

    def read(folder: str, numbers: list[int], *, workers: int) -> Iterator[PartReport]:
        asked.append((folder, numbers, workers))
        for number, end in zip(numbers, ends, strict=False):
            if isinstance(end, BaseException):
                raise end
            assert isinstance(end, PartReport)
            Path(folder, f"part-{number:06d}.parquet").touch()
            yield end

    monkeypatch.setattr("mien.scale.read_locally", read)
    return asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "-o", "out"], "none: there is no such file or folder"),
        ([".", "-o", "out"], "holds no images"),
        (["photos", "-o", "photos"], "holds other files"),
        (["photos", "-o", "out", "--fps", "0"], "frames_per_s"),
        (["photos", "-o", "out", "--model", "none.onnx"], "no such model file"),
        (["photos", "-o", "out", "--address", "auto"], "--address is for --engine ray"),
        (["photos", "-o", "/proc/none/out"], "cannot write"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    if "photos" in arguments:
        (tmp_path / "photos" / "a.jpg").touch()

    assert run(*arguments) == 2

    err = capsys.readouterr().err
    assert err.startswith("mien: ")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("missing", "engine"), [("pyarrow", "local"), ("ray", "ray")])
def test_a_missing_package_is_named(
    tmp_path: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    engine: str,
) -> None:
    monkeypatch.setattr(mien, "scale", mien.scale)  # importing anew would replace it for good
    for name in [name for name in sys.modules if name.startswith("mien.scale")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    assert run(photos, "-o", tmp_path / "out", "--engine", engine) == 2

    assert f"'{missing}', which is not installed: run pip install 'mien[scale]'" in (
        capsys.readouterr().err
    )


def test_it_sums_up_and_then_nothing_is_missing(
    tmp_path: Path,
    photos: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    reports = [PartReport(number, 1000, 700, 2) for number in range(3)]
    asked = pretend(monkeypatch, *reports)
    out = tmp_path / "out"
    arguments = (photos, "-o", out, "--model", model, "--workers", "3")

    assert run(*arguments) == 0
    err = capsys.readouterr().err
    assert "mien: 3,000 images, 2,100 faces, 6 errors in 3 parts: " in err
    assert "images/s" in err
    assert run(*arguments) == 0
    assert f"nothing is missing: all 3 parts are in {out}" in capsys.readouterr().err
    assert asked == [(str(out), [0, 1, 2], 3)]


def test_parts_that_are_left_out_are_named(
    tmp_path: Path,
    photos: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pretend(monkeypatch, PartReport(0), PartReport(1, failure="it killed 2 processes"))

    assert run(photos, "-o", tmp_path / "out", "--model", model) == 1
    assert "part 1 is left out: it killed 2 processes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("end", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "is whole. The same command goes on with the other 2 parts"),
        (ConfigError("s3://x cannot be reached"), 2, "s3://x cannot be reached"),
    ],
)
def test_an_end_before_the_end_leaves_the_rest_for_later(
    tmp_path: Path,
    photos: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: BaseException,
    code: int,
    message: str,
) -> None:
    arguments = (photos, "-o", tmp_path / "out", "--model", model)
    pretend(monkeypatch, PartReport(0, 16, 0, 0), end)

    assert run(*arguments) == code
    assert message in capsys.readouterr().err
    asked = pretend(monkeypatch, PartReport(1), PartReport(2))
    assert run(*arguments) == 0
    assert "going on: 1 of 3 parts are there" in capsys.readouterr().err
    assert asked[0][1] == [1, 2]


def test_before_anything_is_planned_nothing_is_left(
    tmp_path: Path,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.scale.Job.open", interrupted)

    assert run(photos, "-o", tmp_path / "out") == 130
    assert "interrupted before anything was read" in capsys.readouterr().err
