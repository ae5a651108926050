from __future__ import annotations

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from tests.scale.test_plan import write_tar
from tests.support.models import write_tiny_model

from mien.cli import main
from mien.errors import ConfigError, ModelError
from mien.images import decode, encode
from mien.scale.job import Job, Options, PartReport
from mien.scale.part import PartReader, open_reader
from mien.wire import csv_fields


def rows_of(folder: Path | str) -> list[dict[str, Any]]:
    return pyarrow.dataset.dataset(str(folder)).to_table().to_pylist()


def read_all(folder: Path, sources: list[str], options: Options) -> list[PartReport]:
    job = Job.open(str(folder), sources, options)
    reader = PartReader(job.folder)
    return [reader(number) for number in job.missing()]


def test_a_folder_without_a_job_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no manifest"):
        PartReader(str(tmp_path))


def test_another_model_under_the_same_name_is_told(tmp_path: Path, photos: Path) -> None:
    model = write_tiny_model(tmp_path)
    folder = str(tmp_path / "out")
    Job.open(folder, [str(photos)], Options(model=str(model)))
    content = model.read_bytes()
    model.write_bytes(content.replace(b"tiny", b"TINY"))
    card = json.loads((tmp_path / "tiny.card.json").read_text())
    card["files"] = {}
    (tmp_path / "tiny.card.json").write_text(json.dumps(card))

    with pytest.raises(ModelError, match="not the model"):
        PartReader(folder)


