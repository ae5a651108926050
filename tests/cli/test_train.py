from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.commands import exit_code

from mien.cli import main
from mien.train import runs
from mien.train.recipes import load_recipe

ROOT = Path(__file__).parents[2]

SMALL = """
model: {architecture: glance}
training: {batch_size: 16, epochs: 2, warmup_epochs: 0, validation_split: 0.2}
"""


@pytest.fixture(autouse=True)
def a_small_config(drawn_folder: Path) -> None:
    """Work in a folder that holds the drawn data and a small config.yaml."""
    (drawn_folder / "config.yaml").write_text(SMALL)


failing = partial(exit_code, "train")


MISTAKES = {
    "nothing given": ((), "name FER2013 with --data"),
    "no such data": (("--data", "none.csv"), "no data at none.csv"),
    "no such config": (("--config", "none.yaml"), "cannot read the recipe none.yaml"),
    "no such recipe": (("--recipe", "resnet"), "choose one of glance"),
    "two sources": (("--config", "config.yaml", "--recipe", "glance"), "choose one"),
    "no epochs": (("--epochs", "0"), "training.epochs"),
    "too few rows": (
        ("--recipe", "glance-57m", "--data", "fer2013.csv"),
        "cannot hold 5% of 'angry' out: only 12 different images",
    ),
    "no teacher": (
        ("--recipe", "glance", "--data", "fer2013.csv"),
        "name a trained model with --teacher",
    ),
    "no such start": (
        ("--data", "fer2013.csv", "--start", "none.keras"),
        "none.keras: there is no such model file",
    ),
    "no such votes": (
        ("--data", "fer2013.csv", "--votes", "none.csv"),
        "cannot read the FER+ votes",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert failing(*arguments) == 2

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_the_summary_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--recipe", "glance", "--summary"])

    output = capsys.readouterr().out
    assert caught.value.code == 0
    assert "glance: 1,584,047 parameters, 46,176,000 multiply-adds" in output


def test_augmented_pictures_can_be_looked_at() -> None:
    assert failing("--data", "fer2013.csv", "--show-augmentation", "deep/sheet.png") == 0

    with Image.open("deep/sheet.png") as sheet:
        assert sheet.size == (900, 800)


def test_bad_rows_are_listed_if_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    with Path("fer2013.csv").open("a") as file:
        file.write("9,1 2 3,Training\n")
    arguments = ("--data", "fer2013.csv", "--show-augmentation", "sheet.png")

    assert failing(*arguments) == 2
    assert "row 120: emotion is '9'" in capsys.readouterr().err
    assert failing(*arguments, "--skip-bad") == 0
    assert re.search(r"skipped 1 bad.*row 120: emotion", capsys.readouterr().err, re.DOTALL)


def test_a_run_is_trained_and_not_trained_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing("--data", "fer2013.csv", "--epochs", "1", "--seed", "5") == 0

    run = Path("runs/glance")
    assert [row.epoch for row in runs.read_log(run)] == [1]
    stored = load_recipe(run / "recipe.yaml").training
    assert (stored.epochs, stored.seed) == (1, 5)
    assert "mien export runs/glance" in capsys.readouterr().err
    assert failing("--data", "fer2013.csv") == 2
    assert "continue it with --resume" in capsys.readouterr().err
    # Settings of the run itself are taken, not config.yaml's: there is nothing left to do.
    assert failing("--data", "fer2013.csv", "--resume", "--run", "runs/glance") == 0
    assert [row.epoch for row in runs.read_log(run)] == [1]


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "train", "--data", "fer2013.csv", "--epochs", "500"],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 200
    while not Path("runs/glance/checkpoint.npz").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1].decode()

    assert process.returncode == 130, error
    assert "mien train --resume --run runs/glance --data fer2013.csv" in error
    assert "Traceback" not in error
    assert np.isfinite(runs.read_log(Path("runs/glance"))[0].loss)
