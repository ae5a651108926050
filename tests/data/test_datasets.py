from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support import layouts
from tests.support.clips import Clip, find_square

from mien.card import Framing
from mien.data.datasets import (
    DATASETS,
    Known,
    Listing,
    Sample,
    collect,
    list_samples,
    whole_as_crop,
)
from mien.errors import ConfigError, DataError
from mien.evaluation.cropping import FaceCropper
from mien.types import EMOTIONS, Box, Crops, Face, Image
from mien.video import middle_frame

CROPPER = FaceCropper(find_square, Framing(0.9, 0.0))


def listed(name: str, root: Path) -> Listing:
    root.mkdir(exist_ok=True)
    layouts.WRITERS[name](root)
    return list_samples(name, root, root.parent / "map.yaml" if name == "folder" else None)


def emotions(listing: Listing) -> list[str]:
    return [EMOTIONS[sample.emotion] for sample in listing.samples]


@pytest.mark.parametrize("name", [*DATASETS, "folder"])
def test_an_empty_folder_is_told_with_the_layout(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="expected"):
        list_samples(name, tmp_path)
    with pytest.raises(DataError, match="no folder"):
        list_samples(name, tmp_path / "none")


def test_an_unknown_name_and_a_map_too_many_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"choose one of ck\+, jaffe"):
        list_samples("fer2014", tmp_path)
    with pytest.raises(ConfigError, match="--dataset folder"):
        list_samples("jaffe", tmp_path, tmp_path / "map.yaml")


@pytest.mark.parametrize("known", DATASETS.values(), ids=DATASETS)
def test_every_set_states_its_terms_and_maps_onto_our_emotions(known: Known) -> None:
    assert set(known.labels.values()) <= set(EMOTIONS)
    assert known.terms
    assert known.address.startswith("http")


@pytest.mark.parametrize(
    ("name", "expected", "people", "dropped"),
    [
        (
            "ck+",
            ["disgust", "neutral", "happy", "neutral"],
            ["S005", "S005", "S005", "S010"],
            {"labelled contempt": 1},
        ),
        (
            "jaffe",
            ["angry", "surprise", "happy"],
            ["KA", "KA", "YM"],
            {"file named otherwise than KA.AN1.39.tiff": 1},
        ),
        ("affectnet", ["happy", "neutral"], ["", ""], {"labelled contempt": 1}),
        ("raf-db", ["happy", "surprise"], ["", ""], {}),
        ("expw", ["happy", "sad", "neutral"], ["", "", ""], {}),
        ("crema-d", ["angry", "sad"], ["1001", "1002"], {}),
        (
            "ravdess",
            ["fear", "surprise"],
            ["01", "02"],
            {"labelled calm": 1, "sung": 1, "the same clip with and without sound": 1},
        ),
        ("folder", ["angry", "angry", "happy"], ["", "", ""], {"labelled boredom": 1}),
    ],
)
def test_each_layout_is_listed(
    tmp_path: Path, name: str, expected: list[str], people: list[str], dropped: dict[str, int]
) -> None:
    listing = listed(name, tmp_path / "set")

    assert emotions(listing) == expected
    assert [sample.person for sample in listing.samples] == people
    assert dict(listing.dropped) == dropped


def test_what_a_set_says_of_people_becomes_groups(tmp_path: Path) -> None:
    faces, actors, singers = (
        [dict(sample.groups) for sample in listed(name, tmp_path / name).samples]
        for name in ("raf-db", "crema-d", "ravdess")
    )

    assert faces[0] == {"gender": "female", "race": "Caucasian", "age": "20-39"}
    assert faces[1] == {"gender": "male", "race": "Asian", "age": "70+"}
    assert actors[0] == {
        "sex": "male",
        "race": "Caucasian",
        "ethnicity": "Not Hispanic",
        "age": "40-69",
    }
    assert singers == [{"sex": "male"}, {"sex": "female"}]


def test_affectnets_first_form_holds_photos_with_boxes(tmp_path: Path) -> None:
    layouts.affectnet_photos(tmp_path)

    listing = list_samples("affectnet", tmp_path)

    (sample,) = listing.samples
    assert (listing.framing, sample.box) == ("photo", Box(20, 16, 40, 40))
    assert dict(listing.dropped) == {"labelled no face": 1}


