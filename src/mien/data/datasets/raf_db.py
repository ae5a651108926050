"""RAF-DB, the Real-world Affective Faces database: photos from the web, its basic emotions.

    EmoLabel/list_patition_label.txt                       "test_0001.jpg 4" (the typing error
                                                           is the owners')
    Image/original/test_0001.jpg                           the whole photo
    Annotation/boundingbox/test_0001_boundingbox.txt       its face: left, top, right, bottom
    Image/aligned/test_0001_aligned.jpg                    the face, 100 x 100
    Annotation/manual/test_0001_manu_attri.txt             landmarks; gender, race, age range

The test part is judged, on which published figures are counted; by the whole photos if
they are there, else by the aligned faces as they are. Gender, race and age become groups.

Source:
    Li, Deng and Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for
    Expression Recognition in the Wild", CVPR 2017, and the read-me that comes with it.
"""

from __future__ import annotations

from pathlib import Path

from mien.data.datasets.common import Framing, Gathering, Known, Listing, read_lines
from mien.errors import DataError
from mien.types import Box

__all__ = ["RAF_DB"]

_NUMBERS = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}
_LABELS = {
    "surprise": "surprise",
    "fear": "fear",
    "disgust": "disgust",
    "happiness": "happy",
    "sadness": "sad",
    "anger": "angry",
    "neutral": "neutral",
}
#: The last three lines of an annotation, in their order.
_GROUPS = {
    "gender": {"0": "male", "1": "female", "2": "unsure"},
    "race": {"0": "Caucasian", "1": "African-American", "2": "Asian"},
    "age": {"0": "0-3", "1": "4-19", "2": "20-39", "3": "40-69", "4": "70+"},
}
_EXPECTED = "EmoLabel/list_patition_label.txt and Image/original/ or Image/aligned/"


def _read(root: Path) -> Listing:
    root = root / "basic" if (root / "basic").is_dir() else root
    found = Gathering(root, _LABELS)
    whole = (root / "Image" / "original").is_dir()
    framing: Framing = "photo" if whole else "crop"
    table = root / "EmoLabel" / "list_patition_label.txt"
    for number, fields in read_lines(table, _EXPECTED):
        if len(fields) != 2 or fields[1] not in _NUMBERS:
            raise DataError(f"{table}, line {number}: expected a file and a label 1 to 7")
        stem = fields[0].removesuffix(".jpg")
        if not stem.startswith("test_"):
            continue
        aligned = root / "Image" / "aligned" / f"{stem}_aligned.jpg"
        found.add(
            root / "Image" / "original" / f"{stem}.jpg" if whole else aligned,
            _NUMBERS[fields[1]],
            groups=_groups(root / "Annotation" / "manual" / f"{stem}_manu_attri.txt"),
            box=_box(root / "Annotation" / "boundingbox" / f"{stem}_boundingbox.txt"),
        )
    return found.finish(framing, "test", _EXPECTED)


def _groups(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    values = [fields[0] for _, fields in read_lines(path, _EXPECTED)][-len(_GROUPS) :]
    try:
        return {
            name: names[value] for (name, names), value in zip(_GROUPS.items(), values, strict=True)
        }
    except (KeyError, ValueError):
        raise DataError(
            f"{path}: expected gender 0 to 2, race 0 to 2 and age 0 to 4 in the last three "
            f"lines, got {', '.join(values)}"
        ) from None


def _box(path: Path) -> Box | None:
    if not path.is_file():
        return None
    fields = [field for _, line in read_lines(path, _EXPECTED) for field in line]
    try:
        left, top, right, bottom = (round(float(field)) for field in fields)
    except (ValueError, OverflowError):
        raise DataError(f"{path}: expected left, top, right and bottom, got {fields}") from None
    return Box(left, top, right - left, bottom - top)


RAF_DB = Known(
    title="RAF-DB",
    terms="non-commercial research and education, on request; no redistribution",
    address="http://www.whdeng.cn/raf/model1.html",
    labels=_LABELS,
    read=_read,
)
