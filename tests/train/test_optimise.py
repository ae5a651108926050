from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from mien.card import Calibration, Head, ModelCard, read_card, record_of, sha256_of, write_card
from mien.data import FERPLUS_LABELS, Dataset
from mien.errors import ConfigError, DataError, MienError, MissingExtra, ModelError
from mien.runtime import Session, open_session
from mien.train import optimise as package
from mien.train.optimise import FORMS, PRECISIONS, Form, Optimised, build, optimise
from mien.train.optimise.checks import generated_probe, held_out_probe
from mien.types import EMOTIONS

if keras.backend.backend() != "tensorflow":
    pytest.skip("graphs are written by way of TensorFlow", allow_module_level=True)
pytest.importorskip("ai_edge_litert")

HEADS = {"emotion": EMOTIONS, "ferplus": FERPLUS_LABELS}

#: How far a form's logits may lie from the network's, which are 2 large in the mean.
LOGITS = {"float32": 1e-4, "float16": 0.01, "dynamic": 0.1, "int8": 0.25}


def write_network(path: Path, seed: int = 0) -> Path:
    """Write a small residual network that is always sure of one label, and its card."""
    keras.utils.set_random_seed(seed)
    source = keras.Input((48, 48, 1))
    x = keras.layers.Rescaling(1 / 64, offset=-2.0)(source)
    x = keras.layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")(x)
    y = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, padding="same")(x))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(keras.layers.Add()([x, y])))
    outputs = []
    for head, labels in HEADS.items():
        dense = keras.layers.Dense(len(labels), name=f"{head}_logits")
        outputs.append(keras.layers.Softmax(name=head)(dense(x)))
        kernel, bias = dense.get_weights()
        dense.set_weights([kernel, bias + 4.0 * (np.arange(len(labels)) == seed)])
    path.parent.mkdir(exist_ok=True)
    keras.Model(source, outputs).save(path)
    training = {"validation_split": 0.3, "seed": 1}
    card = ModelCard(
        name="small",
        version="0",
        heads={
            "emotion": Head(EMOTIONS, Calibration(temperature=1.5)),
            "ferplus": Head(FERPLUS_LABELS, Calibration(temperature=0.8)),
        },
        files={path.name: record_of(path)},
        recipe={"training": training},
    )
    write_card(card, path.with_name(f"{path.stem}.card.json"))
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "best_model.keras")


@pytest.fixture(scope="module")
def written(network: Path, drawn: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Optimised:
    return optimise(network, PRECISIONS, tmp_path_factory.mktemp("optimised"), drawn)


@pytest.fixture(scope="module")
def truth(network: Path) -> Session:
    return open_session(network)


def no_precision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return []


def unknown_precision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return ["int8", "int4"]


def int8_without_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return ["dynamic", "int8"]


def another_readme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (folder / "README.md").write_text("# Mine\n")
    return ["dynamic"]


def no_litert(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    return ["dynamic"]


@pytest.mark.parametrize(
    ("prepare", "error", "message"),
    [
        (no_precision, ConfigError, "one or more of float32, float16, dynamic, int8, got none"),
        (unknown_precision, ConfigError, "got int8, int4"),
        (int8_without_data, DataError, "int8 needs faces.*--data"),
        (another_readme, ConfigError, "README.md would be written over"),
        (no_litert, MissingExtra, r"pip install 'mien\[litert\]'"),
    ],
)
def test_what_cannot_be_made_is_refused_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Path, pytest.MonkeyPatch], list[str]],
    error: type[MienError],
    message: str,
) -> None:
    precisions = prepare(tmp_path, monkeypatch)
    before = list(tmp_path.iterdir())

    with pytest.raises(error, match=message):
        optimise(Path("missing.keras"), precisions, tmp_path)
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        (0.1, r"small.bad.onnx: the probabilities of 'emotion' move by up to 0\.\d+ on 99 of 100"),
        (
            1.0,
            r"small.bad.onnx: 'emotion' loses 100.00 points on \d\d held-out rows \(0.00% instead "
            "of 100.00%\\), expected at most 1;.* nothing was written",
        ),
    ],
)
def test_a_form_that_strays_is_not_written(
    network: Path,
    written: Optimised,
    drawn: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tolerance: float,
    message: str,
) -> None:
    graph = onnx.load(written.files[0].with_name("small.onnx"))
    good = Form(".onnx", "float32", 1e-4, lambda model, crops, path: onnx.save(graph, path))
    another = onnx.ModelProto()
    another.CopyFrom(graph)
    for constant in another.graph.initializer:
        if re.match("gemm_.*_bias", constant.name):  # it is sure of another label then
            biases = np.roll(onnx.numpy_helper.to_array(constant), 1)
            constant.CopyFrom(onnx.numpy_helper.from_array(biases, constant.name))
    bad = Form(
        ".bad.onnx", "float16", tolerance, lambda model, crops, path: onnx.save(another, path)
    )
    monkeypatch.setattr(build, "FORMS", (good, bad))
    sure = replace(drawn, emotion=np.zeros_like(drawn.emotion))  # as the network is

    with pytest.raises(ModelError, match=message):
        optimise(network, ["float32", "float16"], tmp_path / "new", sure)
    assert not (tmp_path / "new").exists()


