"""Many pictures' results as tables, counts and files, in the one shape of :mod:`mien.wire`."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from mien.types import EMOTIONS
from mien.webapp.markup import data_uri, sentence
from mien.webapp.pictures import PictureResult
from mien.wire import (
    csv_fields,
    failure_to_dict,
    image_to_dict,
    reading_to_row,
    to_csv,
    to_json,
)

__all__ = ["OVERVIEW_COLUMNS", "annotated_zip", "counts", "overview", "results_csv", "results_json"]


def results_csv(results: Iterable[PictureResult], labels: Sequence[str] = EMOTIONS) -> str:
    """Return one line a face; a picture without any, or not readable, has one line too."""
    rows: list[dict[str, Any]] = []
    for each in results:
        if each.error is not None:
            rows.append({"image": each.name, "error": str(each.error)})
        elif not each.readings:
            rows.append({"image": each.name})
        rows += [
            {"image": each.name, "face": number, **reading_to_row(reading)}
            for number, reading in enumerate(each.readings, 1)
        ]
    return to_csv(rows, ["image", "face", *csv_fields(labels), "error"])


def results_json(results: Iterable[PictureResult]) -> str:
    """Return a list of images as :mod:`mien.wire` describes them."""
    return to_json(
        [
            image_to_dict(each.name, each.size_hw, each.readings)
            if each.error is None
            else failure_to_dict(each.name, each.error)
            for each in results
        ],
        indent=2,
    )


def counts(results: Iterable[PictureResult], labels: Sequence[str] = EMOTIONS) -> dict[str, int]:
    """Count the faces by their most probable label, uncertain ones too, in label order."""
    found = Counter(reading.top for each in results for reading in each.readings)
    return {label: found[label] for label in labels}


#: The columns of :func:`overview`; what is wrong comes before what is long.
OVERVIEW_COLUMNS = ("face", "image", "expression", "confidence", "note", "likely")


def overview(results: Iterable[PictureResult]) -> list[dict[str, Any]]:
    """Return the rows of the table on the page: one a face, or one for an image without.

    ``face`` is a data URI of its thumbnail.
    """
    rows: list[dict[str, Any]] = []
    for each in results:
        if not each.readings:
            note = "no face found" if each.error is None else sentence(str(each.error))
            rows.append({"image": each.name, "note": note})
        rows += [
            {
                "face": data_uri(thumb),
                "image": each.name,
                "expression": reading.top.capitalize(),
                "confidence": reading.confidence,
                "note": "uncertain" if reading.uncertain else "",
                "likely": ", ".join(reading.set),
            }
            for reading, thumb in zip(each.readings, each.thumbs, strict=True)
        ]
    return rows


def annotated_zip(results: Iterable[PictureResult]) -> bytes:
    """Return a ZIP of the annotated pictures; equal names get a number."""
    buffer = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for each in results:
            if each.error is None:
                name = _free_name(each.name, taken)
                taken.add(name)
                archive.writestr(name, each.annotated)
    return buffer.getvalue()


def _free_name(name: str, taken: set[str]) -> str:
    """Return a name with the ending .jpg that is not taken and stays inside an archive."""
    parts = [
        part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..")
    ]
    stem = str(PurePosixPath(*parts or ("picture",)).with_suffix(""))
    number, found = 1, f"{stem}.jpg"
    while found in taken:
        number += 1
        found = f"{stem}-{number}.jpg"
    return found
