"""Other people's data sets in their own layouts, with drawn pictures and clips in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from tests.support.clips import BACKGROUND, SIDE, Clip

from mien.types import EMOTIONS


def draw(
    path: Path, grey: int = 140, *, face: bool = True, at_xy: tuple[int, int] = (20, 16)
) -> Path:
    """Write a picture of 96 x 80: a grey square on blue, which the tests' detector finds."""
    image = np.full((80, 96, 3), BACKGROUND, np.uint8)
    if face:
        x, y = at_xy
        image[y : y + SIDE, x : x + SIDE] = grey
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(image)
    picture.save(path, quality=95) if path.suffix == ".jpg" else picture.save(path)
    return path


def grey_of(emotion: str) -> int:
    """Return the grey that the tests' network reads as an emotion."""
    return int((EMOTIONS.index(emotion) + 0.5) * 256 / 7)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def film(path: Path, emotion: str) -> Path:
    """Write a clip of eight frames that shows the emotion in the middle, and disgust before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    now, before = grey_of(emotion), grey_of("disgust")
    codec = {".flv": "flv", ".mp4": "libx264"}[path.suffix]
    return Clip(frames=8, codec=codec, brightness=lambda t: now if t > 3.5 / 25 else before).write(
        path
    )


def ck_plus(root: Path) -> None:
    for person, sequence, last, number, emotion in (
        ("S005", "001", 3, "3.0000000e+00", "disgust"),
        ("S005", "002", 2, "5.0000000e+00", "happy"),
        ("S010", "004", 2, "2.0000000e+00", "neutral"),
    ):
        folder = root / "cohn-kanade-images" / person / sequence
        stem = f"{person}_{sequence}_{{:08d}}"
        for frame in range(1, last + 1):
            grey = grey_of(emotion if frame == last else "neutral")
            draw(folder / f"{stem.format(frame)}.png", grey)
        label = root / "Emotion" / person / sequence / f"{stem.format(last)}_emotion.txt"
        write(label, f"   {number}\n")
    draw(root / "cohn-kanade-images" / "S011" / "001" / "S011_001_00000001.png")
    (root / "Emotion" / "S011" / "001").mkdir(parents=True)  # a sequence without a label


def jaffe(root: Path) -> None:
    draw(root / "KA.AN1.39.tiff", grey_of("angry"))
    draw(root / "KA.SU2.40.tiff", grey_of("surprise"))
    draw(root / "YM.HA3.41.tiff", grey_of("happy"))
    draw(root / "other.tiff")


def affectnet(root: Path) -> None:
    folder = root / "val_set"
    for stem, label in (("0", "1"), ("2", "7"), ("10", "0")):
        emotion = {"1": "happy", "0": "neutral"}.get(label, "angry")
        draw(folder / "images" / f"{stem}.jpg", grey_of(emotion))
        (folder / "annotations").mkdir(exist_ok=True)
        np.save(folder / "annotations" / f"{stem}_exp.npy", np.array(label))


def affectnet_photos(root: Path) -> None:
    head = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
        "expression,valence,arousal\n"
    )
    rows = "103/a.jpg,20,16,40,40,1;2,6,-0.5,0.5\n103/b.jpg,20,16,40,40,1;2,10,-2,-2\n"
    write(root / "validation.csv", head + rows)
    draw(root / "Manually_Annotated_Images" / "103" / "a.jpg", grey_of("angry"))
    draw(root / "Manually_Annotated_Images" / "103" / "b.jpg", face=False)


def raf_db(root: Path) -> None:
    folder = root / "basic"
    lines = "train_00001.jpg 5\ntest_0001.jpg 4\ntest_0002.jpg 1\n"
    write(folder / "EmoLabel" / "list_patition_label.txt", lines)
    for stem, emotion, people in (("0001", "happy", "1\n0\n2"), ("0002", "surprise", "0\n2\n4")):
        draw(folder / "Image" / "original" / f"test_{stem}.jpg", grey_of(emotion))
        draw(folder / "Image" / "aligned" / f"test_{stem}_aligned.jpg", grey_of(emotion))
        landmarks = "30.5\t40.5\n" * 5
        manual = folder / "Annotation" / "manual" / f"test_{stem}_manu_attri.txt"
        write(manual, f"{landmarks}{people}\n")
        box = folder / "Annotation" / "boundingbox" / f"test_{stem}_boundingbox.txt"
        write(box, "20.4 16.2 60.1 56.4\n")


def expw(root: Path) -> None:
    write(
        root / "label" / "label.lst",
        "a.jpg 0 16 20 60 56 55.2 3\na.jpg 1 0 80 95 15 20.0 4\nb.jpg 0 16 20 60 56 60.1 6\n",
    )
    draw(root / "image" / "origin" / "a.jpg", grey_of("happy"))
    draw(root / "image" / "origin" / "b.jpg", grey_of("neutral"))


def crema_d(root: Path) -> None:
    film(root / "VideoFlash" / "1001_DFA_ANG_XX.flv", "angry")
    film(root / "VideoFlash" / "1002_IEO_SAD_HI.flv", "sad")
    write(
        root / "VideoDemographics.csv",
        '"ActorID","Age","Sex","Race","Ethnicity"\n'
        '1001,51,"Male","Caucasian","Not Hispanic"\n1002,21,"Female","Asian","Hispanic"\n',
    )


def ravdess(root: Path) -> None:
    film(root / "Actor_01" / "01-01-06-01-02-01-01.mp4", "fear")
    film(root / "Actor_01" / "02-01-06-01-02-01-01.mp4", "fear")
    film(root / "Actor_02" / "02-01-02-01-01-01-02.mp4", "neutral")
    film(root / "Actor_02" / "02-02-03-01-01-01-02.mp4", "happy")
    film(root / "Actor_02" / "02-01-08-01-01-01-02.mp4", "surprise")


def folder(root: Path) -> None:
    draw(root / "joy" / "deep" / "a.jpg", grey_of("happy"))
    draw(root / "Anger" / "b.png", grey_of("angry"))
    draw(root / "Anger" / "empty.png", face=False)
    draw(root / "boredom" / "c.jpg")
    write(
        root.parent / "map.yaml",
        "framing: photo\nlabels: {joy: happy, anger: angry, boredom: drop}\n",
    )


#: What writes each set, by the name that the command line knows it by.
WRITERS: dict[str, Callable[[Path], None]] = {
    "ck+": ck_plus,
    "jaffe": jaffe,
    "affectnet": affectnet,
    "raf-db": raf_db,
    "expw": expw,
    "crema-d": crema_d,
    "ravdess": ravdess,
    "folder": folder,
}
