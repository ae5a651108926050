from __future__ import annotations

import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tests.support.models import (
    FERPLUS,
    HEADS,
    WEIGHTS,
    expected_logits,
    expected_of_all,
    make_card,
    some_crops,
    write_int8_onnx,
    write_onnx,
    write_tflite,
    write_tiny_model,
)

from mien import runtime
from mien.card import Framing, ModelCard, write_card
from mien.errors import ConfigError, InputError, MienError, MissingExtra, ModelError
from mien.runtime import FakeSession, OnnxSession, Session, default_model, open_session
from mien.types import EMOTIONS, Crops, Logits

Make = Callable[[Path], Session]


def _open_onnx(folder: Path) -> Session:
    path = write_onnx(folder / "tiny.onnx")
    write_card(make_card(path), folder / "tiny.card.json")
    return open_session(path, threads=1)


def _open_uint8_onnx(folder: Path) -> Session:
    path = write_onnx(folder / "tiny.onnx", uint8=True)
    write_card(make_card(path), folder / "tiny.card.json")
    return open_session(path, threads=1)


def _open_int8_onnx(folder: Path) -> Session:
    path = write_int8_onnx(folder / "tiny.int8.onnx")
    write_card(make_card(path), folder / "tiny.card.json")
    return open_session(path, threads=1)


def _open_tflite(folder: Path) -> Session:
    path = write_tflite(folder / "tiny.tflite")
    write_card(make_card(path), folder / "tiny.card.json")
    return open_session(path, threads=1)


def _open_nameless_tflite(folder: Path) -> Session:
    path = write_tflite(folder / "tiny.tflite", signature=False)
    write_card(make_card(path), folder / "tiny.card.json")
    return open_session(path, threads=1)


def _open_int8_tflite(folder: Path) -> Session:
    path = write_tflite(folder / "tiny.int8.tflite", int8=True)
    write_card(make_card(path), folder / "tiny.card.json")
    return open_session(path, threads=1)


def _open_keras(folder: Path) -> Session:
    keras = pytest.importorskip("keras")
    from mien.runtime import open_session

    source = keras.Input((48, 48, 1))
    flat = keras.layers.Flatten()(source)
    outputs = []
    for name, weights in WEIGHTS.items():
        dense = keras.layers.Dense(weights.shape[1], use_bias=False, name=f"{name}_logits")
        outputs.append(keras.layers.Softmax(name=name)(dense(flat)))
        dense.set_weights([weights])
    path = folder / "tiny.keras"
    keras.Model(source, outputs).save(path)
    write_card(make_card(path), folder / "tiny.card.json")
    return open_session(path)


def _make_fake(folder: Path) -> Session:
    return FakeSession(make_card(), expected_of_all)


#: Every session, and how far its logits may lie from the exact ones: they are 1.5 large in the
#: mean. int8 rounds weights to 1/127 of the largest and logits to steps of 0.05; that of ONNX has
#: weights of seven bits, and clips what is larger than its calibration saw.
SESSIONS: dict[str, tuple[Make, float]] = {
    "fake": (_make_fake, 1e-6),
    "onnx": (_open_onnx, 1e-3),
    "onnx uint8": (_open_uint8_onnx, 1e-3),
    "onnx int8": (_open_int8_onnx, 0.35),
    "tflite": (_open_tflite, 1e-3),
    "tflite without names": (_open_nameless_tflite, 1e-3),
    "tflite int8": (_open_int8_tflite, 0.15),
    "keras": (_open_keras, 1e-3),
}