def test_rows_are_those_of_predict(
    tmp_path: Path, photos: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (report,) = read_all(tmp_path / "out", [str(photos)], Options(model=model))
    rows = rows_of(tmp_path / "out")

    with pytest.raises(SystemExit):
        main(["predict", "--model", model, "--batch", str(photos), "--json", "--threads", "1"])
    images = json.loads(capsys.readouterr().out)["images"]

    assert (report.images, report.faces, report.errors) == (8, 5, 2)
    assert [row["image"] for row in rows] == [each["image"] for each in images]
    for row, image in zip(rows, images, strict=True):
        if "error" in image:
            found = {"code": row["error.code"], "message": row["error.message"]}
            assert found == image["error"]
            assert row["face"] is None
            continue
        assert (row["width"], row["height"]) == (image["width"], image["height"])
        if not image["faces"]:
            assert all(row[name] is None for name in ("face", "emotion", *csv_fields()))
            continue
        (face,) = image["faces"]
        assert row["face"] == 1
        assert [row[f"box.{side}"] for side in "xywh"] == list(face["box"].values())
        assert row["emotion"] == face["emotion"]
        assert row["set"] == " ".join(face["set"])
        for label, share in face["probabilities"].items():
            assert row[f"probabilities.{label}"] == np.float32(share)


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_rows_do_not_depend_on_what_the_pictures_lie_in(
    tmp_path: Path, photos: Path, model: str, kind: str
) -> None:
    import tarfile

    import pyarrow as pa

    paths = sorted(path for path in photos.iterdir() if path.suffix != ".txt")
    source = tmp_path / f"a.{kind}"
    if kind == "tar":
        with tarfile.open(source, "w") as tar:
            for path in paths:
                tar.add(path, path.name)
    else:
        pq.write_table(pa.table({"image": [path.read_bytes() for path in paths]}), source)
    read_all(tmp_path / "plain", [str(photos)], Options(model=model))
    read_all(tmp_path / "packed", [str(source)], Options(model=model, part_images=3))

    plain, packed = (rows_of(tmp_path / name) for name in ("plain", "packed"))
    own = {"image", "error.message"}
    assert [{k: v for k, v in row.items() if k not in own} for row in packed] == [
        {k: v for k, v in row.items() if k not in own} for row in plain
    ]


def test_a_store_is_read_and_written_as_a_folder_is(
    tmp_path: Path, photos: Path, model: str
) -> None:
    """As at s3:// and gs://, which are other file systems of fsspec behind the same calls."""
    store = fsspec.filesystem("memory")
    for path in photos.iterdir():
        store.pipe_file(f"/score/in/{path.name}", path.read_bytes())
    options = Options(model=model, part_images=3)
    read_all(tmp_path / "here", [str(photos)], options)
    job = Job.open("memory://score/out", ["memory://score/in"], options)
    assert job.missing() == [0, 1, 2]

    reader = PartReader(job.folder)
    for number in job.missing():
        reader(number)

    assert Job.open("memory://score/out", ["memory://score/in"], options).missing() == []
    here, there = rows_of(tmp_path / "here"), []
    for number in range(3):
        content = store.cat_file(job.place_of(number))
        there += pq.read_table(io.BytesIO(content)).to_pylist()
    own = {"image", "error.message"}
    assert [{k: v for k, v in row.items() if k not in own} for row in there] == [
        {k: v for k, v in row.items() if k not in own} for row in here
    ]


def test_a_video_gives_rows_with_times(tmp_path: Path, model: str) -> None:
    from tests.support.clips import Clip

    path = Clip(frames=30).write(tmp_path / "a.mp4")
    (report,) = read_all(tmp_path / "out", [str(path)], Options(model=model, frames_per_s=5))

    rows = rows_of(tmp_path / "out")
    assert report.images == 6
    assert [row["frame"] for row in rows] == [0, 5, 10, 15, 20, 25]
    assert {row["image"] for row in rows} == {str(path)}


def test_options_reach_the_reader(tmp_path: Path, face: bytes, model: str) -> None:
    picture = np.concatenate([decode(face), np.zeros((160, 40, 3), np.uint8), decode(face)], 1)
    (tmp_path / "two.png").write_bytes(encode(picture, "png"))
    one = Options(model=model, head="ferplus", largest_face=True)
    for name, options in (("all", Options(model=model)), ("one", one)):
        read_all(tmp_path / name, [str(tmp_path / "two.png")], options)

    assert [row["face"] for row in rows_of(tmp_path / "all")] == [1, 2]
    (row,) = rows_of(tmp_path / "one")
    assert row["face"] == 1
    assert row["probabilities.contempt"] is not None


def test_an_odd_picture_becomes_a_row_and_not_an_end(
    tmp_path: Path, photos: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job.open(str(tmp_path / "out"), [str(photos)], Options(model=model))
    reader = PartReader(job.folder)
    detector = reader._predictor.detector

    def odd(image: np.ndarray) -> object:
        if image.shape == (128, 160, 3):
            raise ZeroDivisionError("odd")
        return detector(image)

    monkeypatch.setattr(reader._predictor, "detector", odd)

    assert dataclasses.replace(reader(0), seconds=0) == PartReport(0, 8, 5, 3)
    assert rows_of(tmp_path / "out")[-1]["error.message"] == "ZeroDivisionError: odd"
    assert rows_of(tmp_path / "out")[-1]["error.code"] == "internal"


def test_names_that_are_no_text_are_kept_readable(
    tmp_path: Path, nobody: bytes, model: str
) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(name, "wb") as file:
        file.write(nobody)

    read_all(tmp_path / "out", [str(tmp_path)], Options(model=model))

    (row,) = rows_of(tmp_path / "out")
    assert row["image"] == f"{tmp_path}/caf\\udce9.png"
    assert row["width"] == 160


def test_a_worker_goes_where_relative_names_are_meant_from(
    tmp_path: Path, photos: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    folder = str(tmp_path / "out")
    Job.open(folder, ["0.jpg"], Options(model=model))
    monkeypatch.chdir(tmp_path)

    open_reader(folder)(0)

    assert rows_of(folder)[0]["image"] == "0.jpg"
    assert rows_of(folder)[0]["error.code"] is None
    manifest = Path(folder, "_manifest.json")
    manifest.write_text(manifest.read_text().replace(str(photos), "/nowhere"))
    with pytest.raises(ConfigError, match="relative to /nowhere, which a worker cannot enter"):
        open_reader(folder)


def test_a_part_without_pictures_is_a_part_all_the_same(tmp_path: Path, model: str) -> None:
    path = write_tar(tmp_path / "a.tar.gz", ["notes.txt"], "w:gz")
    (report,) = read_all(tmp_path / "out", [str(path)], Options(model=model))

    assert (report.images, report.errors) == (0, 0)
    assert rows_of(tmp_path / "out") == []
    table = pq.read_table(io.BytesIO((tmp_path / "out" / "part-000000.parquet").read_bytes()))
    assert table.schema.field("probabilities.angry").type == "float"
