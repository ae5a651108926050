from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mien.errors import InputError
from mien.scale.plan import Stretch, find, into_parts, kind_of, read_part, write_plan


def write_tar(path: Path, names: list[str], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("b.jpg", "a.PNG", ".hidden.jpg", "notes.txt", "sub/c.webp", "film.mp4"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none", "no such file"),
        ("*.jpg", "stands for no file"),
        ("*.txt", "none is an image"),
        ("empty", r"holds no images: name its .* empty/\*\.tar"),
        ("file://{}/nothing/", "holds no files"),
        ("file://{}/empty/", "holds no files"),
        ("file://{}/*.gif", "stands for no file"),
    ],
)
def test_sources_that_are_not_there_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    (folder / "b.jpg").unlink()

    with pytest.raises(InputError, match=message):
        find([source.format(folder)], 10)


def test_sources_are_listed_in_order_and_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    found = find(["sub", ".", "*.mp4", "b.jpg", "notes.txt"], 10)

    assert found == [
        Stretch("image", "sub/c.webp"),
        Stretch("image", "a.PNG"),
        Stretch("image", "b.jpg"),
        Stretch("video", "film.mp4", 0, None),
        Stretch("image", "notes.txt"),
    ]


def test_addresses_are_listed_as_paths_are(folder: Path) -> None:
    base = f"file://{folder}"

    found = find([base, f"{base}/*.mp4", f"{base}/sub/c.webp"], 10)

    assert [each.path for each in found] == [
        f"{base}/a.PNG",
        f"{base}/b.jpg",
        f"{base}/sub/c.webp",
        f"{base}/film.mp4",
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", None),
        ("a.txt", None),
        ("a.JPG", "image"),
        ("s3://b/a.tar.gz", "tar"),
        ("a.tgz", "tar"),
        ("a.parquet", "parquet"),
        ("a.MOV", "video"),
    ],
)
def test_a_file_is_known_by_its_ending(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_a_tar_is_cut_between_pictures(tmp_path: Path) -> None:
    names = ["0.json", *(f"{n}.{end}" for n in range(5) for end in ("jpg", "cls")), "._5.jpg"]
    path = str(write_tar(tmp_path / "a.tar", names))

    found = find([path], 2)

    assert [(each.kind, each.images) for each in found] == [("tar", 2), ("tar", 2), ("tar", 1)]
    for stretch, first in zip(found, ("0.jpg", "2.jpg", "4.jpg"), strict=True):
        with open(path, "rb") as file:
            file.seek(stretch.start)
            with tarfile.open(fileobj=file, mode="r|") as tar:
                assert next(iter(tar)).name == first


def test_a_parquet_file_is_cut_by_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b""] * 5}), path)

    assert find([str(path)], 2) == [
        Stretch("parquet", str(path), 0, 2),
        Stretch("parquet", str(path), 2, 2),
        Stretch("parquet", str(path), 4, 1),
    ]


@pytest.mark.parametrize("name", ["cut.tar", "text.tar", "text.parquet", "whole.tar.gz"])
def test_what_cannot_be_looked_into_is_one_stretch(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "whole.tar.gz":
        write_tar(path, ["a.jpg"], "w:gz")
    elif name == "cut.tar":
        write_tar(path, [f"{'a' * 600}{n}.jpg" for n in range(5)])
        path.write_bytes(path.read_bytes()[:3000])
    else:
        path.write_text("hello")

    assert find([str(path)], 10) == [
        Stretch(path.suffix[1:].replace("gz", "tar"), str(path), 0, None)
    ]


@pytest.mark.parametrize(
    ("weights", "parts"),
    [
        ([], []),
        ([1, 1, 1, 1, 1], [2, 2, 1]),
        ([None, 1, 1, None], [1, 2, 1]),
        ([5, 1], [1, 1]),
        ([1, 2, 2], [1, 1, 1]),
    ],
)
def test_parts_hold_so_many_pictures_at_most(weights: list[int | None], parts: list[int]) -> None:
    stretches = [Stretch("image", str(n), 0, weight) for n, weight in enumerate(weights)]

    assert [len(part) for part in into_parts(stretches, 2)] == parts


def test_neighbours_in_a_file_are_joined() -> None:
    stretches = [Stretch("parquet", "a", 0, 2), Stretch("parquet", "a", 2, 2), Stretch("tar", "b")]

    assert list(into_parts(stretches, 5)) == [[Stretch("parquet", "a", 0, 4), stretches[2]]]


def test_a_plan_is_read_as_it_was_written() -> None:
    parts = [
        [Stretch("image", os.fsdecode(b"caf\xe9/\xff.jpg")), Stretch("image", "käse.jpg")],
        [Stretch("tar", "s3://b/a.tar", 512, None)],
    ]
    file = io.BytesIO()

    assert write_plan(parts, file) == 2
    plan = pq.ParquetFile(io.BytesIO(file.getvalue()))
    assert [read_part(plan, number) for number in range(2)] == parts
