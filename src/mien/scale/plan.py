"""What is to be read, cut into parts. Nothing of a picture is read for it.

The plan follows from the sources alone, never from who reads it, and is written down: row
group k of the plan's Parquet file is part k.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from mien.errors import InputError
from mien.images import IMAGE_ENDINGS, find_images
from mien.scale.places import is_address, list_below, matching, open_binary

__all__ = [
    "Stretch",
    "find",
    "into_parts",
    "is_picture",
    "kind_of",
    "read_part",
    "write_plan",
]

_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")
_VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg")
_PARQUET_ENDINGS = (".parquet", ".pq")

_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("path", pa.binary()),  # names of files need not be text
        ("start", pa.int64()),
        ("images", pa.int64()),
    ]
)


class Stretch(NamedTuple):
    """Some pictures of one file.

    Attributes:
        kind: ``image``, ``parquet``, ``tar`` or ``video``.
        path: a path or an address.
        start: the first row of a Parquet file, the first byte of a tar; else 0.
        images: rows, or pictures of a tar; ``None`` is to the end.
    """

    kind: str
    path: str
    start: int = 0
    images: int | None = 1


def kind_of(path: str) -> str | None:
    """Return what a file holds by its ending; ``None`` if it is not among those read."""
    name = path.lower()
    if name.endswith(_PARQUET_ENDINGS):
        return "parquet"
    if name.endswith(_TAR_ENDINGS):
        return "tar"
    if name.endswith(_VIDEO_ENDINGS):
        return "video"
    return "image" if name.endswith(tuple(IMAGE_ENDINGS)) else None


def find(sources: Iterable[str], most: int) -> list[Stretch]:
    """List what the sources hold, in their order, each sorted by path and every file once.

    A folder stands for the images below it; a pattern for all files of a known ending; any
    other name for itself, an image whatever its ending.

    Args:
        most: of the pictures in one stretch, where a file can be read from its middle.

    A damaged file is a stretch too: whoever reads it will tell.

    Raises:
        InputError: a source is not there or empty.
        ConfigError: a source cannot be reached.
    """
    files: dict[str, str] = {}
    for source in sources:
        files.update((path, kind) for path, kind in _files(source) if path not in files)
    return [stretch for path, kind in files.items() for stretch in _stretches(kind, path, most)]


def into_parts(stretches: Iterable[Stretch], most: int) -> Iterator[list[Stretch]]:
    """Group stretches, in order, into parts of at most ``most`` pictures.

    A longer stretch, or one of a length that is not known, is a part of its own. Stretches of
    one file that follow each other are joined.
    """
    part: list[Stretch] = []
    held = 0
    for stretch in stretches:
        weight = most if stretch.images is None else stretch.images
        if part and held + weight > most:
            yield part
            part, held = [], 0
        if part and stretch.kind != "image" and part[-1].path == stretch.path and part[-1].images:
            part[-1] = part[-1]._replace(images=part[-1].images + weight)
        else:
            part.append(stretch)
        held += weight
    if part:
        yield part


def write_plan(parts: Iterable[list[Stretch]], file: IO[bytes]) -> int:
    """Write the plan and return how many parts it has."""
    number = 0
    with pq.ParquetWriter(
        file,
        _SCHEMA,
        compression="zstd",
        use_dictionary=False,
        column_encoding={"path": "DELTA_BYTE_ARRAY"},  # paths begin alike
    ) as writer:
        for part in parts:
            rows = [(each.kind, os.fsencode(each.path), each.start, each.images) for each in part]
            columns = [list(column) for column in zip(*rows, strict=True)]
            writer.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=len(part))
            number += 1
    return number


def read_part(plan: pq.ParquetFile, number: int) -> list[Stretch]:
    """Return what is in a part."""
    rows = plan.read_row_group(number).to_pylist()
    return [Stretch(**{**row, "path": os.fsdecode(row["path"])}) for row in rows]


def _files(source: str) -> Iterator[tuple[str, str]]:
    if any(letter in source for letter in "*?[") and not Path(source).exists():
        found = [(path, kind_of(path)) for path in matching(source)]
        known = [(path, kind) for path, kind in found if kind is not None]
        if not known:
            raise InputError(
                f"{source} stands for {len(found)} files, but none is an image, a Parquet file, "
                "a tar or a video by its ending"
            )
        yield from known
    elif (folder := _images_of_folder(source)) is not None:
        if not folder:
            raise InputError(
                f"{source} holds no images: name its Parquet files, tars or videos by a "
                f"pattern, such as {source.rstrip('/')}/*.tar"
            )
        yield from ((path, "image") for path in folder)
    else:
        if not is_address(source) and not Path(source).exists():
            raise InputError(f"{source}: there is no such file or folder; check the path")
        yield source, kind_of(source) or "image"


def _images_of_folder(source: str) -> list[str] | None:
    """Return the images below a folder; ``None`` if the source is no folder."""
    if is_address(source):
        if kind_of(source) is not None and not source.endswith("/"):
            return None
        return [path for path in list_below(source) if kind_of(path) == "image"]
    if not Path(source).is_dir():
        return None
    return [str(path) for path in find_images(Path(source))]


def _stretches(kind: str, path: str, most: int) -> Iterator[Stretch]:
    if kind == "parquet":
        yield from _parquet_stretches(path, most)
    elif kind == "tar" and path.lower().endswith(".tar") and not is_address(path):
        yield from _tar_stretches(path, most)
    else:
        yield Stretch(kind, path, 0, 1 if kind == "image" else None)


def _parquet_stretches(path: str, most: int) -> Iterator[Stretch]:
    try:
        with open_binary(path) as file:
            rows = int(pq.read_metadata(file).num_rows)
    except (InputError, pa.ArrowInvalid, OSError):
        yield Stretch("parquet", path, 0, None)
        return
    for start in range(0, rows, most):
        yield Stretch("parquet", path, start, min(most, rows - start))


def _tar_stretches(path: str, most: int) -> Iterator[Stretch]:
    """Cut a tar at members, by their headers: its content is skipped."""
    start: int | None = None
    count = 0
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # else it remembers all
                if not is_picture(member):
                    continue
                if count == most and start is not None:
                    yield Stretch("tar", path, start, count)
                    start, count = None, 0
                start = member.offset if start is None else start
                count += 1
    except (tarfile.TarError, OSError):
        yield Stretch("tar", path, start or 0, None)
        return
    if start is not None:
        yield Stretch("tar", path, start, count)


def is_picture(member: tarfile.TarInfo) -> bool:
    """Tell the images of a tar from what else is in it, by their names."""
    name = member.name.rsplit("/", 1)[-1]
    return member.isfile() and not name.startswith(".") and kind_of(name) == "image"
