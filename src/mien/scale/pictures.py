"""Stretches of files, picture by picture: one is held at a time."""

from __future__ import annotations

import math
import os
import shutil
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mien.errors import ConfigError, DataError, InputError, VideoError
from mien.images import ImageLimits, Source
from mien.scale.places import fetch, is_address, joined, open_binary
from mien.scale.plan import Stretch, is_picture

__all__ = ["Picture", "pictures_of"]

_MOST_BYTES = ImageLimits().max_bytes + 1  # enough to be refused as too large
_AHEAD = 16  # downloads that wait for the processor
_ROWS = 16  # of a Parquet file, in memory at once
_COLUMNS = ("image", "jpg", "jpeg", "png", "webp", "bytes", "content", "data", "path", "file_name")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to read, or why there is none.

    Attributes:
        name: what its rows are named by.
        source: a path, the bytes of a file or RGB pixels; ``None`` if it failed.
        frame: its number in a video, from 0; ``None`` elsewhere.
        time_s: its time in a video.
    """

    name: str
    source: Source | None = None
    failure: InputError | None = None
    frame: int | None = None
    time_s: float | None = None


def pictures_of(
    stretches: Sequence[Stretch], *, column: str | None = None, frames_per_s: float = 1.0
) -> Iterator[Picture]:
    """Yield the pictures of stretches, in order; what cannot be read is among them.

    Args:
        column: of Parquet files, with encoded images or their paths; found by its name if
            ``None``.
        frames_per_s: as many frames of a video are read.

    Raises:
        ConfigError: a file elsewhere cannot be reached: see `mien.scale.places.fetch`.
    """
    images = _fetch_ahead([each.path for each in stretches if each.kind == "image"])
    for stretch in stretches:
        if stretch.kind == "image":
            yield next(images)
        else:
            yield from _of_file(stretch, column, frames_per_s)


def _of_file(stretch: Stretch, column: str | None, frames_per_s: float) -> Iterator[Picture]:
    try:
        if stretch.kind == "parquet":
            yield from _of_parquet(stretch, column)
        elif stretch.kind == "tar":
            yield from _of_tar(stretch)
        else:
            yield from _of_video(stretch.path, frames_per_s)
    except InputError as error:
        yield Picture(stretch.path, failure=error)


def _fetch_ahead(places: Sequence[str]) -> Iterator[Picture]:
    """Yield files, downloading those elsewhere while others are worked on."""
    if not any(map(is_address, places)):
        yield from (Picture(place, Path(place)) for place in places)
        return
    pending: deque[Future[Picture]] = deque()
    with ThreadPoolExecutor(_AHEAD) as pool:
        try:
            for place in places:
                pending.append(pool.submit(_fetched, place, place))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _fetched(name: str, place: str) -> Picture:
    if not is_address(place):
        return Picture(name, Path(place))
    try:
        return Picture(name, fetch(place, _MOST_BYTES))
    except InputError as error:
        return Picture(name, failure=error)


def _of_parquet(stretch: Stretch, column: str | None) -> Iterator[Picture]:
    try:
        with open_binary(stretch.path) as opened, pq.ParquetFile(opened) as file:
            chosen = _column(file.schema_arrow, column, stretch.path)
            count = file.metadata.num_rows if stretch.images is None else stretch.images
            for number, value in _values(file, chosen, stretch.start, stretch.start + count):
                yield _of_value(f"{stretch.path}#{number}", value, stretch.path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{stretch.path} is no Parquet file, or damaged: {error}") from None


def _column(schema: Any, wanted: str | None, path: str) -> str:
    """Return the column with the images.

    Raises:
        ConfigError: there is none of that name, or none that would be guessed.
    """
    names = list(schema.names)
    if wanted is None:
        wanted = next((name for name in _COLUMNS if name in names), None)
    if wanted is None or wanted not in names:
        raise ConfigError(
            f"{path} has the columns {', '.join(names)}: name the one with the images, or with "
            "their paths, by --column"
        )
    return wanted


def _values(file: Any, column: str, start: int, stop: int) -> Iterator[tuple[int, Any]]:
    """Yield numbers and values of rows, reading no row group without them."""
    first = 0
    for group in range(file.metadata.num_row_groups):
        after = first + file.metadata.row_group(group).num_rows
        if first < stop and start < after:
            number = first
            for batch in file.iter_batches(_ROWS, row_groups=[group], columns=[column]):
                low, high = max(start - number, 0), min(stop - number, len(batch))
                for offset in range(low, high):
                    yield number + offset, batch.column(0)[offset].as_py()
                number += len(batch)
        first = after


def _of_value(name: str, value: Any, parquet: str) -> Picture:
    """Take bytes, a path, or both as Hugging Face writes them, ``{"bytes": .., "path": ..}``."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return Picture(name, value)
    if isinstance(value, str) and value:
        local = not is_address(value) and not os.path.isabs(value)
        return _fetched(name, joined(_folder(parquet), value) if local else value)
    return Picture(
        name, failure=DataError(f"{name}: expected bytes or a path, got {type(value).__name__}")
    )


def _folder(place: str) -> str:
    return place.rsplit("/", 1)[0] if is_address(place) else os.path.dirname(place)


def _of_tar(stretch: Stretch) -> Iterator[Picture]:
    left = math.inf if stretch.images is None else stretch.images
    packed = stretch.path.lower().endswith(("gz", "tgz"))
    try:
        with open_binary(stretch.path) as file:
            file.seek(stretch.start)
            with tarfile.open(fileobj=file, mode="r|gz" if packed else "r|") as tar:
                for member in tar:
                    tar.members = []  # type: ignore[attr-defined]  # else it remembers all
                    if not is_picture(member):
                        continue
                    content = tar.extractfile(member)
                    data = b"" if content is None else content.read(_MOST_BYTES)
                    yield Picture(f"{stretch.path}/{member.name}", data)
                    left -= 1
                    if not left:
                        return
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{stretch.path} is no tar, or damaged: {error}") from None


def _of_video(path: str, frames_per_s: float) -> Iterator[Picture]:
    from mien.video import open_source

    with _on_this_machine(path) as local:
        try:
            video = open_source(local)
            try:
                next_s = 0.0
                for frame in video.frames():
                    if frame.time_s >= next_s:
                        yield Picture(path, frame.image, None, frame.index, round(frame.time_s, 6))
                        next_s = (math.floor(frame.time_s * frames_per_s) + 1) / frames_per_s
            finally:
                video.close()
        except VideoError as error:
            raise VideoError(str(error).replace(local, path)) from None


@contextmanager
def _on_this_machine(path: str) -> Iterator[str]:
    if not is_address(path):
        yield path
        return
    with tempfile.NamedTemporaryFile(suffix=os.path.splitext(path)[1]) as copy:
        with open_binary(path) as file:
            shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        yield copy.name