def test_every_file_is_there(written: Optimised) -> None:
    folder = written.files[0].parent

    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in written.files
    )
    assert {path.name for path in written.files} == {
        *(f"small{form.ending}" for form in FORMS),
        "small.card.json",
        "README.md",
    }


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.ending)
def test_every_form_answers_as_the_network(
    truth: Session, written: Optimised, drawn: Dataset, form: Form
) -> None:
    path = written.files[0].with_name(f"small{form.ending}")
    session: Session = open_session(path, threads=1)

    for count in (0, 1, 33, 2):
        crops = drawn.crops[:count]
        answers, expected = session(crops), truth(crops)
        assert set(answers) == set(HEADS)
        for head, logits in answers.items():
            assert (logits.dtype, logits.shape) == (np.float32, (count, len(HEADS[head])))
            np.testing.assert_allclose(logits, expected[head], atol=LOGITS[form.precision])


def test_the_card_serves_all_forms(network: Path, written: Optimised) -> None:
    card = read_card(written.files[-2])

    assert card == written.card
    assert set(card.files) == {"best_model.keras", *(f"small{form.ending}" for form in FORMS)}
    assert card.calibration == Calibration(temperature=1.5)
    assert card.head("ferplus").calibration == Calibration(temperature=0.8)
    for name, record in card.files.items():
        path = network if name.endswith(".keras") else written.files[0].with_name(name)
        assert (record.sha256, record.size_bytes) == (sha256_of(path), path.stat().st_size)
        assert set(record.metrics) == {
            *("held-out", "ferplus held-out"),
            *(f"{head}PublicTest + PrivateTest" for head in ("", "ferplus ")),
            *(f"{head}{split}Test" for head in ("", "ferplus ") for split in ("Public", "Private")),
        }
        held_out = record.metrics["held-out"]
        assert set(held_out) == {"moved", "agreement", "accuracy"}
        assert held_out["agreement"] == 1.0
        assert held_out["accuracy"] == pytest.approx(1 / 7, abs=0.05)  # always the same label
        assert 0 <= held_out["moved"] <= 0.2
    assert {form.precision for form in FORMS} == {each.precision for each in card.files.values()}


def test_the_page_has_every_file(written: Optimised) -> None:
    page = written.files[-1].read_text(encoding="utf-8")

    assert page.startswith("<!-- written by mien optimize")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| small")]
    assert len(rows) == len(FORMS)
    assert all(len(row) == len(package.COLUMNS) for row in rows)
    assert all(row[5] == row[7] == "+0.00" for row in rows)


