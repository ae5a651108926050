"""A small FER2013 of drawn faces, for which no one's face was needed."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from mien.data import FERPLUS_LABELS
from mien.types import EMOTIONS

#: Of each emotion.
ROWS = {"Training": 12, "PublicTest": 3, "PrivateTest": 2}


def drawn_face(emotion: int, generator: np.random.Generator) -> np.ndarray:
    """Return uint8 (48, 48): a bright bar whose place tells the emotion, in noise."""
    face = generator.integers(0, 90, (48, 48), np.uint8)
    face[4 + 6 * emotion : 8 + 6 * emotion, 6:42] = generator.integers(180, 256)
    return face


def write_csvs(folder: Path, rows: dict[str, int] = ROWS) -> tuple[Path, Path]:
    """Write fer2013.csv and fer2013new.csv, and return their paths."""
    generator = np.random.default_rng(0)
    data, votes = folder / "fer2013.csv", folder / "fer2013new.csv"
    with data.open("w", newline="") as left, votes.open("w", newline="") as right:
        faces, people = csv.writer(left), csv.writer(right)
        faces.writerow(["emotion", "pixels", "Usage"])
        people.writerow(["Usage", "Image name", *FERPLUS_LABELS, "unknown", "NF"])
        for usage, count in rows.items():
            for emotion in range(7):
                for _ in range(count):
                    pixels = drawn_face(emotion, generator).ravel()
                    faces.writerow([emotion, " ".join(map(str, pixels)), usage])
                    people.writerow([usage, "", *(8 * (column == emotion) for column in range(10))])
    return data, votes


def write_folder(root: Path, count: int = 1, ending: str = "png") -> Path:
    """Write ``train`` and ``test`` with as many faces of each emotion, and return the folder."""
    generator = np.random.default_rng(0)
    for part in ("train", "test"):
        for number, emotion in enumerate(EMOTIONS):
            folder = root / part / emotion
            folder.mkdir(parents=True)
            for index in range(count):
                face = drawn_face(number, generator)
                Image.fromarray(face).save(folder / f"{index}.{ending}")
    return root
