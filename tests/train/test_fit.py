from __future__ import annotations

import ast
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.drawn import write_csvs

from mien.data import Dataset
from mien.errors import ConfigError, TrainingError
from mien.train import runs
from mien.train.recipes import Recipe, TrainingPart

from .conftest import recipe

ROOT = Path(__file__).parents[2]
BACKENDS = ("tensorflow", "torch")
_TORCH_ALONE = ("compare-precisions",)


def child(backend: str, folder: Path, *actions: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.child", *actions, str(folder)],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each back end, a folder with the run ``whole`` and the run ``killed``, gone on with."""
    pytest.importorskip("torch", reason="the second back end is not installed")
    folders = {backend: tmp_path_factory.mktemp(backend) for backend in BACKENDS}
    for folder in folders.values():
        write_csvs(folder)
    for actions, code in (
        (("train-and-be-killed",), -signal.SIGKILL),
        (("go-on", "compare-direct-layers", "compare-normalisations"), 0),
    ):
        children = {
            name: child(
                name, folder, *actions, *(_TORCH_ALONE if (name, code) == ("torch", 0) else ())
            )
            for name, folder in folders.items()
        }
        for backend, process in children.items():
            errors = process.communicate(timeout=300)[1].decode()
            assert process.returncode == code, f"{backend}: {errors[-2000:]}"
    return folders


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(
    trained: dict[str, Path], backend: str
) -> None:
    whole, killed = (
        {
            f"{file}.{name}": array
            for file in ("checkpoint.npz", "best.npz", "last.npz")
            for name, array in runs.load_arrays(trained[backend] / run / file).items()
        }
        for run in ("whole", "killed")
    )

    assert whole.keys() == killed.keys()
    assert [name for name in whole if not np.array_equal(whole[name], killed[name])] == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_log_goes_on_too(trained: dict[str, Path], backend: str) -> None:
    whole, killed = (
        [
            (row.epoch, row.loss, row.held_out_accuracy)
            for row in runs.read_log(trained[backend] / run)
        ]
        for run in ("whole", "killed")
    )

    assert whole == killed
    assert [epoch for epoch, *_ in whole] == [1, 2, 3]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_folder_holds_everything_and_nothing_else(
    trained: dict[str, Path], backend: str
) -> None:
    expected = {"recipe.yaml", "data.json", "origins.json", "log.csv", "curves.png"}
    expected |= {"checkpoint.npz", "best.npz", "last.npz"}

    assert {path.name for path in (trained[backend] / "killed").iterdir()} == expected


@pytest.mark.parametrize("backend", BACKENDS)
def test_fused_normalisation_equals_keras_own(trained: dict[str, Path], backend: str) -> None:
    differences = ast.literal_eval((trained[backend] / "differences.txt").read_text())

    assert differences.pop("d_gamma") < 1e-4  # a sum over 240 values
    assert differences.pop("d_beta") < 1e-4
    assert differences.pop("inference") < 1e-2  # moving variance differs by Bessel's correction
    assert len(differences) == 4
    assert max(differences.values()) < 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
def test_direct_layers_equal_keras_own(trained: dict[str, Path], backend: str) -> None:
    differences = ast.literal_eval((trained[backend] / "direct_layers.txt").read_text())

    assert len(differences) == 18  # even and odd sizes; strides of 1 and 2, or windows of 2, 3, 5
    assert max(differences.values()) < 1e-4


def test_bfloat16_follows_float32_and_keeps_its_weights(trained: dict[str, Path]) -> None:
    losses = ast.literal_eval((trained["torch"] / "precisions.txt").read_text())
    kept = runs.load_arrays(trained["torch"] / "bfloat16" / "checkpoint.npz")

    assert losses["bfloat16"] != losses["float32"]
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.05)
    assert {kept[name].dtype for name in kept if name[0] == "w"} == {np.dtype(np.float32)}


def training(**changes: float) -> TrainingPart:
    return TrainingPart.model_validate(
        {"epochs": 10, "warmup_epochs": 2, "learning_rate": 0.1, "min_learning_rate": 0.01}
        | changes
    )


