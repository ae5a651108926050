from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from mien.card import Framing, ModelCard, read_card
from mien.data import FERPLUS_LABELS, Dataset
from mien.errors import ConfigError, InputError, ModelError, TrainingError
from mien.runtime import OnnxSession, open_session
from mien.train import export, nets, runs
from mien.train.recipes import Recipe
from mien.types import EMOTIONS


def untrained_run(folder: Path, dataset: Dataset, architecture: str, held_out: float = 0.3) -> Path:
    """Write a run folder as training leaves it, with weights that learned nothing."""
    recipe = Recipe.model_validate(
        {"model": {"architecture": architecture}, "training": {"validation_split": held_out}}
    )
    runs.open_folder(folder, recipe, dataset, resume=False)
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    weights = nets.logits_of(nets.build(architecture)).weights
    arrays = {  # moved, so that folding normalisation has something to get wrong
        f"w{index}": (np.array(weight) + generator.normal(0, 0.03, weight.shape)).astype("float32")
        for index, weight in enumerate(weights)
    }
    runs.save_arrays(folder / "best.npz", arrays)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, drawn: Dataset) -> export.Exported:
    folder = tmp_path_factory.mktemp("export")
    run = untrained_run(folder / "run", drawn, "glance")
    framing = Framing(scale=1.3, shift_y=0.1)
    onnx_path = folder / "assets" / "glance.onnx"
    return export.export_run(run, drawn, folder / "models", onnx_path, framing=framing)


def test_a_run_from_nothing_names_no_origin(exported: export.Exported) -> None:
    assert exported.card.protocol.endswith("on PublicTest or PrivateTest")


def file(exported: export.Exported, name: str) -> Path:
    return next(path for path in exported.files if path.name == name)


def test_a_run_that_held_nothing_out_is_refused(tmp_path: Path, drawn: Dataset) -> None:
    run = untrained_run(tmp_path / "run", drawn, "glance", held_out=0.0)

    with pytest.raises(ConfigError, match="validation_split is 0"):
        export.export_run(run, drawn, tmp_path, tmp_path / "glance.onnx")


def test_the_card_names_what_the_run_built_on(tmp_path: Path, drawn: Dataset) -> None:
    run = untrained_run(tmp_path / "run", drawn, "glance")
    origins = {"start": "a1b2c3d4" + "0" * 56, "teachers": ["1" * 64, "2" * 64]}
    (run / "origins.json").write_text(json.dumps(origins))

    card = export.export_run(run, drawn, tmp_path, tmp_path / "glance.onnx").card

    expected = "; began with the weights of a1b2c3d4; taught by 11111111 and 22222222"
    assert card.protocol.endswith(expected)


def test_other_data_is_refused(tmp_path: Path, drawn: Dataset) -> None:
    run = untrained_run(tmp_path / "run", drawn, "glance")

    with pytest.raises(TrainingError, match="not the data"):
        export.export_run(run, replace(drawn, votes=None), tmp_path, tmp_path / "glance.onnx")


def test_a_graph_that_differs_is_not_written(
    tmp_path: Path, drawn: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = untrained_run(tmp_path / "run", drawn, "glance")
    written = export.write_onnx

    def wrong(model: keras.Model, path: Path) -> None:
        other = keras.models.clone_model(model)
        other.set_weights([weight * 1.01 for weight in model.get_weights()])
        written(other, path)

    monkeypatch.setattr(export, "write_onnx", wrong)

    with pytest.raises(ModelError, match=r"differ from the network's by .*nothing was written"):
        export.export_run(run, drawn, tmp_path / "models", tmp_path / "assets" / "glance.onnx")
    assert list(tmp_path.glob("models/*")) == list(tmp_path.glob("assets/*")) == []


def test_every_file_is_there(exported: export.Exported) -> None:
    names = [path.name for path in exported.files]

    assert names == [
        "best_model.keras",
        "model_architecture.json",
        "glance.onnx",
        "best_model.card.json",
        "glance.card.json",
    ]
    assert all(path.is_file() for path in exported.files)
    assert not [path for each in exported.files for path in each.parent.glob(".*")]


def test_all_forms_give_the_same_logits(exported: export.Exported, drawn: Dataset) -> None:
    assert exported.parity <= 1e-4
    graph = open_session(file(exported, "glance.onnx"))
    network = open_session(file(exported, "best_model.keras"))
    for count in (0, 1, 33):
        expected, found = network(drawn.crops[:count]), graph(drawn.crops[:count])
        assert set(found) == set(expected) == {"emotion", "ferplus"}
        for head, columns in (("emotion", 7), ("ferplus", 8)):
            assert expected[head].shape == (count, columns)
            assert np.abs(found[head] - expected[head]).max(initial=0) <= 1e-4


def test_features_leave_the_graph_beside_the_heads(
    exported: export.Exported, drawn: Dataset
) -> None:
    network = keras.saving.load_model(file(exported, "best_model.keras"), compile=False)
    crops = drawn.crops[:33]
    expected = nets.with_features(network).predict_on_batch(crops.astype(np.float32))

    session = onnxruntime.InferenceSession(file(exported, "glance.onnx"))
    (features,) = session.run([nets.FEATURES], {"crops": crops})

    assert features.shape == (33, 256)
    np.testing.assert_allclose(features, expected[nets.FEATURES], atol=1e-4)


def test_the_graph_is_clean(exported: export.Exported) -> None:
    model = onnx.load(file(exported, "glance.onnx"))

    (source,) = model.graph.input
    shape = [each.dim_param or each.dim_value for each in source.type.tensor_type.shape.dim]
    assert (source.name, shape) == ("crops", ["N", 48, 48, 1])
    assert source.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [output.name for output in model.graph.output] == ["emotion", "ferplus", "features"]
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"BatchNormalization", "Softmax", "Sqrt", "Shape", "Loop"}
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 21)]
    assert (model.producer_name, model.doc_string, len(model.metadata_props)) == ("mien", "", 0)
    assert b"/work" not in model.SerializeToString()
    assert b"site-packages" not in model.SerializeToString()
    inner = [name for node in model.graph.node for name in (node.name, *node.output)]
    assert not [name for name in inner if "/" in name or ":" in name]


