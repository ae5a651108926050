"""AffectNet: photos from the web, in the two forms in which it has been handed out.

The form of 2021, its faces cut out at 224 x 224 and eight labels:

    val_set/images/0.jpg
    val_set/annotations/0_exp.npy            the label's number as text

The form of 2017, whole photos with the face's box and eleven labels:

    Manually_Annotated_Images/103/29a31ebf1567693f4644c8ba3476ca9a72ee07fe67a5860d98707a0a.jpg
    validation.csv                           subDirectory_filePath, face_x, ..., expression

The validation part is judged, on which published figures are counted: the owners keep the
test part.

Source:
    Mollahosseini et al., "AffectNet", IEEE Transactions on Affective Computing 2017;
    http://mohammadmahoor.com/pages/databases/affectnet/.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.data.datasets.common import Gathering, Known, Listing, numbered, read_table
from mien.errors import DataError
from mien.types import Box

__all__ = ["AFFECTNET"]

_NUMBERS = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "none",
    "uncertain",
    "no face",
)
_LABELS = {
    "neutral": "neutral",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
    "anger": "angry",
}
_BOX = ("face_x", "face_y", "face_width", "face_height")
_COLUMNS = frozenset(("subDirectory_filePath", *_BOX, "expression"))
_EXPECTED = (
    "val_set/images/*.jpg with val_set/annotations/*_exp.npy, or validation.csv with "
    "Manually_Annotated_Images/"
)


def _read(root: Path) -> Listing:
    return _read_crops(root) if (root / "val_set").is_dir() else _read_photos(root)


def _read_crops(root: Path) -> Listing:
    found = Gathering(root, _LABELS)
    images = root / "val_set" / "images"
    for file in sorted(images.glob("*.jpg"), key=lambda file: (len(file.stem), file.stem)):
        label_file = root / "val_set" / "annotations" / f"{file.stem}_exp.npy"
        try:
            number = str(np.load(label_file, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read the label of {file}: {error}") from None
        found.add(file, _label(number, label_file))
    return found.finish("crop", "validation", _EXPECTED)


def _read_photos(root: Path) -> Listing:
    found = Gathering(root, _LABELS)
    table = root / "validation.csv"
    folder = root / "Manually_Annotated_Images"
    for number, row in enumerate(read_table(table, _COLUMNS, _EXPECTED), start=1):
        place = f"{table}, row {number}"
        try:
            box = Box(*(round(float(row[name])) for name in _BOX))
        except (ValueError, OverflowError):
            raise DataError(f"{place}: the face's box is no four numbers") from None
        file = folder / row["subDirectory_filePath"]
        found.add(file, _label(row["expression"], place), box=box if box.w > 0 else None)
    return found.finish("photo", "validation", _EXPECTED)


def _label(number: str, place: object) -> str:
    try:
        return numbered(_NUMBERS, number)
    except ValueError:
        raise DataError(f"{place}: expected an expression 0 to 10, got {number!r}") from None


AFFECTNET = Known(
    title="AffectNet",
    terms="research only; a professor or lab manager signs the owners' agreement",
    address="http://mohammadmahoor.com/pages/databases/affectnet/",
    labels=_LABELS,
    read=_read,
)
