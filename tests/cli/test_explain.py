"""``mien explain`` with the real detector and a network of one random layer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.models import write_tiny_model

from mien.cli import main
from mien.images import encode, read

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"

Run = Callable[..., tuple[object, str, str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def run(
    model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["explain", "--model", str(model), *map(str, arguments)])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jpg"], "missing.jpg: there is no such file; check the path"),
        (["text.jpg"], "text.jpg: "),
        ([ASTRONAUT, "--label", "joy"], "tiny has no label 'joy': choose one of angry, "),
        ([ASTRONAUT, "-o", "text.jpg"], "cannot write text.jpg: File exists"),
        ([ASTRONAUT, "--head", "age"], "tiny has no head 'age'"),
        ([ASTRONAUT, "--method", "grad-cam"], "grad-cam needs a .keras file: name one with"),
        ([ASTRONAUT, "--model", "none.onnx"], "none.onnx: there is no such model file"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line(
    run: Run, tmp_path: Path, arguments: list[object], message: str
) -> None:
    (tmp_path / "text.jpg").write_text("hello")

    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert err.startswith("mien: ")
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text.jpg"]


@pytest.mark.parametrize(
    "arguments", [[], [ASTRONAUT, "--method", "magic"], [ASTRONAUT, "--why"]], ids=str
)
def test_usage_errors(run: Run, arguments: list[object]) -> None:
    assert run(*arguments)[:2] == (2, "")


def test_keras_is_an_extra(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.keras").touch()
    monkeypatch.setitem(sys.modules, "keras", None)
    for name in [name for name in sys.modules if name.startswith("mien.train")]:
        monkeypatch.delitem(sys.modules, name)
    code, _, err = run(ASTRONAUT, "--method", "grad-cam", "--model", "a.keras")
    assert (code, "pip install 'mien[train]'" in err) == (2, True)


def test_no_face_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wall.png").write_bytes(encode(np.full((80, 90, 3), 90, np.uint8), "png"))
    assert run("wall.png") == (0, "wall.png: no face found, so nothing to explain\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["wall.png"]


def test_both_pictures_are_written_and_named(run: Run, tmp_path: Path) -> None:
    code, out, err = run(ASTRONAUT, "-o", "new/why")

    assert (code, err) == (0, "")
    face, where = out.splitlines()
    assert face.startswith(f"{ASTRONAUT}: face 1: ")
    photo, sheet = tmp_path / "new/why/astronaut.why.jpg", Path("new/why/astronaut.why-faces.png")
    assert where == f"{ASTRONAUT}: see new/why/astronaut.why.jpg and {sheet}"
    assert read(photo).shape[0] > 512, "a legend stands below the photo"
    assert read(sheet).shape[1] > 3 * 192


def test_another_label_is_explained_beside_the_reading(run: Run) -> None:
    _, out, _ = run(ASTRONAUT)
    top = out.split("face 1: ")[1].split()[0]
    other = "sad" if top != "sad" else "happy"
    code, out, _ = run(ASTRONAUT, "--label", other)
    assert code == 0
    assert f"face 1: {other} " in out
    assert f"(read as {top} " in out


def test_several_images_of_one_name_past_a_bad_one(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_bytes(ASTRONAUT.read_bytes())

    code, out, err = run("a/x.jpg", "missing.jpg", "b/x.jpg")

    assert code == 1
    assert out.count("face 1: ") == 2
    assert err.splitlines()[0] == "mien: 1 of 3 images could not be read:"
    assert {path.name for path in tmp_path.glob("*.*")} == {
        "x.why.jpg", "x.why-faces.png", "x-2.why.jpg", "x-2.why-faces.png",
    }  # fmt: skip
