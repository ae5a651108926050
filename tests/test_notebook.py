"""The notebook: it runs from the top, also as a script, and its outputs may be published."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import mien

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "FER2013_Improved.ipynb"
NAMES_OF_CHAPTERS = (
    "Look at the data", "Augmentation", "The network", "Train", "Export, and judge once",
    "Quantise", "Read a photo",
)  # fmt: skip

#: Enough to go through every cell once: eight faces an emotion, one epoch.
SLICE = {"MIEN_NOTEBOOK_ROWS": "8", "MIEN_NOTEBOOK_EPOCHS": "1", "KERAS_BACKEND": "tensorflow"}


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, 4)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [each for cell in notebook.cells for each in cell.get("outputs", [])]


def test_it_tells_the_story_in_order(notebook: nbformat.NotebookNode) -> None:
    headings = re.findall(
        r"^## \d\. (.+)$",
        "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown"),
        re.M,
    )

    assert tuple(headings) == NAMES_OF_CHAPTERS


def test_it_was_run_from_top_to_bottom(notebook: nbformat.NotebookNode) -> None:
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]

    assert counts == list(range(1, len(counts) + 1))
    assert not [each for each in outputs(notebook) if each.output_type == "error"]
    assert sum("image/png" in each.get("data", {}) for each in outputs(notebook)) >= 8


def test_nothing_in_it_comes_from_fer2013_or_from_a_machine(
    notebook: nbformat.NotebookNode,
) -> None:
    text = "\n".join(
        str(each.get("text", "")) + str(each.get("data", {}).get("text/plain", ""))
        for each in outputs(notebook)
    )

    assert "on drawn faces" in text
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
    assert "Warning" not in text


def nbconvert(*arguments: object) -> None:
    """Convert in a process of its own, since nbclient leaves sockets open."""
    told = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--log-level", "ERROR", *map(str, arguments)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-3000:]


def environment() -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if k != "MIEN_FER2013"}, **SLICE}


def test_it_runs_on_a_slice(tmp_path: Path) -> None:
    patience = [f"--ExecutePreprocessor.{name}=600" for name in ("timeout", "startup_timeout")]
    nbconvert(
        "--to", "notebook", "--execute", *patience, "--output-dir", tmp_path, NOTEBOOK
    )  # fmt: skip

    fresh = nbformat.read(tmp_path / NOTEBOOK.name, 4)
    assert "reads" in outputs(fresh)[-1].text


def test_it_runs_as_a_script(tmp_path: Path) -> None:
    nbconvert("--to", "script", "--output-dir", tmp_path, NOTEBOOK)
    script = tmp_path / "FER2013_Improved.py"
    assert "get_ipython" not in script.read_text(encoding="utf-8")

    ran = subprocess.run(
        [sys.executable, str(script)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        cwd=NOTEBOOK.parent,
    )

    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.startswith(f"mien {mien.__version__} on drawn faces")
    assert "own reads" in ran.stdout
