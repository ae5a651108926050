"""CREMA-D: 7,442 clips of 91 actors who speak sentences in one of six emotions.

    VideoFlash/1001_DFA_ANG_XX.flv     actor, sentence, emotion, how strong
    VideoDemographics.csv              ActorID, Age, Sex, Race, Ethnicity

The middle frame of each clip is judged, against the emotion that the actor was asked for;
nobody acts surprise. Sex, race, ethnicity and age (in RAF-DB's ranges) become groups.

Source:
    Cao et al., "CREMA-D: Crowd-Sourced Emotional Multimodal Actors Dataset", IEEE
    Transactions on Affective Computing 2014; https://github.com/CheyneyComputerScience/CREMA-D.
"""

from __future__ import annotations

import re
from pathlib import Path

from mien.data.datasets.common import Gathering, Known, Listing, read_table
from mien.errors import DataError

__all__ = ["CREMA_D"]

_LABELS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_NAME = re.compile(r"(?P<actor>\d{4})_[A-Z]{3}_(?P<label>[A-Z]{3})_[A-Z]{2}\.(flv|mp4)", re.I)
_COLUMNS = frozenset(("ActorID", "Age", "Sex", "Race", "Ethnicity"))
_AGES = ((0, "0-3"), (4, "4-19"), (20, "20-39"), (40, "40-69"), (70, "70+"))
_EXPECTED = "VideoFlash/1001_DFA_ANG_XX.flv and so on, and VideoDemographics.csv"


def _read(root: Path) -> Listing:
    found = Gathering(root, _LABELS)
    actors = _actors(root / "VideoDemographics.csv")
    for file in sorted((root / "VideoFlash").glob("*.*")):
        if match := _NAME.fullmatch(file.name):
            groups = actors.get(match["actor"], {})
            found.add(file, match["label"].upper(), person=match["actor"], groups=groups)
        else:
            found.drop("file named otherwise than 1001_DFA_ANG_XX.flv")
    return found.finish("clip", "all", _EXPECTED)


def _actors(table: Path) -> dict[str, dict[str, str]]:
    if not table.is_file():
        return {}
    actors = {}
    for number, row in enumerate(read_table(table, _COLUMNS, _EXPECTED), start=1):
        try:
            age = int(row["Age"])
        except ValueError:
            raise DataError(f"{table}, row {number}: Age is {row['Age']!r}, no number") from None
        actors[row["ActorID"]] = {
            "sex": row["Sex"].lower(),
            "race": row["Race"],
            "ethnicity": row["Ethnicity"],
            "age": [name for least, name in _AGES if age >= least][-1] if age >= 0 else "",
        }
    return actors


CREMA_D = Known(
    title="CREMA-D",
    terms="Open Database License (contents: Database Contents License)",
    address="https://github.com/CheyneyComputerScience/CREMA-D",
    labels=_LABELS,
    read=_read,
)
