from __future__ import annotations

import io
import stat
import zipfile

import pytest

from mien.errors import InputError
from mien.webapp.archives import ArchiveLimits, PictureArchive

from .conftest import MakeZip, jpeg


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no ZIP archive"),
        (b"PK\x03\x04 and no more", "no ZIP archive"),
        (jpeg(), "no ZIP archive"),
    ],
)
def test_what_is_no_archive_is_refused(content: bytes, word: str) -> None:
    with pytest.raises(InputError, match=word):
        PictureArchive(io.BytesIO(content))


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "x/../../a.jpg",
        "/etc/a.jpg",
        "..\\a.jpg",
        "C:\\a.jpg",
        "C:/a.jpg",
        "\\\\host\\share\\a.jpg",
        "..",
        "../notes.txt",
    ],
)
def test_path_that_leaves_the_archive_is_refused(make_zip: MakeZip, name: str) -> None:
    with pytest.raises(InputError, match="leads out"):
        PictureArchive(make_zip({"good.jpg": jpeg(), name: jpeg()}))


def test_link_is_refused() -> None:
    link = zipfile.ZipInfo("a.jpg")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="is a link"):
        PictureArchive(buffer)


@pytest.mark.parametrize(
    ("files", "limits", "word"),
    [
        ({"a.bmp": b"\0" * 2_000_000}, ArchiveLimits(), "times its size"),
        ({"a.jpg": b"x" * 101}, ArchiveLimits(max_member_bytes=100), "claims 101 bytes"),
        ({"a.jpg": b"xyz", "b.jpg": b"xyz"}, ArchiveLimits(max_total_bytes=5), "unpacks to 6"),
        ({"a.jpg": b"x", "b.jpg": b"y"}, ArchiveLimits(max_pictures=1), "holds 2 pictures"),
        ({"a.txt": b"x", "b.txt": b"y"}, ArchiveLimits(max_members=1), "lists 2 files"),
    ],
)
def test_bombs_are_refused_before_they_are_unpacked(
    make_zip: MakeZip, files: dict[str, bytes], limits: ArchiveLimits, word: str
) -> None:
    with pytest.raises(InputError, match=word):
        PictureArchive(make_zip(files), limits)


def test_encrypted_archive_is_refused(make_zip: MakeZip) -> None:
    data = bytearray(make_zip({"a.jpg": jpeg()}).getvalue())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1  # the flags of the only member
    with pytest.raises(InputError, match="without a password"):
        PictureArchive(io.BytesIO(data))


def test_archive_that_lies_about_a_size_gives_no_more_than_it_said(make_zip: MakeZip) -> None:
    data = bytearray(make_zip({"a.bmp": bytes(range(256)) * 40}).getvalue())
    at = data.rfind(b"PK\x01\x02") + 24
    data[at : at + 4] = (100).to_bytes(4, "little")
    with pytest.raises(InputError, match="damaged"):
        PictureArchive(io.BytesIO(data)).unpack(0)


def test_damaged_member_does_not_spoil_the_others(make_zip: MakeZip) -> None:
    good = jpeg()
    data = bytearray(make_zip({"a.jpg": jpeg(90), "b.jpg": good}).getvalue())
    data[60] ^= 0xFF
    archive = PictureArchive(io.BytesIO(data))
    with pytest.raises(InputError, match=r"a\.jpg is damaged"):
        archive.unpack(0)
    assert archive.unpack(1) == good


@pytest.mark.parametrize(
    ("files", "names", "skipped"),
    [
        ({}, [], 0),
        ({"a.txt": b"x"}, [], 1),
        ({"a.JPG": b"x", "b/c.png": b"y", "b/": b""}, ["a.JPG", "b/c.png"], 0),
        (
            {"__MACOSX/a.jpg": b"x", ".a.jpg": b"x", "b/.git/c.jpg": b"x", "d.jpg": b"x"},
            ["d.jpg"],
            0,
        ),
        ({"inner.zip": b"PK", "..a.jpg": b"x", "a..jpg": b"x"}, ["a..jpg"], 1),
    ],
)
def test_pictures_are_found(
    make_zip: MakeZip, files: dict[str, bytes], names: list[str], skipped: int
) -> None:
    archive = PictureArchive(make_zip(files))
    assert archive.names == names
    assert archive.skipped == skipped
    assert [archive.unpack(index) for index in range(len(names))] == [files[n] for n in names]


def test_unpacked_bytes_are_counted_over_all_members(make_zip: MakeZip) -> None:
    archive = PictureArchive(make_zip({"a.jpg": b"xyz"}), ArchiveLimits(max_total_bytes=4))
    assert archive.unpack(0) == b"xyz"
    with pytest.raises(InputError, match="more than is allowed"):
        archive.unpack(0)
