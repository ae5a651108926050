"""One part of a job: its pictures in, a Parquet file out."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mien.card import sha256_of
from mien.errors import ConfigError, InputError, MienError, ModelError
from mien.faces import everyone, largest, open_detector
from mien.predictor import Predictor, open_predictor
from mien.runtime import default_model
from mien.scale.job import Job, Options, PartReport
from mien.scale.pictures import Picture, pictures_of
from mien.scale.places import write_whole
from mien.scale.plan import read_part
from mien.types import EMOTIONS
from mien.wire import csv_fields, reading_to_row

__all__ = ["PartReader", "open_reader", "schema_of"]

_ROWS_PER_GROUP = 4096  # and so held in memory as Python values

_TYPES = {
    **dict.fromkeys(
        ("frame", "width", "height", "face", "box.x", "box.y", "box.w", "box.h", "identity"),
        "int32",
    ),
    **dict.fromkeys(
        ("image", "emotion", "set", "reasons", "error.code", "error.message"), "string"
    ),
    "time_s": "float64",
    "uncertain": "bool",
}


def schema_of(labels: Sequence[str] = EMOTIONS) -> pa.Schema:
    """Return the columns of a result.

    ``image``, ``frame`` and ``time_s`` in a video, ``width`` and ``height`` of the upright
    picture, ``face`` from 1, those of `mien.wire`, ``error.code`` and ``error.message``. A row
    is a face, or a picture without one (``face`` is null), or one that could not be read
    (``error.code`` is not null).
    """
    names = ["image", "frame", "time_s", "width", "height", "face", *csv_fields(labels)]
    names += ["error.code", "error.message"]
    return pa.schema([(name, _TYPES.get(name, "float32")) for name in names])


class PartReader:
    """Reads parts of the job in a folder, one after another, on one processor core.

    Pictures are read one by one, so that no row depends on the company its picture is in.

    Raises:
        ConfigError: the folder holds no job.
        ModelError: the model is another one than the job was begun with.
    """

    def __init__(self, folder: str) -> None:
        self._job = Job.read(folder)
        self._options = self._job.options
        self._plan = self._job.plan()
        self._predictor = _open_predictor(self._options, self._job.model_sha256)
        self._schema = schema_of(self._predictor.labels)

    def __call__(self, number: int) -> PartReport:
        """Read a part and write its file.

        Raises:
            ConfigError: a file elsewhere cannot be reached, or the result cannot be written.
            MissingExtra: videos are among the sources, and their packages are not there.
        """
        begin = time.monotonic()
        report = PartReport(number)
        rows: list[dict[str, Any]] = []
        content = io.BytesIO()
        with pq.ParquetWriter(content, self._schema, compression="zstd") as writer:
            for picture in pictures_of(
                read_part(self._plan, number),
                column=self._options.column,
                frames_per_s=self._options.frames_per_s,
            ):
                found = self._rows(picture)
                report = _counted(report, found)
                rows += found
                if len(rows) >= _ROWS_PER_GROUP:
                    writer.write_table(pa.Table.from_pylist(rows, self._schema))
                    rows = []
            writer.write_table(pa.Table.from_pylist(rows, self._schema))
        write_whole(self._job.place_of(number), content.getvalue())
        return replace(report, seconds=time.monotonic() - begin)

    def _rows(self, picture: Picture) -> list[dict[str, Any]]:
        place = {
            "image": picture.name.encode("utf-8", "backslashreplace").decode(),
            "frame": picture.frame,
            "time_s": picture.time_s,
        }
        try:
            return [{**place, **row} for row in self._read(picture)]
        except InputError as error:
            return [{**place, **_failure(error.code, _message(picture, error))}]
        except MienError:
            raise
        except Exception as error:  # the edge: one odd picture must not stop millions
            return [{**place, **_failure("internal", f"{type(error).__name__}: {error}")}]

    def _read(self, picture: Picture) -> list[dict[str, Any]]:
        """Return the rows of a picture as ``mien predict`` reads it."""
        if picture.source is None:
            raise picture.failure or InputError(f"{picture.name} cannot be read")
        select = largest if self._options.largest_face else everyone
        result = self._predictor.predict(picture.source, select)
        size = {"width": result.size_hw[1], "height": result.size_hw[0]}
        rows = [
            {**size, "face": number, **reading_to_row(reading, abstain=self._options.abstain)}
            for number, reading in enumerate(result, 1)
        ]
        return rows or [size]


def open_reader(folder: str) -> PartReader:
    """Open a job's reader in a process of its own, which goes where relative paths are meant from.

    Raises:
        ConfigError: that folder is not on this machine, or ``folder`` holds no job.
        ModelError: as :class:`PartReader`.
    """
    base = Job.read(folder).base
    try:
        os.chdir(base or ".")
    except OSError as error:
        raise ConfigError(
            f"the sources are named relative to {base}, which a worker cannot enter "
            f"({error.strerror}): name them so that every worker finds them"
        ) from None
    return PartReader(folder)


def _open_predictor(options: Options, model_sha256: str) -> Predictor:
    model = default_model() if options.model is None else Path(options.model)
    detector = open_detector(options.detector, min_face_px=options.smallest_px, threads=1)
    predictor = open_predictor(
        model,
        head=options.head,
        detector=detector,
        device="cpu",
        threads=1,
        min_score=options.min_score,
        min_face_px=options.min_face_px,
    )
    if sha256_of(model) != model_sha256:
        raise ModelError(
            f"{model} is not the model that this job was begun with: put that one there, or "
            "choose another folder for the results"
        )
    return predictor


def _counted(report: PartReport, rows: list[dict[str, Any]]) -> PartReport:
    return replace(
        report,
        images=report.images + 1,
        faces=report.faces + sum("face" in row for row in rows),
        errors=report.errors + sum("error.code" in row for row in rows),
    )


def _message(picture: Picture, error: InputError) -> str:
    """Return what is wrong, with the picture's name in front."""
    text = str(error)
    return text if text.startswith(picture.name) else f"{picture.name}: {text}"


def _failure(code: str, message: str) -> dict[str, Any]:
    text = message.encode("utf-8", "backslashreplace").decode()
    return {"error.code": code, "error.message": text}
