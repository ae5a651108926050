from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.models import make_card, write_onnx, write_tiny_model

from mien.bench.models import find_models, names_of, open_models
from mien.card import record_of, write_card
from mien.errors import ModelError
from mien.runtime import open_session


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "holds no models: expected files ending in .onnx, .tflite, .keras"),
        (lambda folder: folder / "none.onnx", "there is no such model file"),
        (lambda folder: folder / "none", "expected a folder or a file ending in"),
        (lambda folder: folder / "model.pt", "expected a folder or a file ending in"),
    ],
)
def test_what_is_no_model_is_told(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        find_models([make(tmp_path)])


def test_a_folder_gives_its_models_once_and_tells_what_it_leaves_out(tmp_path: Path) -> None:
    inside = tmp_path / "optimised"
    inside.mkdir()
    tiny = write_tiny_model(inside)
    detector = write_onnx(tmp_path / "detector.onnx")
    (tmp_path / "notes.txt").touch()

    assert find_models([tmp_path, tiny]) == ([tiny], [detector])


def test_a_model_that_is_named_needs_its_card_only_when_it_is_opened(tmp_path: Path) -> None:
    bare = write_onnx(tmp_path / "bare.onnx")

    assert find_models([bare]) == ([bare], [])


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], []),
        (["a/x.onnx"], ["x.onnx"]),
        (["a/x.onnx", "a/y.onnx"], ["x.onnx", "y.onnx"]),
        (["a/x.onnx", "b/x.onnx", "b/y.onnx"], ["a/x.onnx", "b/x.onnx", "y.onnx"]),
        (["p/a/x.onnx", "q/a/x.onnx"], ["p/a/x.onnx", "q/a/x.onnx"]),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], names: list[str]) -> None:
    assert names_of([Path(path) for path in paths]) == names


def test_models_are_opened_for_each_thread_count_and_failures_kept(tmp_path: Path) -> None:
    tiny, bare = write_tiny_model(tmp_path), write_onnx(tmp_path / "bare.onnx")

    (model,), (failure,) = open_models([tiny, bare], open_session, device="cpu", threads=(1, 2))

    assert list(model.sessions) == [1, 2]
    assert (model.name, model.precision, model.size_bytes) == (
        "tiny.onnx", "float32", tiny.stat().st_size,
    )  # fmt: skip
    assert model.load_ms > 0
    assert "no model card" in str(failure)


def test_keras_chooses_its_threads_itself(tmp_path: Path) -> None:
    path = tmp_path / "tiny.keras"
    path.write_bytes(write_tiny_model(tmp_path).read_bytes())
    onnx = tmp_path / "tiny.onnx"
    write_card(
        make_card(onnx, files={path.name: record_of(path), onnx.name: record_of(onnx)}),
        tmp_path / "tiny.card.json",
    )
    asked = []

    def opener(path: Path, *, device: str, threads: int) -> object:
        asked.append(threads)
        return open_session(onnx, device=device, threads=threads)

    (model,), failures = open_models([path], opener, device="cpu", threads=(1, 2), loads=1)

    assert (list(model.sessions), failures, asked) == ([0], [], [0, 0])
