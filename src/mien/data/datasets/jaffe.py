"""JAFFE: seven expressions posed by ten Japanese women, 213 grey photos of 256 x 256.

    KA.AN1.39.tiff         who, which expression and the how many-th, a running number

Source:
    Lyons, Kamachi and Gyoba, "The Japanese Female Facial Expression (JAFFE) Dataset",
    1998, https://zenodo.org/records/3451524.
"""

from __future__ import annotations

import re
from pathlib import Path

from mien.data.datasets.common import Gathering, Known, Listing

__all__ = ["JAFFE"]

_LABELS = {
    "AN": "angry",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happy",
    "NE": "neutral",
    "SA": "sad",
    "SU": "surprise",
}
_NAME = re.compile(r"(?P<person>[A-Z]{2})\.(?P<label>[A-Z]{2})\d+\.\d+\.tiff?", re.IGNORECASE)


def _read(root: Path) -> Listing:
    found = Gathering(root, _LABELS)
    for file in sorted(root.rglob("*.tif*")):
        if match := _NAME.fullmatch(file.name):
            found.add(file, match["label"].upper(), person=match["person"].upper())
        else:
            found.drop("file named otherwise than KA.AN1.39.tiff")
    return found.finish("photo", "all", "KA.AN1.39.tiff and so on, in it or below it")


JAFFE = Known(
    title="JAFFE",
    terms="non-commercial research on request; the paper is to be cited, nothing passed on",
    address="https://zenodo.org/records/3451524",
    labels=_LABELS,
    read=_read,
)