def test_the_keras_file_needs_nothing_of_ours(exported: export.Exported) -> None:
    text = file(exported, "model_architecture.json").read_text()

    assert "mien" not in text
    drawn_again = keras.models.model_from_json(text)
    loaded = keras.saving.load_model(file(exported, "best_model.keras"))
    assert [each.name for each in loaded.layers] == [each.name for each in drawn_again.layers]
    probabilities = loaded.predict_on_batch(np.zeros((1, 48, 48, 1), np.float32))
    assert [float(each.sum()) for each in probabilities] == pytest.approx([1, 1], rel=1e-5)


def test_the_card_says_everything(exported: export.Exported) -> None:
    card = read_card(file(exported, "glance.card.json"))

    assert card == read_card(file(exported, "best_model.card.json")) == exported.card
    assert card.name == "glance"
    labels = {name: head.labels for name, head in card.heads.items()}
    assert labels == {"emotion": EMOTIONS, "ferplus": tuple(FERPLUS_LABELS)}
    assert card.framing == Framing(scale=1.3, shift_y=0.1)
    assert (card.parameters, card.multiply_adds) == (1_584_047, 46_176_000)
    assert set(card.files) == {"glance.onnx", "best_model.keras"}
    assert card.recipe["training"]["validation_split"] == 0.3
    for calibration in (head.calibration for head in card.heads.values()):
        assert 0.05 < calibration.temperature < 20
        assert calibration.coverage == 0.9
        assert 0 < calibration.abstain_below < 1
    assert set(card.metrics) >= {"PublicTest", "PrivateTest", "ferplus PublicTest + PrivateTest"}
    assert "accuracy_flip_unseen" in card.metrics["PublicTest"]
    assert str(Path.home()) not in json.dumps(card.to_dict())


@pytest.mark.parametrize("architecture", ["mini_xception", "standard_cnn"])
def test_the_other_networks_become_graphs_too(tmp_path: Path, architecture: str) -> None:
    keras.utils.set_random_seed(0)
    model = nets.logits_of(nets.build(architecture))
    path = tmp_path / f"{architecture}.onnx"

    export.write_onnx(model, path)

    card = ModelCard(name=architecture, version="1")
    crops = np.random.default_rng(1).integers(0, 256, (5, 48, 48, 1), np.uint8)
    assert export.parity(model, path, card, crops) <= 1e-4
    assert OnnxSession(path, card)(crops[:1])["emotion"].shape == (1, 7)
    assert onnxruntime.InferenceSession(path).get_inputs()[0].shape == ["N", 48, 48, 1]


def missing(path: Path, card: Path) -> None:
    path.unlink()


def without_card(path: Path, card: Path) -> None:
    card.unlink()


def changed(path: Path, card: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def no_model(path: Path, card: Path) -> None:
    path.write_bytes(b"not a model")
    content = json.loads(card.read_text())
    content["files"] = {}
    card.write_text(json.dumps(content))


def unknown_head(path: Path, card: Path) -> None:
    content = json.loads(card.read_text())
    content |= {"heads": {"mood": {"labels": ["good", "bad"]}}, "default_head": "mood"}
    card.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing, "there is no such model file"),
        (without_card, "no model card"),
        (changed, "is not the file its card describes"),
        (no_model, "is not a usable Keras model"),
        (unknown_head, "no layer 'mood_logits'"),
    ],
)
def test_what_is_wrong_with_a_keras_file_is_told(
    tmp_path: Path, exported: export.Exported, damage: object, message: str
) -> None:
    path, card = tmp_path / "best_model.keras", tmp_path / "best_model.card.json"
    for target in (path, card):
        target.write_bytes(file(exported, target.name).read_bytes())
    damage(path, card)  # type: ignore[operator]

    with pytest.raises(ModelError, match=message):
        open_session(path)


def test_wrong_crops_are_refused(exported: export.Exported) -> None:
    session = open_session(file(exported, "best_model.keras"))

    with pytest.raises(InputError, match="expected crops uint8"):
        session(np.zeros((1, 32, 32, 1), np.uint8))
