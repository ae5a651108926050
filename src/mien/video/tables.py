"""Readings of a video as tables: CSV, JSON lines and Parquet, written as they come."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from mien.errors import MissingExtra
from mien.files import PendingFile
from mien.types import EMOTIONS
from mien.video.pipeline import FrameReadings
from mien.wire import csv_fields, reading_to_dict, reading_to_row, to_json

__all__ = ["CsvTable", "JsonLines", "ParquetTable"]

_ROWS_PER_GROUP = 16_384  # of a Parquet file, and so held in memory


class _TextFile:
    def __init__(self, path: Path) -> None:
        self._pending = PendingFile(path)
        self._opened: TextIO | None = None

    @property
    def _file(self) -> TextIO:
        if self._opened is None:
            self._opened = self._pending.part.open("w", encoding="utf-8", newline="")
        return self._opened

    def commit(self) -> None:
        """Finish the file and give it its name."""
        self._file.close()
        self._pending.commit()

    def discard(self) -> None:
        """Leave nothing behind; harmless after :meth:`commit`."""
        if self._opened is not None:
            self._opened.close()
        self._pending.discard()


class CsvTable(_TextFile):
    """A row for each face of each frame: ``frame``, ``time_s`` and the columns of `mien.wire`.

    Raises:
        ConfigError: the file cannot be written.
    """

    def __init__(self, path: Path, labels: Sequence[str] = EMOTIONS) -> None:
        super().__init__(path)
        self._fields = ["frame", "time_s", *csv_fields(labels)]
        self._writer: csv.DictWriter[str] | None = None

    def write(self, frame: FrameReadings) -> None:
        """Give one frame."""
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, self._fields, lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerows(_rows(frame))


class JsonLines(_TextFile):
    """A line for each frame, faces or not: ``{"frame": 0, "time_s": 0.0, "faces": [...]}``.

    Raises:
        ConfigError: the file cannot be written.
    """

    def write(self, frame: FrameReadings) -> None:
        """Give one frame."""
        faces = [reading_to_dict(reading) for reading in frame.readings]
        content = {"frame": frame.index, "time_s": round(frame.time_s, 6), "faces": faces}
        self._file.write(to_json(content) + "\n")


class ParquetTable:
    """The rows of :class:`CsvTable` with types, compressed.

    Raises:
        ConfigError: the file cannot be written.
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, path: Path, labels: Sequence[str] = EMOTIONS) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise MissingExtra("video", "pyarrow") from None
        self._arrow = pyarrow
        types = {
            **dict.fromkeys(("frame", "box.x", "box.y", "box.w", "box.h", "identity"), "int32"),
            **dict.fromkeys(("emotion", "set", "reasons"), "string"),
            "uncertain": "bool",
            "time_s": "float64",
        }
        self._schema = pyarrow.schema(
            [
                (name, types.get(name, "float32"))
                for name in ["frame", "time_s", *csv_fields(labels)]
            ]
        )
        self._rows: list[dict[str, Any]] = []
        self._pending = PendingFile(path)
        self._writer: Any = None

    def write(self, frame: FrameReadings) -> None:
        """Give one frame."""
        self._rows += _rows(frame)
        if len(self._rows) >= _ROWS_PER_GROUP:
            self._flush()

    def commit(self) -> None:
        """Finish the file and give it its name."""
        self._flush()
        self._writer.close()
        self._pending.commit()

    def discard(self) -> None:
        """Leave nothing behind; harmless after :meth:`commit`."""
        if self._writer is not None:
            self._writer.close()
        self._pending.discard()

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = self._arrow.parquet.ParquetWriter(self._pending.part, self._schema)
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows = []


def _rows(frame: FrameReadings) -> list[dict[str, Any]]:
    place = {"frame": frame.index, "time_s": round(frame.time_s, 6)}
    return [{**place, **reading_to_row(reading)} for reading in frame.readings]
