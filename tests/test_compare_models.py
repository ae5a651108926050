"""The script that lays the models beside each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mien.card import FileRecord, ModelCard, write_card
from mien.types import EMOTIONS

SCRIPT = Path(__file__).parents[1] / "scripts" / "compare_models.py"
BOTH = "PublicTest + PrivateTest"
SUPPORT = (958, 111, 1024, 1774, 1233, 1247, 831)
BEGIN, END = "<!-- compare_models: begin -->", "<!-- compare_models: end -->"


def compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def card(folder: Path, name: str, accuracy: float) -> Path:
    path = folder / f"{name}.card.json"
    metrics = {BOTH: {"accuracy": accuracy, "accuracy_low": accuracy, "accuracy_high": 0.75}}
    files = {f"{name}.onnx": FileRecord("", 6_400_000)}
    described = ModelCard(name, "1", parameters=1_600_000, files=files, metrics=metrics)
    write_card(described, path)
    return path


def report(folder: Path, name: str, supports: tuple[int, ...] = SUPPORT) -> Path:
    result: dict[str, Any] = {
        "head": "emotion", "split": BOTH, "unseen": False, "flip": False,
        "accuracy": 0.6789, "accuracy_interval": {"low": 0.66, "high": 0.69}, "macro_f1": 0.64321,
        "ece": 0.0123, "set_coverage": 0.901, "mean_set_size": 1.9, "accuracy_at_80": 0.75,
        "per_class": [
            {"label": label, "precision": 0.5, "recall": 0.25, "f1": 1 / 3, "support": support}
            for label, support in zip(EMOTIONS, supports, strict=True)
        ],
    }  # fmt: skip
    path = folder / f"{name}.report.json"
    path.write_text(json.dumps({"model": name, "results": [result]}))
    return path


def row(text: str, name: str) -> list[str]:
    (line,) = [each for each in text.splitlines() if each.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"model": "x", "results": [1]}'])
def test_another_file_is_one_clear_line(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)

    ran = compare(path)

    assert ran.returncode == 1
    assert "is neither a model card nor a report" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_cards_and_reports_of_one_name_are_one_model(tmp_path: Path) -> None:
    files = card(tmp_path, "a", 0.7), card(tmp_path, "b", 0.6), report(tmp_path, "a")

    ran = compare(*files)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert row(ran.stdout, "Accuracy, both") == ["63 to 66 %", "67.89 %", "60.00 %"]
    assert row(ran.stdout, "95 % interval, both")[1:] == ["66.0 to 69.0 %", "60.0 to 75.0 %"]
    assert row(ran.stdout, "Weights") == ["15 MB", "6.4 MB", "6.4 MB"]
    assert row(ran.stdout, "Macro F1, both") == ["0.62", "0.643", "-"]
    assert row(ran.stdout, "Disgust") == [
        "111", "0.62 / 0.15 / 0.24", "0.50 / 0.25 / 0.33", "-",
    ]  # fmt: skip


def test_a_report_on_other_rows_is_refused(tmp_path: Path) -> None:
    ran = compare(report(tmp_path, "a", (1, *SUPPORT[1:])))

    assert ran.returncode == 1
    assert ran.stderr == "a: 1 rows of angry, not 958\n"


def test_a_page_is_renewed_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    page.write_text(f"above\n{BEGIN}\nstale\n{END}\nbelow\n")

    ran = compare(report(tmp_path, "a"), "--write", page)

    text = page.read_text()
    assert (ran.returncode, ran.stdout) == (0, "")
    assert text.startswith(f"above\n{BEGIN}\n|")
    assert text.endswith(f"|\n{END}\nbelow\n")
    assert "stale" not in text


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "models.md"
    page.write_text("mine")

    ran = compare(report(tmp_path, "a"), "--write", page)

    assert ran.returncode == 1
    assert "expected one <!-- compare_models: begin -->" in ran.stderr
    assert page.read_text() == "mine"
