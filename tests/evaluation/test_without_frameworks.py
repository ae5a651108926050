"""``mien evaluate`` and ``mien audit`` where no training framework is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.documents import ROOT

FRAMEWORKS = ("keras", "tensorflow", "torch", "cv2", "onnx", "tf2onnx", "av", "fastapi")

PROGRAM = f"""
import sys


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FRAMEWORKS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Missing())

from mien.cli import main

main(sys.argv[1:])
"""


def mien(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_model_is_evaluated(csvs: tuple[Path, Path], tmp_path: Path) -> None:
    data, votes = map(str, csvs)
    done = mien("evaluate", "--data", data, "--votes", votes, "--flip", "-o", str(tmp_path))

    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["results"][0]["count"] == 21
    assert list(tmp_path.glob("*.png"))


def test_a_folder_of_faces_is_evaluated(tmp_path: Path) -> None:
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    photo = tmp_path / "faces" / "happy" / "astronaut.jpg"
    photo.write_bytes((ROOT / "examples" / "astronaut.jpg").read_bytes())
    done = mien("evaluate", "--dataset", "folder", "--data", str(tmp_path / "faces"), "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dataset"]["judged"] == 1


def test_labels_are_audited(csvs: tuple[Path, Path], tmp_path: Path) -> None:
    done = mien("audit", str(csvs[0]), "--votes", str(csvs[1]), "-o", str(tmp_path / "audit"))

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "audit" / "index.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (("evaluate", "models/best_model.keras", "--data", "CSV"), "keras", "train"),
        (("train", "--data", "CSV"), "opencv-python-headless", "train"),
    ],
)
def test_what_needs_a_framework_says_so(
    arguments: tuple[str, ...], package: str, extra: str, csvs: tuple[Path, Path]
) -> None:
    done = mien(*(str(csvs[0]) if each == "CSV" else each for each in arguments))

    assert done.returncode == 2
    assert f"'{package}'" in done.stderr
    assert f"pip install 'mien[{extra}]'" in done.stderr
