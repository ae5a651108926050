"""RAVDESS: 24 actors who speak, and sing, two sentences in eight emotions, filmed.

    Actor_01/02-01-06-01-02-01-01.mp4      modality, channel, emotion, intensity, sentence,
                                           repetition, actor

The middle frame of each spoken clip is judged. Every clip comes with its sound (modality
01) and without (02); the pictures are the same, so that one of the two is taken. Actors
with an odd number are men, with an even one women.

Source:
    Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song
    (RAVDESS)", PLoS ONE 2018; https://zenodo.org/records/1188976.
"""

from __future__ import annotations

import re
from pathlib import Path

from mien.data.datasets.common import Gathering, Known, Listing

__all__ = ["RAVDESS"]

_NUMBERS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
_LABELS = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fearful": "fear",
    "disgust": "disgust",
    "surprised": "surprise",
}
_NAME = re.compile(
    r"0[12]-(?P<take>(?P<channel>0[12])-(?P<emotion>0[1-8])-\d\d-\d\d-\d\d-(?P<actor>\d\d))\.mp4",
    re.IGNORECASE,
)


def _read(root: Path) -> Listing:
    found = Gathering(root, _LABELS)
    taken: set[str] = set()
    for file in sorted(root.rglob("*.mp4")):
        match = _NAME.fullmatch(file.name)
        if match is None:
            found.drop("file named otherwise than 02-01-06-01-02-01-12.mp4")
        elif match["take"] in taken:
            found.drop("the same clip with and without sound")
        elif match["channel"] == "02":
            found.drop("sung")
        else:
            taken.add(match["take"])
            actor = match["actor"]
            groups = {"sex": "male" if int(actor) % 2 else "female"}
            found.add(file, _NUMBERS[match["emotion"]], person=actor, groups=groups)
    return found.finish("clip", "all spoken clips", "Actor_01/02-01-06-01-02-01-01.mp4 and so on")


RAVDESS = Known(
    title="RAVDESS",
    terms="CC BY-NC-SA 4.0; commercial licences are sold",
    address="https://zenodo.org/records/1188976",
    labels=_LABELS,
    read=_read,
)