@pytest.fixture(scope="module", params=SESSIONS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tolerance(kind: str) -> float:
    return SESSIONS[kind][1]


@pytest.fixture(scope="module")
def session(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Session:
    return SESSIONS[kind][0](tmp_path_factory.mktemp("session"))


class TestEverySession:
    @pytest.mark.parametrize("count", [0, 1, 33, 2])
    def test_gives_the_logits_of_any_number_of_crops(
        self, session: Session, tolerance: float, count: int
    ) -> None:
        crops = some_crops(count)

        logits = session(crops)

        assert list(logits) == ["emotion", "ferplus"]
        for head, given in logits.items():
            assert given.dtype == np.float32
            assert given.shape == (count, len(HEADS[head]))
            np.testing.assert_allclose(given, expected_logits(crops, head), atol=tolerance)

    @pytest.mark.parametrize(
        "crops",
        [
            np.zeros((0, 48, 48), np.uint8),
            np.zeros((48, 48, 1), np.uint8),
            np.zeros((2, 48, 48, 3), np.uint8),
            np.zeros((2, 47, 48, 1), np.uint8),
            np.zeros((2, 48, 48, 1), np.float32),
            np.zeros((0, 48, 48, 1), np.int64),
        ],
        ids=lambda crops: f"{crops.dtype}-{crops.shape}",
    )
    def test_refuses_what_are_not_crops(self, session: Session, crops: Any) -> None:
        with pytest.raises(InputError, match=r"expected crops uint8 \(N, 48, 48, 1\), got"):
            session(crops)

    def test_gives_every_thread_the_same(self, session: Session) -> None:
        batches = [some_crops(count) for count in (3, 1, 5, 0, 2, 4, 3, 1)] * 4
        alone = [session(crops) for crops in batches]

        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(session, batches))

        for one, other in zip(alone, together, strict=True):
            for head in HEADS:
                np.testing.assert_allclose(one[head], other[head], atol=1e-5)


_WRITERS = {".onnx": write_onnx, ".tflite": write_tflite}


@pytest.fixture(params=_WRITERS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model file without its card."""
    write: Callable[[Path], Path] = _WRITERS[request.param]
    return write(tmp_path / f"tiny{request.param}")


class TestOpenSession:
    def test_needs_a_file(self, model: Path) -> None:
        missing = model.with_stem("missing")
        with pytest.raises(ModelError, match=re.escape(f"{missing}: there is no such model file")):
            open_session(missing)

    def test_needs_a_known_ending(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=r"expected a model file ending in \.onnx or \.tflite"):
            open_session(tmp_path / "model.h5")

    def test_needs_a_card(self, model: Path) -> None:
        with pytest.raises(ModelError, match="no model card"):
            open_session(model)

    def test_needs_the_file_that_the_card_describes(self, model: Path) -> None:
        card = make_card(model)
        record = replace(card.files[model.name], sha256="0" * 64)
        write_card(replace(card, files={model.name: record}), model.with_name("tiny.card.json"))
        with pytest.raises(ModelError, match="is not the file its card describes"):
            open_session(model)

    def test_needs_a_card_that_lists_the_file_if_it_lists_any(self, model: Path) -> None:
        card = make_card(model)
        files = {"other.onnx": card.files[model.name]}
        write_card(replace(card, files=files), model.with_name("tiny.card.json"))
        with pytest.raises(ModelError, match=r"none of the files its card describes \(other"):
            open_session(model)

    @pytest.mark.parametrize("content", [b"", b"not a model", b"\x1c\0\0\0TFL3" + bytes(64)])
    def test_needs_a_model_in_the_file(self, model: Path, content: bytes) -> None:
        model.write_bytes(content)
        write_card(make_card(model), model.with_name("tiny.card.json"))
        with pytest.raises(ModelError, match="is not a usable"):
            open_session(model)

    @pytest.mark.parametrize(
        "change",
        [
            {"heads": {"emotion": EMOTIONS[:6]}},
            {"heads": {"emotion": FERPLUS}},
            {"heads": {"age": (*FERPLUS, "other")}},
            {"framing": Framing(size_hw=(64, 64))},
        ],
        ids=str,
    )
    def test_needs_a_card_that_fits_the_graph(self, model: Path, change: dict[str, Any]) -> None:
        write_card(make_card(model, **change), model.with_name("tiny.card.json"))
        with pytest.raises(ModelError, match=str(model)):
            open_session(model)

    def test_takes_a_card_without_files_and_a_path_as_text(self, model: Path) -> None:
        write_card(make_card(), model.with_name("tiny.card.json"))
        assert open_session(str(model)).card == make_card()

    @pytest.mark.parametrize("batch", [1, 8])
    def test_needs_an_onnx_graph_that_takes_any_number(self, tmp_path: Path, batch: int) -> None:
        path = write_onnx(tmp_path / "tiny.onnx", batch=batch)
        with pytest.raises(ModelError, match="with any N"):
            OnnxSession(path, make_card())

    @pytest.mark.parametrize(
        ("device", "message"),
        [
            ("", "no device ''"),
            ("tpu", "no device 'tpu': choose auto, cpu, cuda, coreml"),
            ("cuda", "device 'cuda' is not there: this ONNX Runtime offers CPU"),
        ],
    )
    def test_needs_a_device_that_is_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, message: str
    ) -> None:
        monkeypatch.setattr(
            onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"]
        )
        with pytest.raises(ConfigError, match=re.escape(message)):
            open_session(write_tiny_model(tmp_path), device=device)

    def test_says_so_where_a_device_does_not_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class FallsBack(onnxruntime.InferenceSession):  # as ONNX Runtime does without a GPU
            def __init__(self, path: Path, options: Any, providers: list[str]) -> None:
                super().__init__(path, options, providers=providers[-1:])

        offered = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
        monkeypatch.setattr(onnxruntime, "InferenceSession", FallsBack)
        path = write_tiny_model(tmp_path)

        assert open_session(path, device="auto")(some_crops(1))["emotion"].shape == (1, 7)
        with pytest.raises(ConfigError, match="'cuda' is offered, but could not be started"):
            open_session(path, device="cuda")

    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            (["CPUExecutionProvider"], ["CPUExecutionProvider"]),
            (
                ["CoreMLExecutionProvider", "CPUExecutionProvider"],
                ["CPUExecutionProvider"],
            ),
            (
                ["CPUExecutionProvider", "CUDAExecutionProvider"],
                ["CUDAExecutionProvider", "CPUExecutionProvider"],
            ),
        ],
    )
    def test_auto_prefers_cuda_and_never_takes_coreml(
        self, offered: list[str], chosen: list[str]
    ) -> None:
        assert runtime._providers("auto", offered) == chosen

    def test_litert_runs_on_the_cpu_only(self, tmp_path: Path) -> None:
        path = write_tflite(tmp_path / "tiny.tflite")
        write_card(make_card(path), tmp_path / "tiny.card.json")
        with pytest.raises(ConfigError, match="on the CPU only, not on 'cuda'"):
            open_session(path, device="cuda")

    def test_litert_is_an_extra(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write_tflite(tmp_path / "tiny.tflite")
        write_card(make_card(path), tmp_path / "tiny.card.json")
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
        with pytest.raises(MissingExtra, match=re.escape("pip install 'mien[litert]'")):
            open_session(path)

    def test_two_nameless_outputs_alike_cannot_be_told_apart(self, tmp_path: Path) -> None:
        path = write_tflite(tmp_path / "tiny.tflite", signature=False)
        write_card(make_card(heads={"age": ("young",)}), tmp_path / "tiny.card.json")
        with pytest.raises(ModelError, match="no output is named 'age', and 0 of 2 have"):
            open_session(path)


def test_the_default_model_lies_in_the_package() -> None:
    assert default_model().parts[-3:] == ("mien", "assets", "glance.onnx")


class TestFakeSession:
    def test_reads_brightness_if_not_told_otherwise(self) -> None:
        crops = (
            np.zeros((7, 48, 48, 1), np.uint8)
            + np.arange(20, 256, 37, np.uint8)[:, None, None, None]
        )

        assert FakeSession()(crops)["emotion"].argmax(axis=1).tolist() == list(range(7))

    def test_takes_no_crops(self) -> None:
        assert FakeSession()(np.empty((0, 48, 48, 1), np.uint8))["emotion"].shape == (0, 7)

    def test_refuses_logits_of_another_shape(self) -> None:
        def too_few(crops: Crops) -> Logits:
            return np.zeros((len(crops), 6), np.float32)

        session = FakeSession(ModelCard(name="fake", version="0"), too_few)
        with pytest.raises(ValueError, match="reshape"):
            session(np.zeros((2, 48, 48, 1), np.uint8))


def test_every_error_here_is_one_of_miens(tmp_path: Path) -> None:
    (tmp_path / "tiny.onnx").mkdir()
    with pytest.raises(MienError):
        open_session(tmp_path / "tiny.onnx")
