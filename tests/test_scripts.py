"""The launchers with the names of the reference document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.models import write_tiny_model

ROOT = Path(__file__).parents[1]
PREDICT = ROOT / "scripts" / "predict_emotion.py"
ASTRONAUT = ROOT / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


def run(script: Path, *arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
    )


class TestPredictEmotion:
    def test_without_an_image_it_says_what_it_needs(self) -> None:
        ran = run(PREDICT)

        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith("mien: expected an IMAGE, several, or --batch DIR")

    def test_a_missing_image_is_one_line(self, model: Path) -> None:
        ran = run(PREDICT, "missing.jpg", "--model", model)

        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == "mien: missing.jpg: there is no such file; check the path\n"

    def test_an_image_from_any_folder(self, model: Path, tmp_path: Path) -> None:
        ran = run(PREDICT, ASTRONAUT, "--model", model, cwd=tmp_path)

        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith(f"{ASTRONAUT}: face 1: ")

    def test_a_folder(self, model: Path, tmp_path: Path) -> None:
        for name in ("a.jpg", "b.jpg"):
            (tmp_path / name).write_bytes(ASTRONAUT.read_bytes())

        ran = run(PREDICT, "--batch", tmp_path, "--jsonl", "--model", model)

        assert ran.returncode == 0
        images = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [Path(image["image"]).name for image in images] == ["a.jpg", "b.jpg"]
        assert [len(image["faces"]) for image in images] == [1, 1]
