from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.bench.accuracy import Labelled, judge, reference_of
from mien.bench.models import Model
from mien.card import FileRecord, Head, ModelCard
from mien.errors import ModelError
from mien.runtime import FakeSession
from mien.types import Crops


def model(
    file: str,
    precision: str = "float32",
    card: str = "net",
    logits_of: Callable[[Crops], np.ndarray] | None = None,
    **changes: object,
) -> Model:
    files = {file: FileRecord("", 1, precision)}
    session = FakeSession(ModelCard(name=card, version="1", files=files, **changes), logits_of)
    return Model(file, Path(file), {1: session}, 0.0)


def always(column: int) -> Callable[[Crops], np.ndarray]:
    return lambda crops: np.tile(np.eye(7)[column], (len(crops), 1))


#: Two rows of each emotion, the second in another split; the first pixel tells it.
DATA = Labelled(
    np.repeat(np.arange(7, dtype=np.uint8), 2)[:, None, None, None]
    * np.ones((48, 48, 1), np.uint8),
    np.repeat(np.arange(7), 2),
    np.array(["PublicTest", "PrivateTest"] * 7),
)


def by_pixel(crops: Crops) -> np.ndarray:
    return np.eye(7)[crops[:, 0, 0, 0]]


def test_no_model_gives_nothing() -> None:
    assert judge([], DATA) == {}


def test_accuracy_loss_and_agreement() -> None:
    right = model("net.onnx", logits_of=by_pixel)
    wrong = model("net.int8.onnx", "int8", logits_of=always(0))

    judged = judge([wrong, right], DATA)

    best, worst = judged["net.onnx"], judged["net.int8.onnx"]
    assert (best.all, best.rows, best.loss, best.agreement) == (1, 14, 0, 1)
    assert best.splits == {"PublicTest": 1, "PrivateTest": 1}
    assert worst.reference == best.reference == "net.onnx"
    assert (worst.all, worst.loss, worst.agreement) == pytest.approx((1 / 7, 6 / 7, 1 / 7))


def test_a_reference_that_is_named_holds_for_all() -> None:
    one, other = model("a.onnx", card="a", logits_of=always(1)), model("b.onnx", card="b")

    judged = judge([one, other], DATA, reference="b.onnx")

    assert {each.reference for each in judged.values()} == {"b.onnx"}


@pytest.mark.parametrize(
    ("chosen", "others", "expected"),
    [
        (("net.onnx", "int8"), [], "net.onnx"),
        (("net.int8.onnx", "int8"), [("net.fp16.onnx", "float16")], "net.int8.onnx"),
        (("net.int8.onnx", "int8"), [("net.onnx", "float32")], "net.onnx"),
        (
            ("net.int8.onnx", "int8"),
            [("net.onnx", "float32"), ("best.keras", "float32")],
            "best.keras",
        ),
    ],
)
def test_each_is_held_to_the_float32_form_of_its_own_network(
    chosen: tuple[str, str], others: list[tuple[str, str]], expected: str
) -> None:
    own, stranger = model(*chosen), model("other.keras", card="other")

    family = [stranger, own, *(model(*each) for each in others)]

    assert reference_of(own, family).name == expected


def test_a_model_of_other_labels_is_left_out() -> None:
    assert judge([model("age.onnx", heads={"emotion": Head(("old", "young"))})], DATA) == {}


def test_logits_that_are_no_numbers_are_refused() -> None:
    broken = model("net.onnx", logits_of=lambda crops: np.full((len(crops), 7), np.nan))

    with pytest.raises(ModelError, match="not finite"):
        judge([broken], DATA)


def test_a_stop_keeps_the_models_that_were_read() -> None:
    done: list[int] = []

    judged = judge(
        [model("a.onnx"), model("b.onnx")],
        DATA,
        on_crops=lambda count, total: done.append(count),
        stopped=lambda: len(done) > 1,
    )

    assert list(judged) == ["a.onnx"]
    assert done == [14, 28]
