"""ExpW, Expression in-the-Wild: 91,793 faces in photos from the web.

    label/label.lst            a line a face: file, number of the face in it, top, left,
                               right and bottom of its box, the detector's confidence, label
    image/origin/*.jpg

The set is not parted, so that all of it is judged. Its labels were given by hand.

Source:
    Zhang, Luo, Loy and Tang, "From Facial Expression Recognition to Interpersonal Relation
    Prediction", IJCV 2018, and the read-me that comes with it.
"""

from __future__ import annotations

from pathlib import Path

from mien.data.datasets.common import Gathering, Known, Listing, numbered, read_lines
from mien.errors import DataError
from mien.types import Box

__all__ = ["EXPW"]

_NUMBERS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_LABELS = {label: label for label in _NUMBERS}
_EXPECTED = "label/label.lst and image/origin/*.jpg"


def _read(root: Path) -> Listing:
    found = Gathering(root, _LABELS)
    table = _first(root / "label" / "label.lst", root / "label.lst")
    folder = _first(root / "image" / "origin", root / "origin")
    for number, fields in read_lines(table, _EXPECTED):
        try:
            file, face, *edges, _confidence, label = fields
            top, left, right, bottom = map(int, edges)
            emotion = numbered(_NUMBERS, label)
        except ValueError:
            raise DataError(
                f"{table}, line {number}: expected a file, the face's number, four edges, a "
                f"confidence and a label 0 to 6, got {' '.join(fields)!r}"
            ) from None
        box = Box(left, top, right - left, bottom - top)
        found.add(folder / file, emotion, suffix=f"#{face}", box=box)
    return found.finish("photo", "all", _EXPECTED)


def _first(*paths: Path) -> Path:
    """Return the first path that there is; the first of all if there is none."""
    return next((path for path in paths if path.exists()), paths[0])


EXPW = Known(
    title="ExpW",
    terms="non-commercial research; the photos belong to their authors",
    address="https://mmlab.ie.cuhk.edu.hk/projects/socialrelation/index.html",
    labels=_LABELS,
    read=_read,
)
