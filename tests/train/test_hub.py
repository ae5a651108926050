"""The folder for the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.support.models import make_card, some_crops, write_onnx

from mien.card import read_card, record_of, write_card
from mien.cli import main
from mien.errors import ModelError
from mien.runtime import default_model, open_session
from mien.train.hub import config_of, write_hub
from mien.types import EMOTIONS

ROOT = Path(__file__).parents[2]
FIGURES = {"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6, "macro_f1": 0.45}


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """A graph and something that stands for the Keras file of the same network."""
    graph, network = write_onnx(tmp_path / "tiny.onnx"), tmp_path / "best_model.keras"
    network.write_bytes(b"weights")
    card = make_card(
        graph, network, metrics={"PrivateTest": FIGURES}, recipe={"model": {"architecture": "net"}}
    )
    write_card(card, tmp_path / "tiny.card.json")
    write_card(card, tmp_path / "best_model.card.json")
    return graph, network


def forget(graph: Path) -> None:
    graph.unlink()


def damage(graph: Path) -> None:
    graph.write_bytes(graph.read_bytes() + b"x")


def rename(graph: Path) -> None:
    card = graph.with_name("tiny.card.json")
    write_card(replace(read_card(card), name="other"), card)


def train_again(graph: Path) -> None:
    network = graph.with_name("best_model.keras")
    network.write_bytes(b"other weights")
    card = network.with_name("best_model.card.json")
    records = {graph.name: record_of(graph), network.name: record_of(network)}
    write_card(replace(read_card(card), files=records), card)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (forget, "no such model file"),
        (damage, "not the file its card describes"),
        (rename, "not of one training"),
        (train_again, "not of one training"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    models: tuple[Path, Path], tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    change(models[0])

    with pytest.raises(ModelError, match=message):
        write_hub(tmp_path / "hub", models)

    assert not (tmp_path / "hub").exists()


def test_a_folder_is_whole_and_its_model_reads(models: tuple[Path, Path], tmp_path: Path) -> None:
    hub = tmp_path / "hub"

    written = write_hub(hub, models)

    names = ["README.md", "config.json", "tiny.onnx", "tiny.keras", "tiny.card.json", "LICENSE"]
    assert [path.name for path in written] == names
    assert sorted(path.name for path in hub.iterdir()) == sorted(names)
    crops = some_crops(3)
    read_there, read_here = open_session(hub / "tiny.onnx"), open_session(models[0])
    there, here = read_there(crops), read_here(crops)
    assert set(there) == set(here) == set(read_here.card.heads)
    for head, logits in here.items():
        np.testing.assert_array_equal(there[head], logits)
    assert read_there.card.files["tiny.keras"] == record_of(models[1])
    assert (hub / "LICENSE").read_text().startswith("MIT License")


def test_the_front_matter_is_what_the_hub_reads(models: tuple[Path, Path], tmp_path: Path) -> None:
    write_hub(tmp_path, models)

    _, front, body = (tmp_path / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    content = yaml.safe_load(front)
    assert content["license"] == "mit"
    assert content["pipeline_tag"] == "image-classification"
    (result,) = content["model-index"][0]["results"]
    assert result["dataset"] == {"type": "fer2013", "name": "FER2013", "split": "PrivateTest"}
    assert {each["type"]: each["value"] for each in result["metrics"]} == {
        "accuracy": 0.5,
        "f1": 0.45,
    }
    assert "$" not in body
    assert "| PrivateTest | 50.0 % | 40.0 % | 60.0 % |" in body
    assert "| eyes | 0.185 on either side | 0.100 above |" in body
    assert "1.0 times the frame's side" in body
    for heading in ("Intended use", "Prohibited use", "Figures", "Limits and bias"):
        assert f"\n## {heading}\n" in body


def test_labels_are_numbered_in_the_order_of_the_columns() -> None:
    config = config_of(make_card())

    assert config["id2label"] == {str(index): label for index, label in enumerate(EMOTIONS)}
    assert [config["label2id"][label] for label in EMOTIONS] == list(range(7))


def test_without_a_run_the_model_that_ships_is_laid_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main(["export", "--hub", "hub"])

    assert caught.value.code == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0] == str(Path("hub") / "README.md")
    assert all(Path(line).is_file() for line in listed)
    assert json.loads(Path("hub/config.json").read_text())["model_type"] == "glance"


def test_the_page_of_the_model_card_is_that_of_the_model_that_ships(tmp_path: Path) -> None:
    write_hub(tmp_path, [default_model(), ROOT / "models" / "best_model.keras"])

    page = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert page == (tmp_path / "README.md").read_text(encoding="utf-8"), "run  make model-card"
