"""``mien benchmark`` with networks of one random layer."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.models import write_onnx, write_tiny_model

from mien.bench import run as bench_run
from mien.cli import main

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "benchmark.py"
ASTRONAUT = ROOT / "examples" / "astronaut.jpg"
QUICK = ("--iterations", "3", "--warmup", "1", "--batch", "1,2")

Run = Callable[..., tuple[object, str, str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a detector, which has no card."""
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder)
    write_onnx(folder / "detector.onnx")
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["benchmark", *map(str, arguments)])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["."], "mien: . holds no models: expected files ending in .onnx, .tflite, .keras"),
        (["none.onnx"], "mien: none.onnx: there is no such model file"),
        (["none.pt"], "mien: none.pt: expected a folder or a file ending in"),
        (["none.onnx", "--batch", "0"], "mien: --batch 0: expected numbers from 1 to 4096"),
        (["none.onnx", "--batch", ""], "mien: --batch : expected numbers from 1 to 4096"),
        (["none.onnx", "--threads", "1,x"], "mien: --threads 1,x: expected numbers from 1 to"),
        (["none.onnx", "--json", "--markdown"], "--json and --markdown both print"),
        (["none.onnx", "--data", "none.csv"], "mien: no data at none.csv"),
        (["none.onnx", "-o", "file"], "mien: cannot write file: File exists"),
        (["a.onnx", "b.onnx", "--end-to-end", "."], "name at most one"),
        (["--end-to-end", "."], "mien: . holds no images to read"),
        (["--end-to-end", "none"], "mien: none cannot be listed as a folder"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()

    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_a_reference_must_be_compared(run: Run, models: Path) -> None:
    code, _, err = run(models, "--reference", "other.onnx")

    assert code == 2
    assert "--reference other.onnx is none of the models that are compared" in err


def test_tables_on_the_screen(run: Run, models: Path) -> None:
    code, out, err = run(models, *QUICK, "--threads", "1,2")

    assert code == 0
    assert "Models" in out
    assert out.count("tiny.onnx") == 1 + 4
    assert "left out, as it has no card:" in err


def test_json_with_memory_and_accuracy(
    run: Run, models: Path, drawn_csvs: tuple[Path, Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, out, _ = run(
        models / "tiny.onnx", *QUICK, "--memory", "--data", drawn_csvs[0], "--json",
        "-o", tmp_path / "report",
    )  # fmt: skip

    assert (code, json.loads(out)["complete"]) == (0, True)
    (model,) = json.loads(out)["models"]
    assert [(each["batch"], each["calls"]) for each in model["timings"]] == [(1, 3), (2, 3)]
    assert model["accuracy"]["splits"].keys() == {"PublicTest", "PrivateTest"}
    assert model["memory"] is None or model["memory"]["peak_mb"] > 0
    files = {path.name: path for path in (tmp_path / "report").iterdir()}
    assert files.keys() == {"benchmark.json", "benchmark.md", "benchmark.png"}
    assert json.loads(files["benchmark.json"].read_text()) == json.loads(out)
    assert "| tiny.onnx | float32 |" in files["benchmark.md"].read_text()


def test_one_bad_model_of_several_is_named_and_the_others_measured(
    run: Run, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models, tmp_path / "all")
    (tmp_path / "all" / "bad.onnx").write_bytes(b"no graph")
    shutil.copy(models / "tiny.card.json", tmp_path / "all" / "bad.card.json")

    code, out, err = run(tmp_path / "all", *QUICK)

    assert code == 1
    assert "tiny.onnx" in out
    assert "mien: not measured: " in err
    assert "bad.onnx is none of the files its card describes" in err


def test_a_bad_model_alone_is_the_error(run: Run, tmp_path: Path) -> None:
    code, out, err = run(write_onnx(tmp_path / "bare.onnx"), *QUICK)

    assert (code, out) == (2, "")
    assert "no model card" in err


def test_markdown_names_the_command_without_this_machines_folders(
    run: Run, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["mien", "benchmark", str(models / "tiny.onnx"), "--markdown"])

    code, out, _ = run(models / "tiny.onnx", *QUICK, "--markdown")

    assert code == 0
    assert out.startswith("    mien benchmark tiny.onnx --markdown\n")
    assert str(models) not in out


def test_whole_photos(run: Run, models: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(ASTRONAUT, photos / "a.jpg")

    code, out, _ = run(models / "tiny.onnx", "--end-to-end", photos, "--iterations", "2", "--json")

    content = json.loads(out)["end_to_end"]
    assert code == 0
    (stages,) = content["stages"]
    assert (stages["photos"], stages["faces"]) == (2, 2)
    assert [each["stage"] for each in stages["stages"]] == [
        "decode", "detect", "crop", "classify", "sum",
    ]  # fmt: skip
    assert all(each["photos"] == 2 for each in content["workers"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently there")
def test_an_interrupt_leaves_whole_files(
    run: Run, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> object:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return timings(*arguments)

    timings = bench_run._timings
    monkeypatch.setattr(bench_run, "_timings", interrupt)

    code, _, err = run(models, *QUICK, "--memory", "-o", tmp_path)

    assert code == 130
    assert "interrupted; these are the figures until then" in err
    assert json.loads((tmp_path / "benchmark.json").read_text())["complete"] is False
    assert "**Interrupted:**" in (tmp_path / "benchmark.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"benchmark.json", "benchmark.md"}


@pytest.mark.parametrize("profiler", [(), ("-m", "memory_profiler")], ids=["plain", "profiled"])
def test_the_script_with_the_documents_name(models: Path, profiler: tuple[str, ...]) -> None:
    if profiler:
        pytest.importorskip("memory_profiler")
    ran = subprocess.run(
        [sys.executable, *profiler, str(SCRIPT), str(models), *QUICK],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "tiny.onnx" in ran.stdout
    assert ("Mem usage" in ran.stdout) == bool(profiler)
