from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mien.card import FileRecord, ModelCard
from mien.cli import main

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing argument"),
        (("a.keras",), "expected --dynamic, --int8, --float16, --float32 or --all"),
        (("a.keras", "--dynamic", "--max-drop", "-1"), "Invalid value for '--max-drop'"),
        (("a.keras", "--int8"), "mien: int8 needs faces"),
        (("a.keras", "--all"), "mien: int8 needs faces"),
        (("a.keras", "--dynamic", "--data", "none.csv"), "mien: no data at none.csv"),
        (("a.keras", "--dynamic"), "mien: a.keras: there is no such model file"),
    ],
)
def test_a_mistake_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main(["optimize", *arguments])

    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "precisions", "output", "max_drop", "rows"),
    [
        (("--dynamic",), ["dynamic"], "models/optimised", 1.0, None),
        (("--int8", "--float16", "-o", "out"), ["float16", "int8"], "out", 1.0, 119),
        (
            ("--all", "--max-drop", "0.3"),
            ["float32", "float16", "dynamic", "int8"],
            "models/optimised",
            0.3,
            119,
        ),
    ],
)
def test_what_is_asked_for_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    drawn_csvs: tuple[Path, Path],
    options: tuple[str, ...],
    precisions: list[str],
    output: str,
    max_drop: float,
    rows: int | None,
) -> None:
    from mien.train import optimise as package

    asked: list[Any] = []

    def optimise(
        model: Path, wanted: list[str], folder: Path, dataset: Any, **more: Any
    ) -> package.Optimised:
        more.pop("on_step")("writing")
        asked.extend([model, wanted, folder, None if dataset is None else len(dataset), more])
        metrics = {"held-out": {"accuracy": 0.5, "agreement": 0.99, "moved": 0.0123}}
        files = {
            "best_model.keras": FileRecord("0", 4_000_000),
            "glance.tflite": FileRecord("1", 1_000_000, "dynamic", metrics),
        }
        return package.Optimised(
            ModelCard(name="glance", version="1", files=files), (folder / "glance.tflite",)
        )

    monkeypatch.setattr(package, "optimise", optimise)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = [] if rows is None else ["--data", str(drawn_csvs[0])]

    with pytest.raises(SystemExit) as caught:
        main(["optimize", "models/best_model.keras", *options, *data])

    assert caught.value.code == 0
    assert asked == [
        Path("models/best_model.keras"),
        precisions,
        Path(output),
        rows,
        {"max_drop_points": max_drop},
    ]
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == f"{output}/glance.tflite"
    (row,) = [line.split() for line in lines[1:] if "glance.tflite" in line]
    assert row == ["glance.tflite", "1.00", "50.00%", "0.0123"]
    assert ("Accuracy was not measured" in printed.err) == (rows is None)


def test_the_launcher_of_the_reference_document_is_the_same_command() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "optimize_model.py", "models/best_model.keras"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("mien: expected --dynamic, --int8")
