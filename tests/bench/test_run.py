"""Benchmarks as a notebook runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.documents import ROOT
from tests.support.models import write_tiny_model

from mien.bench.accuracy import Labelled
from mien.bench.run import Plan, measure_models, measure_photos
from mien.errors import ConfigError, InputError, ModelError

QUICK = Plan(iterations=2, warmup=0, batches=(1,))


def test_models_are_measured(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path)
    rows = Labelled(np.zeros((2, 48, 48, 1), np.uint8), np.zeros(2, int), np.array(["Test"] * 2))

    measured = measure_models(QUICK, [path], labelled=rows)

    assert measured.failures == ()
    assert measured.report.complete
    assert [each.name for each in measured.report.models] == [path.name]
    assert measured.report.accuracy is not None
    assert measured.report.accuracy[path.name].rows == 2


def test_one_model_that_cannot_be_opened_is_a_failure_and_all_are_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    good = write_tiny_model(tmp_path)

    assert len(measure_models(QUICK, [broken, good]).failures) == 1
    with pytest.raises(ModelError):
        measure_models(QUICK, [broken])


def test_a_reference_must_be_among_the_models(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of the models"):
        measure_models(QUICK, [write_tiny_model(tmp_path)], reference=tmp_path / "other.onnx")


def test_photos_are_measured_and_there_must_be_some(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="no images"):
        measure_photos(QUICK, None, tmp_path / "photos")
    (tmp_path / "photos" / "a.jpg").write_bytes((ROOT / "examples/astronaut.jpg").read_bytes())

    report = measure_photos(QUICK, None, tmp_path / "photos")

    assert report.settings["photos"] == 1
    assert report.chains


def test_importing_needs_no_scikit_learn() -> None:
    program = "import sys, mien.bench.run; print('sklearn' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "False"
