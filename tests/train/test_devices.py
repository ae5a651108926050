from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from tests.support.drawn import write_csvs

from mien.errors import ConfigError
from mien.train.devices import OneDevice, open_devices

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("count", "batch_size", "message"),
    [
        (0, 16, "cannot be shared out evenly among 0"),
        (3, 16, "cannot be shared out evenly among 3"),
        (16, 16, "16 devices are asked for, TensorFlow sees"),
    ],
)
def test_devices_that_cannot_be_used_are_told(count: int, batch_size: int, message: str) -> None:
    if keras.backend.backend() != "tensorflow":
        message = "are for Keras' TensorFlow back end"

    with pytest.raises(ConfigError, match=message):
        open_devices(count, batch_size)


def test_one_device_is_any_back_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")

    assert isinstance(open_devices(1, 7), OneDevice)
    with pytest.raises(ConfigError, match="this is torch: unset KERAS_BACKEND"):
        open_devices(2, 16)


@pytest.mark.parametrize(("backend", "count"), [("tensorflow", 1), ("torch", 2)])
def test_bfloat16_is_for_one_device_of_torch(
    backend: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)

    with pytest.raises(ConfigError, match="set KERAS_BACKEND=torch, or set precision to float32"):
        open_devices(count, 16, "bfloat16")


def test_two_devices_train_as_one_does_and_go_on_after_a_stop(tmp_path: Path) -> None:
    write_csvs(tmp_path)
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.train.devices_child", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two, resumed = json.loads((tmp_path / "losses.json").read_text())

    assert len(one["steps"]) == 4
    assert len(set(one["steps"])) == 4
    assert two["steps"] == pytest.approx(one["steps"], rel=1e-5)
    assert two["held_out"] == pytest.approx(one["held_out"], rel=1e-5)
    assert [row["epoch"] for row in resumed] == [1, 2]