def test_raf_dbs_aligned_faces_do_where_the_photos_are_not(tmp_path: Path) -> None:
    layouts.raf_db(tmp_path)
    (tmp_path / "basic" / "Image" / "original").rename(tmp_path / "elsewhere")

    listing = list_samples("raf-db", tmp_path)

    assert listing.framing == "crop"
    assert listing.samples[0].name == "Image/aligned/test_0001_aligned.jpg"


def broken(root: Path, name: str, relative: str, text: str | None) -> None:
    layouts.WRITERS[name](root)
    if text is None:
        (root / relative).unlink()
    else:
        layouts.write(root / relative, text)


@pytest.mark.parametrize(
    ("name", "relative", "text", "message"),
    [
        ("ck+", "Emotion/S005/002/S005_002_00000002_emotion.txt", "", "0 to 7, got ''"),
        ("ck+", "Emotion/S005/002/S005_002_00000002_emotion.txt", "8.0", "got '8.0'"),
        ("ck+", "Emotion/S005/002/S005_002_00000002_emotion.txt", "nan", "got 'nan'"),
        ("ck+", "cohn-kanade-images/S005/002/S005_002_00000002.png", None, "not there"),
        ("affectnet", "val_set/annotations/0_exp.npy", None, "label of"),
        ("affectnet", "val_set/annotations/0_exp.npy", "x", "label of"),
        ("raf-db", "basic/EmoLabel/list_patition_label.txt", "test_0001.jpg 8", "label 1 to 7"),
        ("raf-db", "basic/Annotation/manual/test_0001_manu_attri.txt", "1\n0\n9", "got 1, 0, 9"),
        ("raf-db", "basic/Annotation/boundingbox/test_0001_boundingbox.txt", "1 2", "left, top"),
        ("expw", "label/label.lst", "a.jpg 0 16 20 60 56 55.2 7", "label 0 to 6"),
        ("expw", "label/label.lst", "a.jpg 0 16 20 60 3", "four edges"),
        ("crema-d", "VideoDemographics.csv", "ActorID,Age,Sex\n", "no column"),
        (
            "crema-d",
            "VideoDemographics.csv",
            "ActorID,Age,Sex,Race,Ethnicity\n1001,old,Male,x,y\n",
            "Age is 'old'",
        ),
    ],
)
def test_a_bad_label_file_is_told_with_its_place(
    tmp_path: Path, name: str, relative: str, text: str | None, message: str
) -> None:
    broken(tmp_path, name, relative, text)

    with pytest.raises(DataError, match=message):
        list_samples(name, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: [joy]", "labels"),
        ("labels: {joy: merry}", "'joy' is mapped to 'merry'"),
        ("framing: video", "framing"),
        ("crop: yes", "crop"),
        ("labels: {joy", "cannot read the map"),
        (None, "cannot read the map"),
    ],
)
def test_a_bad_map_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        layouts.write(tmp_path / "map.yaml", text)

    with pytest.raises(ConfigError, match=message):
        list_samples("folder", tmp_path, tmp_path / "map.yaml")


def test_a_folder_that_is_not_mapped_is_told(tmp_path: Path) -> None:
    layouts.draw(tmp_path / "joy" / "a.jpg")

    with pytest.raises(DataError, match="'joy' is none of angry, disgust"):
        list_samples("folder", tmp_path)


def test_folders_named_as_our_emotions_need_no_map(tmp_path: Path) -> None:
    layouts.draw(tmp_path / "Happy" / "a.jpg")
    layouts.draw(tmp_path / ".cache" / "a.jpg")

    assert emotions(list_samples("folder", tmp_path)) == ["happy"]


