from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from mien.bench.accuracy import Accuracy
from mien.bench.chain import ChainTimes, StageTime, WorkersTime
from mien.bench.latency import Timing
from mien.bench.machine import describe_machine
from mien.bench.memory import Memory
from mien.bench.models import Model
from mien.bench.plot import plot_png
from mien.bench.report import Report, to_dict, to_markdown, to_tables
from mien.card import FileRecord, ModelCard
from mien.errors import ConfigError
from mien.runtime import FakeSession

MACHINE = describe_machine(2)


def model(folder: Path, name: str, precision: str = "float32") -> Model:
    path = folder / name
    path.write_bytes(bytes(2_000_000 if precision == "float32" else 500_000))
    card = ModelCard(
        name="net",
        version="1",
        multiply_adds=45_600_000,
        files={name: FileRecord("", path.stat().st_size, precision)},
    )
    return Model(name, path, {1: FakeSession(card)}, 41.6)


def timing(name: str, p50_ms: float, batch: int = 1) -> Timing:
    return Timing(
        name, 1, batch, 100, 0.9 * p50_ms, p50_ms, 2 * p50_ms, 3 * p50_ms, batch / p50_ms * 1000
    )


@pytest.fixture
def report(tmp_path: Path) -> Report:
    models = [model(tmp_path, "net.onnx"), model(tmp_path, "net.int8.onnx", "int8")]
    splits = {"PublicTest": 0.7, "PrivateTest": 0.72}
    return Report(
        MACHINE,
        {"iterations": 100},
        True,
        models,
        [timing("net.onnx", 2.0), timing("net.onnx", 32.0, 32), timing("net.int8.onnx", 1.0)],
        {"net.onnx": Memory(90.4, 40.2, 0.51), "net.int8.onnx": None},
        {
            "net.onnx": Accuracy(splits, 0.71, 7178, "net.onnx", 0.0, 1.0),
            "net.int8.onnx": Accuracy(splits, 0.7075, 7178, "net.onnx", 0.0025, 0.98),
        },
    )


def test_nothing_measured_is_nothing_shown() -> None:
    empty = Report(MACHINE, {}, False)

    assert to_tables(empty) == []
    assert to_dict(empty) == {"machine": MACHINE, "settings": {}, "complete": False}
    assert "**Interrupted:**" in to_markdown(empty, "mien benchmark")
    with pytest.raises(ConfigError, match="needs --data"):
        plot_png(empty)


def test_tables_of_models(report: Report) -> None:
    models, speed, memory, accuracy = to_tables(report)

    assert models.columns == ("model", "precision", "MB", "M MACs", "load ms")
    assert models.rows == (
        ("net.onnx", "float32", "2.00", "45.6", "42"),
        ("net.int8.onnx", "int8", "0.50", "45.6", "42"),
    )
    assert speed.rows[1] == ("net.onnx", "1", "32", "32.00", "64.00", "96.00", "1000")
    assert memory.rows == (("net.onnx", "90", "40", "0.51"), ("net.int8.onnx", "?", "?", "?"))
    assert accuracy.columns == (
        "model", "PublicTest", "PrivateTest", "all", "loss", "agreement",
    )  # fmt: skip
    assert accuracy.rows == (
        ("net.onnx", "70.00%", "72.00%", "71.00%", "reference", ""),
        ("net.int8.onnx", "70.00%", "72.00%", "70.75%", "+0.25", "98.00%"),
    )
    assert "7,178 rows; loss in points, against net.onnx" in accuracy.note


def test_what_was_not_measured_takes_no_table(tmp_path: Path) -> None:
    plain = Report(MACHINE, {}, True, [model(tmp_path, "a.onnx")], [])

    assert [table.title for table in to_tables(plain)] == ["Models", "Speed"]


def test_what_was_measured_in_part_is_shown_in_part(report: Report) -> None:
    assert report.accuracy is not None
    judged = {"net.onnx": report.accuracy["net.onnx"]}
    partly = Report(MACHINE, {}, False, report.models, report.timings, {}, judged)

    titles = {table.title: len(table.rows) for table in to_tables(partly)}

    assert titles == {"Models": 2, "Speed": 3, "Accuracy": 1}


def test_one_split_needs_no_sum(report: Report) -> None:
    alone = Accuracy({"Test": 0.7}, 0.7, 10, "net.onnx", 0, 1)
    *_, accuracy = to_tables(
        Report(MACHINE, {}, True, report.models[:1], [], None, {"net.onnx": alone})
    )

    assert accuracy.columns == ("model", "Test", "loss", "agreement")
    assert accuracy.rows == (("net.onnx", "70.00%", "reference", ""),)


def test_tables_of_photos() -> None:
    stages = tuple(StageTime(name, 1, 2, 3, 0.5) for name in ("decode", "detect", "sum"))
    report = Report(
        MACHINE, {}, True,
        chains=[ChainTimes(1, stages, 10, 12, 1, 25.04), ChainTimes(2, stages, 10, 12, 0, 40)],
        workers=[WorkersTime(2, 10, 48.6, 41.2, 0.973, 0.01, 210.2, None)],
    )  # fmt: skip

    one, two, workers = to_tables(report)

    assert one.title == "A photo after the other, 1 thread"
    assert two.title == "A photo after the other, 2 threads"
    assert one.note == "10 photos with 12 faces; 1 could not be read: 25.0 photos a second."
    assert one.rows[0] == ("decode", "1.00", "2.00", "3.00", "50%")
    assert workers.rows == (("2", "10", "48.6", "41.2", "97%", "1%", "210", "?"),)


def test_json_holds_everything(report: Report) -> None:
    content = json.loads(json.dumps(to_dict(report), allow_nan=False))

    first, second = content["models"]
    assert content["complete"] is True
    assert (first["size_bytes"], first["precision"], first["load_ms"]) == (
        2_000_000,
        "float32",
        41.6,
    )
    assert first["memory"]["peak_mb"] == 90.4
    assert second["memory"] is None
    assert second["accuracy"]["loss"] == 0.0025
    assert [each["batch"] for each in first["timings"]] == [1, 32]


def test_markdown_is_tables_under_the_command_and_the_machine(report: Report) -> None:
    text = to_markdown(report, "mien benchmark models")

    assert text.startswith("    mien benchmark models\n\n" + MACHINE["processor"])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 4
    assert "| net.int8.onnx | 1 | 1 | 1.00 | 2.00 | 3.00 | 1000 |" in rows


def test_the_plot_is_a_picture(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    path.write_bytes(plot_png(report))

    with PillowImage.open(path) as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 750))


def test_the_machine_is_named_without_its_host(report: Report) -> None:
    assert MACHINE["cores"] == 2
    assert MACHINE["processor"]
    assert {"mien", "numpy", "onnxruntime"} <= MACHINE["versions"].keys()
    assert platform.node() not in json.dumps(to_dict(report)).split('"')
