from __future__ import annotations

import tarfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.scale.test_plan import write_tar
from tests.support.clips import Clip

from mien.errors import ConfigError, ImageError
from mien.scale.pictures import Picture, pictures_of
from mien.scale.plan import Stretch, find


def names_of(pictures: list[Picture]) -> list[str]:
    return [Path(each.name).name for each in pictures]


def test_of_nothing_there_are_none() -> None:
    assert list(pictures_of([])) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.parquet", None, "cannot be opened"),
        ("none.tar", None, "cannot be opened"),
        ("none.mp4", None, "no such file"),
        ("text.parquet", b"hello", "no Parquet file, or damaged"),
        ("text.tar", b"hello" * 200, "no tar, or damaged"),
        ("text.tar.gz", b"hello", "no tar, or damaged"),
        ("text.mp4", b"hello", "not a video that can be read"),
    ],
)
def test_files_that_cannot_be_read_are_among_the_pictures(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    kind = {"gz": "tar", "mp4": "video"}.get(name.rsplit(".", 1)[1], name.rsplit(".", 1)[1])

    (picture,) = pictures_of([Stretch(kind, str(path), 0, None)])

    assert (picture.name, picture.source) == (str(path), None)
    assert message in str(picture.failure)


def test_files_keep_their_order_wherever_they_lie(tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    stretches = []
    for number in range(40):
        files.pipe_file(f"/pictures/{number}.jpg", bytes([number]))
        stretches.append(Stretch("image", f"memory://pictures/{number}.jpg"))
    stretches.insert(20, Stretch("image", "memory://pictures/none.jpg"))
    stretches.append(Stretch("image", str(tmp_path / "here.jpg")))

    found = list(pictures_of(stretches))

    assert [each.name for each in found] == [each.path for each in stretches]
    assert [each.source for each in found if each.name.startswith("m") and each.source] == [
        bytes([number]) for number in range(40)
    ]
    assert "no such file" in str(found[20].failure)
    assert found[-1].source == tmp_path / "here.jpg"


@pytest.mark.parametrize(("start", "images"), [(0, None), (0, 2), (3, 4), (6, 1), (0, 7)])
def test_rows_of_a_parquet_file_are_read_from_the_middle(
    tmp_path: Path, start: int, images: int | None
) -> None:
    path = tmp_path / "a.parquet"
    rows = [bytes([65 + number]) for number in range(7)]
    pq.write_table(pa.table({"id": list(range(7)), "image": rows}), path, row_group_size=3)

    found = list(pictures_of([Stretch("parquet", str(path), start, images)]))

    stop = 7 if images is None else start + images
    assert [each.source for each in found] == rows[start:stop]
    assert names_of(found) == [f"a.parquet#{number}" for number in range(start, stop)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("x.jpg", "{}/x.jpg"),
        ("/abs/x.jpg", "/abs/x.jpg"),
        ("memory://pictures/in-parquet.jpg", b"content"),
        ({"bytes": b"data", "path": "x.jpg"}, b"data"),
        ({"bytes": None, "path": "x.jpg"}, "{}/x.jpg"),
    ],
)
def test_a_row_holds_bytes_or_a_path(tmp_path: Path, value: object, expected: object) -> None:
    fsspec.filesystem("memory").pipe_file("/pictures/in-parquet.jpg", b"content")
    path = tmp_path / "a.parquet"
    column = pa.array([value], pa.string() if value is None else None)
    pq.write_table(pa.table({"picture": column}), path)

    (picture,) = pictures_of([Stretch("parquet", str(path), 0, 1)], column="picture")

    if expected is None:
        assert "expected bytes or a path" in str(picture.failure)
    else:
        wanted = Path(expected.format(tmp_path)) if isinstance(expected, str) else expected
        assert picture.source == wanted


@pytest.mark.parametrize("column", [None, "image"])
def test_a_column_that_cannot_be_found_stops_everything(tmp_path: Path, column: str | None) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [1], "face": [b""]}), path)

    with pytest.raises(ConfigError, match="has the columns id, face: name the one"):
        list(pictures_of([Stretch("parquet", str(path), 0, 1)], column=column))


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "file"])
def test_a_tar_gives_its_pictures(tmp_path: Path, name: str) -> None:
    packed = name == "a.tar.gz"
    path = tmp_path / ("a.tar" if name == "file" else name)
    write_tar(path, ["0.json", "0.jpg", "sub/1.png", "1.json", "2.jpg"], "w:gz" if packed else "w")
    source = f"file://{path}" if name == "file" else str(path)

    found = list(pictures_of(find([source], 2)))

    assert [each.source for each in found] == [b"0.jpg", b"sub/1.png", b"2.jpg"]
    assert [each.name for each in found][1] == f"{source}/sub/1.png"


def test_a_tar_that_breaks_off_gives_what_is_there(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [f"{number}.jpg" for number in range(4)])
    with tarfile.open(path) as tar:
        cut = tar.getmembers()[2].offset_data
    path.write_bytes(path.read_bytes()[:cut])

    found = list(pictures_of(find([str(path)], 2)))

    assert names_of(found)[:2] == ["0.jpg", "1.jpg"]
    assert found[-1].name == str(path)
    assert "no tar, or damaged" in str(found[-1].failure)


def test_a_tar_member_is_not_unpacked_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    big = tmp_path / "big.jpg"
    with big.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(big, "big.jpg")

    (picture,) = pictures_of([Stretch("tar", str(path), 0, None)])

    assert isinstance(picture.source, bytes)
    assert len(picture.source) == 64 * 1024 * 1024 + 1
    from mien.images import decode

    with pytest.raises(ImageError):
        decode(picture.source)


@pytest.mark.parametrize(("fps", "frames"), [(1.0, [0, 25]), (5.0, list(range(0, 30, 5)))])
def test_so_many_frames_a_second_are_taken_of_a_video(
    tmp_path: Path, fps: float, frames: list[int]
) -> None:
    path = Clip(frames=30).write(tmp_path / "a.mp4")

    found = list(pictures_of([Stretch("video", f"file://{path}", 0, None)], frames_per_s=fps))

    assert [each.frame for each in found] == frames
    assert [each.time_s for each in found] == [frame / 25 for frame in frames]
    assert {each.name for each in found} == {f"file://{path}"}


def test_a_video_that_cannot_be_read_is_called_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello")

    (picture,) = pictures_of([Stretch("video", f"file://{tmp_path}/a.mp4", 0, None)])

    assert str(picture.failure).startswith(f"file://{tmp_path}/a.mp4 is not a video")