@pytest.mark.parametrize(
    ("name", "found"), [("jaffe", 3), ("ck+", 4), ("crema-d", 2), ("ravdess", 2)]
)
def test_faces_are_found_and_cut_out(tmp_path: Path, name: str, found: int) -> None:
    steps: list[tuple[int, int]] = []

    faces = collect(
        listed(name, tmp_path / "set"),
        CROPPER,
        middle_frame,
        on_sample=lambda *step: steps.append(step),
    )

    assert faces.crops.shape == (found, 48, 48, 1)
    assert steps[-1] == (found, found)
    greys = faces.crops.mean(axis=(1, 2, 3))
    expected = [layouts.grey_of(EMOTIONS[emotion]) for emotion in faces.emotion]
    np.testing.assert_allclose(greys, expected, atol=6)  # of clips: the middle frame's


def test_pictures_without_the_face_are_named_and_left_out(tmp_path: Path) -> None:
    pictures = collect(listed("folder", tmp_path / "set"), CROPPER, middle_frame)
    boxed = collect(listed("expw", tmp_path / "expw"), CROPPER, middle_frame)

    assert pictures.no_face == ("Anger/empty.png",)
    assert pictures.names == ("Anger/b.png", "joy/deep/a.jpg")
    assert boxed.no_face == ("image/origin/a.jpg#1",)  # where its box is, there is none


def test_no_face_in_any_picture_is_an_error(tmp_path: Path) -> None:
    layouts.draw(tmp_path / "sad" / "a.png", face=False)

    with pytest.raises(DataError, match="no face was found in any of 1 pictures"):
        collect(list_samples("folder", tmp_path), CROPPER, middle_frame)


def test_a_broken_picture_stops_or_is_named(tmp_path: Path) -> None:
    layouts.draw(tmp_path / "sad" / "a.png")
    (tmp_path / "sad" / "b.png").write_bytes(b"no picture")
    listing = list_samples("folder", tmp_path)

    with pytest.raises(DataError, match=r"sad/b\.png: .*--skip-bad"):
        collect(listing, CROPPER, middle_frame)
    faces = collect(listing, CROPPER, middle_frame, skip_bad=True)
    assert len(faces) == 1
    assert faces.skipped[0].startswith("sad/b.png: ")


def test_of_many_faces_the_largest_or_the_one_in_the_box_is_taken() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[10:50, 10:50], image[10:90, 100:180] = 50, 200

    def two_faces(image: Image) -> tuple[Face, ...]:
        return (Face(Box(10, 10, 40, 40), 0.9), Face(Box(100, 10, 80, 80), 0.8))

    cropper = FaceCropper(two_faces, Framing(0.9, 0.0))

    assert cropper(image).mean() == pytest.approx(200, abs=1)
    assert cropper(image, Box(5, 5, 50, 50)).mean() == pytest.approx(50, abs=1)
    assert len(cropper(image, Box(60, 60, 30, 30))) == 0
    assert len(cropper.every(image)) == 2


@pytest.mark.parametrize("shape", [(48, 48), (100, 100), (30, 20), (224, 300)])
def test_a_cropped_picture_is_taken_whole(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), (30, 60, 90), np.uint8)

    crop = whole_as_crop(image)

    assert (crop.shape, crop.dtype) == ((1, 48, 48, 1), np.uint8)
    assert np.ptp(crop) == 0
    assert crop[0, 0, 0, 0] == 54  # luma by ITU-R BT.601


def test_crops_are_not_searched_for_faces(tmp_path: Path) -> None:
    def never(image: Image, box: Box | None = None) -> Crops:
        raise AssertionError

    faces = collect(listed("affectnet", tmp_path / "set"), never, middle_frame)

    assert len(faces) == 2


def test_the_middle_of_a_video_is_the_later_of_two(tmp_path: Path) -> None:
    for frames, expected in ((1, 0), (2, 1), (3, 1), (8, 4)):
        clip = Clip(frames=frames, fps=25, brightness=lambda t: 20 + round(t * 25) * 20)
        image = middle_frame(clip.write(tmp_path / f"{frames}.mp4"))
        (face,) = find_square(image)
        grey = image[face.box.y + 20, face.box.x + 20].mean()
        assert grey == pytest.approx(20 + 20 * expected, abs=6)


def test_a_sample_is_frozen(tmp_path: Path) -> None:
    sample = Sample(tmp_path, "a", 0)

    with pytest.raises(AttributeError):
        sample.emotion = 1  # type: ignore[misc]
