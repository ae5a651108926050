"""CK+, the Extended Cohn-Kanade data set: posed expressions, filmed from neutral to peak.

    cohn-kanade-images/S005/001/S005_001_00000011.png
    Emotion/S005/001/S005_001_00000011_emotion.txt        "   3.0000000e+00"

593 sequences of 123 people, of which 327 have a label; its file is named after the frame at
the peak, which is the one judged. Every person's first labelled sequence gives a neutral
face, too: its first frame. One a person, since all their first frames look alike.

Source:
    Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010, and the
    read-me that comes with it.
"""

from __future__ import annotations

from pathlib import Path

from mien.data.datasets.common import Gathering, Known, Listing, numbered, read_lines
from mien.errors import DataError

__all__ = ["CK_PLUS"]

_NUMBERS = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
_LABELS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprise",
}
_EXPECTED = "cohn-kanade-images/S005/001/*.png and Emotion/S005/001/*_emotion.txt"


def _read(root: Path) -> Listing:
    found = Gathering(root, _LABELS)
    people: set[str] = set()
    for label_file in sorted((root / "Emotion").glob("S*/*/*_emotion.txt")):
        person, sequence = label_file.parent.parent.name, label_file.parent.name
        folder = root / "cohn-kanade-images" / person / sequence
        frames = sorted(folder.glob("S*.png"))
        peak = folder / f"{label_file.name.removesuffix('_emotion.txt')}.png"
        if peak not in frames:
            raise DataError(f"{label_file} labels {peak}, which is not there: {_EXPECTED}")
        found.add(peak, _label(label_file), person=person)
        if person not in people and frames[0] != peak:
            found.add(frames[0], "neutral", person=person)
            people.add(person)
    return found.finish("photo", "all labelled sequences", _EXPECTED)


def _label(path: Path) -> str:
    fields = [field for _, line in read_lines(path, _EXPECTED) for field in line]
    try:
        (number,) = fields
        return numbered(_NUMBERS, number)
    except ValueError:
        raise DataError(f"{path}: expected one number, 0 to 7, got {' '.join(fields)!r}") from None


CK_PLUS = Known(
    title="CK+",
    terms="non-commercial research, after signing the owners' agreement; no redistribution",
    address="http://www.jeffcohn.net/Resources/",
    labels=_LABELS,
    read=_read,
)
