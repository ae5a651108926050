from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mien.card import (
    Calibration,
    FileRecord,
    Framing,
    Head,
    ModelCard,
    card_path,
    read_card,
    record_of,
    sha256_of,
    write_card,
)
from mien.errors import ConfigError, ModelError
from mien.types import EMOTIONS

EMPTY = ModelCard(name="", version="")
FULL = ModelCard(
    name="glance",
    version="1.0",
    heads={
        "emotion": Head(EMOTIONS, Calibration(1.5, 0.9, 0.07, 0.41)),
        "ferplus": Head((*EMOTIONS, "contempt"), Calibration(1.1, 0.9, 0.2, 0.3)),
    },
    framing=Framing(1.25, -0.04, (64, 48)),
    parameters=1_600_000,
    multiply_adds=56_000_000,
    files={"glance.onnx": FileRecord("ab" * 32, 12, "float16")},
    data="FER2013, Grüße",
    protocol="Training only",
    recipe={"epochs": 50, "nested": {"rate": 0.1}},
    metrics={"PublicTest": {"accuracy": 0.66}},
    licence="MIT",
    intended_use="a",
    prohibited_use="b",
)


@pytest.mark.parametrize("card", [EMPTY, FULL], ids=["empty", "full"])
def test_a_card_comes_back_as_it_was_written(card: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "a.card.json"

    write_card(card, path)

    assert read_card(path) == card
    assert [each.name for each in tmp_path.iterdir()] == ["a.card.json"]


def test_a_card_is_frozen() -> None:
    for value in (FULL, FULL.calibration, FULL.files["glance.onnx"]):
        for field in dataclasses.fields(value):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(value, field.name, None)


@pytest.mark.parametrize(
    "card",
    [
        dataclasses.replace(FULL, metrics={"test": {"accuracy": float("nan")}}),
        dataclasses.replace(FULL, recipe={"path": Path()}),
    ],
)
def test_what_json_cannot_hold_leaves_the_old_card(card: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "a.card.json"
    write_card(FULL, path)

    with pytest.raises(ModelError, match="cannot write the model card"):
        write_card(card, path)

    assert read_card(path) == FULL


def test_a_card_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        write_card(FULL, tmp_path / "file" / "a.card.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"card"', b"{}"])
def test_what_is_no_card_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.card.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.card\.json"):
        read_card(path)


def test_a_missing_card_says_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model needs its card beside it"):
        read_card(tmp_path / "a.card.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("heads", {}),
        ("heads", []),
        ("heads", {"emotion": {"labels": []}}),
        ("heads", {"emotion": {"labels": "happy"}}),
        ("heads", {"emotion": {"labels": ["happy", "happy"]}}),
        ("heads", {"emotion": {"labels": ["happy", 3]}}),
        ("heads", {"emotion": ["happy"]}),
        ("heads", {"emotion": {"labels": ["happy"], "other": 1}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"temperature": 0.0}}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"temperature": float("nan")}}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"temperature": float("inf")}}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"temperature": "1"}}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"coverage": 90}}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"set_threshold": -0.1}}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"abstain_below": 1.1}}}),
        ("heads", {"emotion": {"labels": ["a"], "calibration": {"other": 1}}}),
        ("default_head", "age"),
        ("framing", {"scale": 1.0, "shift_y": 0.0}),
        ("framing", {"scale": 1.0, "shift_y": 0.0, "size_hw": [48]}),
        ("framing", {"scale": 1.0, "shift_y": 0.0, "size_hw": [0, 48]}),
        ("framing", {"scale": 1.0, "shift_y": 0.0, "size_hw": ["a", "b"]}),
        ("framing", {"scale": 0.0, "shift_y": 0.0, "size_hw": [48, 48]}),
        ("framing", {"scale": "1", "shift_y": 0.0, "size_hw": [48, 48]}),
        ("framing", {"scale": 1.0, "shift_y": float("nan"), "size_hw": [48, 48]}),
        ("files", {"a.onnx": {"sha256": "00"}}),
        ("unknown", 1),
    ],
    ids=str,
)
def test_a_field_that_is_wrong_is_refused(field: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.card.json"
    path.write_text(json.dumps({**FULL.to_dict(), field: value}))
    with pytest.raises(ModelError, match="is not a model card"):
        read_card(path)


@pytest.mark.parametrize("field", ["name", "version", "heads", "default_head", "framing"])
def test_a_field_that_the_answer_depends_on_must_be_there(field: str, tmp_path: Path) -> None:
    path = tmp_path / "a.card.json"
    path.write_text(json.dumps({k: v for k, v in FULL.to_dict().items() if k != field}))
    with pytest.raises(ModelError, match=f"missing {field}"):
        read_card(path)


@pytest.mark.parametrize(
    ("model", "others", "card"),
    [
        ("glance", [], "glance.card.json"),
        ("glance.onnx", [], "glance.card.json"),
        ("glance.int8.onnx", [], "glance.card.json"),
        ("glance.int8.onnx", ["glance.card.json"], "glance.card.json"),
        ("glance.int8.onnx", ["glance.int8.onnx.card.json"], "glance.int8.onnx.card.json"),
    ],
)
def test_a_card_lies_beside_its_weights(
    model: str, others: list[str], card: str, tmp_path: Path
) -> None:
    for name in others:
        (tmp_path / name).touch()
    assert card_path(tmp_path / model) == tmp_path / card


class TestHead:
    def test_the_default_head_is_the_cards(self) -> None:
        assert FULL.head() is FULL.head("emotion")
        assert (FULL.labels, FULL.calibration) == (EMOTIONS, FULL.head().calibration)

    def test_another_head_has_its_labels_and_its_calibration(self) -> None:
        assert FULL.head("ferplus") == Head(
            (*EMOTIONS, "contempt"), Calibration(1.1, 0.9, 0.2, 0.3)
        )

    def test_a_head_that_was_never_calibrated_has_the_defaults(self) -> None:
        assert Head(("a",)).calibration == Calibration()

    def test_an_unknown_head_names_the_known_ones(self) -> None:
        with pytest.raises(ModelError, match="no head 'age': choose one of emotion, ferplus"):
            FULL.head("age")


def test_a_card_of_before_is_converted(tmp_path: Path) -> None:
    """Until 0.1 heads were lists of labels, and the first was the default one."""
    new = FULL.to_dict()
    old = {name: value for name, value in new.items() if name not in ("default_head", "framing")}
    old |= {
        "heads": {name: list(head.labels) for name, head in FULL.heads.items()},
        "input_hw": [64, 48],
        "geometry": {"scale": 1.25, "shift_y": -0.04},
        "confidence": new["heads"]["emotion"]["calibration"],
        "head_confidence": {"ferplus": new["heads"]["ferplus"]["calibration"]},
    }
    path = tmp_path / "a.card.json"
    path.write_text(json.dumps(old), encoding="utf-8")

    assert read_card(path) == dataclasses.replace(FULL, framing=Framing(size_hw=(64, 48)))


@pytest.mark.parametrize(
    ("content", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"a" * 1_600_000,
            "1d436d83f19069875afd2c1a7d737e9a9a2cceef08f862789eb81c801a0fd9b9",
        ),
    ],
    ids=["empty", "abc", "more than a block"],
)
def test_a_file_is_told_by_its_sha256(content: bytes, digest: str, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)

    assert sha256_of(path) == digest
    assert record_of(path, "int8") == FileRecord(digest, len(content), "int8")