def test_int8_onnx_computes_in_integers(written: Optimised, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    path = written.files[0].with_name("small.int8.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    session.run(None, {"crops": np.zeros((1, 48, 48, 1), np.uint8)})

    kinds = Counter(operation for operation in _operations(Path(session.end_profiling())))

    assert kinds["QLinearConv"] == 2
    assert kinds["QLinearAdd"] == kinds["QLinearGlobalAveragePool"] == 1
    assert kinds["QGemm"] == 2
    assert kinds["DequantizeLinear"] == 3  # the logits of both heads, and the features
    assert [each.name for each in session.get_outputs()] == ["emotion", "ferplus", "features"]
    assert not kinds.keys() & {"Conv", "Add", "Gemm", "QuantizeLinear", "Cast", "Mul"}


def _operations(profile: Path) -> list[str]:
    events = json.loads(profile.read_text())
    return [each["args"]["op_name"] for each in events if each["name"].endswith("_kernel_time")]


def test_int8_litert_is_int8_from_end_to_end(written: Optimised) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(written.files[0].with_name("small.int8.tflite")))

    (source,) = interpreter.get_input_details()
    assert source["dtype"] == np.int8
    assert source["shape_signature"].tolist() == [-1, 48, 48, 1]
    assert {each["dtype"] for each in interpreter.get_output_details()} == {np.int8}
    kinds = {each["op_name"] for each in interpreter._get_ops_details()}
    assert not kinds & {"QUANTIZE", "DEQUANTIZE"}


def test_the_files_say_nothing_of_where_they_were_made(written: Optimised) -> None:
    for path in written.files:
        content = path.read_bytes()
        assert str(Path.home()).encode() not in content
        assert b"/tmp" not in content


def test_without_data_answers_are_compared_and_nothing_else(network: Path, tmp_path: Path) -> None:
    steps: list[str] = []

    written = optimise(network, ["dynamic"], tmp_path, on_step=steps.append)

    record = written.card.files["small.dynamic.tflite"]
    assert set(record.metrics) == {"generated", "ferplus generated"}
    assert set(record.metrics["generated"]) == {"moved", "agreement"}
    assert "writing small.dynamic.tflite" in steps


def test_earlier_forms_stay_in_the_card_as_long_as_the_weights_are_theirs(
    network: Path, written: Optimised, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "FORMS", FORMS[:1])  # the quickest to write
    for path in written.files:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "small.tflite").write_bytes(b"damaged")
    (tmp_path / "small.int8.tflite").unlink()

    same = optimise(network, ["float32"], tmp_path)
    assert set(same.card.files) == set(written.card.files) - {"small.tflite", "small.int8.tflite"}
    assert set(same.card.files["small.onnx"].metrics) == {"generated", "ferplus generated"}

    other = write_network(tmp_path / "other" / "best_model.keras", seed=1)
    fresh = optimise(other, ["float32"], tmp_path)
    assert set(fresh.card.files) == {"best_model.keras", "small.onnx"}


class TestProbes:
    def test_generated_crops_are_crops(self) -> None:
        probe = generated_probe()

        assert (probe.crops.dtype, probe.crops.shape) == (np.uint8, (512, 48, 48, 1))
        assert len(probe.calibration) == len(probe.truths) == 0
        assert 90 < probe.crops.mean() < 160
        assert probe.crops.std() > 30

    def test_held_out_rows_either_calibrate_or_judge(self, network: Path, drawn: Dataset) -> None:
        card = read_card(network.with_name("best_model.card.json"))

        probe = held_out_probe(card, drawn)

        assert (len(probe.calibration), len(probe.crops)) == (6, 15)
        keys = [{crop.tobytes() for crop in crops} for crops in (probe.calibration, probe.crops)]
        assert not keys[0] & keys[1]
        assert set(probe.truths) == {"emotion", "ferplus"}
        truth, usable = probe.truths["emotion"]
        assert len(set(truth.tolist())) == 7
        assert usable.all()

    def test_without_votes_only_emotions_are_judged(self, network: Path, drawn: Dataset) -> None:
        card = read_card(network.with_name("best_model.card.json"))

        assert set(held_out_probe(card, replace(drawn, votes=None)).truths) == {"emotion"}