@pytest.mark.parametrize(
    ("position", "expected"),
    [(1.0, 0.05), (2.0, 0.1), (6.0, 0.055), (10.0, 0.01), (11.0, 0.01)],
)
def test_the_rate_warms_up_and_follows_a_cosine(position: float, expected: float) -> None:
    from mien.train.fit import learning_rate_at

    assert learning_rate_at(position, training()) == pytest.approx(expected)


def test_the_first_step_moves_a_little() -> None:
    from mien.train.fit import learning_rate_at

    assert 0 < learning_rate_at(0.0, training()) < 1e-3
    assert learning_rate_at(0.0, training(warmup_epochs=0)) == pytest.approx(0.1)


def test_votes_are_asked_for(tmp_path: Path, drawn: Dataset) -> None:
    from dataclasses import replace

    from mien.train.fit import fit

    with pytest.raises(ConfigError, match="give --votes"):
        fit(recipe(ferplus_weight=1.0), replace(drawn, votes=None), tmp_path / "run")


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_epoch(
    tmp_path: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.train import fit

    monkeypatch.setattr(fit, "learning_rate_at", lambda epoch, _: 1e-3 if epoch < 1 else 1e30)

    with pytest.raises(TrainingError, match=r"loss is (nan|inf) in epoch 2.*lower learning_rate"):
        fit.fit(recipe(epochs=2), drawn, tmp_path)
    kept = runs.load_arrays(tmp_path / "checkpoint.npz")
    assert int(kept["epochs"]) == 1
    assert all(np.isfinite(array).all() for name, array in kept.items() if name[0] in "vw")


def test_the_references_network_and_optimiser_train_on_small_pictures_too(
    tmp_path: Path, drawn: Dataset
) -> None:
    from mien.train.fit import fit

    settings = recipe(batch_size=64, small_epochs=1, small_px=24).to_dict()
    settings["model"]["architecture"] = "mini_xception"

    log = fit(Recipe.model_validate(settings), drawn, tmp_path)

    assert settings["training"]["optimiser"] == "adam"
    assert [math.isfinite(row.loss) for row in log] == [True]
    assert runs.trained_model(tmp_path).name == "mini_xception"


class ResourceExhaustedError(Exception):
    """Named as TensorFlow's own."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_a_full_memory_is_one_clear_sentence(
    tmp_path: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    from mien.train import fit

    def run_out(*_: object) -> None:
        raise error

    monkeypatch.setattr(fit._Run, "one_epoch", run_out)

    with pytest.raises(TrainingError, match="memory ran out with batches of 16: lower batch_size"):
        fit.fit(recipe(), drawn, tmp_path)


def test_other_errors_stay_what_they_are(
    tmp_path: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.train import fit

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fit._Run, "one_epoch", fail)

    with pytest.raises(ZeroDivisionError):
        fit.fit(recipe(), drawn, tmp_path)


def test_a_folder_is_not_trained_over(tmp_path: Path, drawn: Dataset) -> None:
    runs.open_folder(tmp_path, recipe(), drawn, resume=False)

    with pytest.raises(ConfigError, match="--resume"):
        runs.open_folder(tmp_path, recipe(), drawn, resume=False)


def test_another_recipe_does_not_go_on(tmp_path: Path, drawn: Dataset) -> None:
    runs.open_folder(tmp_path, recipe(), drawn, resume=False)

    with pytest.raises(ConfigError, match="the recipe differs"):
        runs.open_folder(tmp_path, recipe(seed=1), drawn, resume=True)


def test_other_data_does_not_go_on(tmp_path: Path, drawn: Dataset) -> None:
    runs.open_folder(tmp_path, recipe(), drawn, resume=False)

    with pytest.raises(TrainingError, match="not the data"):
        runs.open_folder(tmp_path, recipe(), drawn.take(np.arange(100)), resume=True)
    runs.open_folder(tmp_path, recipe(), drawn, resume=True)


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    runs.save_arrays(path, {"w0": np.arange(1000)})
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(TrainingError, match="is damaged"):
        runs.load_arrays(path)


def test_weights_are_not_there_before_the_first_epoch(tmp_path: Path, drawn: Dataset) -> None:
    runs.open_folder(tmp_path, recipe(), drawn, resume=False)

    with pytest.raises(TrainingError, match="no trained weights yet"):
        runs.trained_model(tmp_path)
