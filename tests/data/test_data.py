from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.drawn import write_folder

from mien import data
from mien.data import Dataset
from mien.errors import DataError
from mien.types import EMOTIONS

PIXELS = " ".join(["7"] * 2304)
HEADER = ["emotion", "pixels", "Usage"]


def write_rows(path: Path, rows: list[list[object]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def plain(emotions: list[int], shades: list[int] | None = None, split: str = "Training") -> Dataset:
    """Return crops of one shade each; equal shades are equal pixels."""
    shades = list(range(len(emotions))) if shades is None else shades
    crops = np.array(shades, np.uint8)[:, None, None, None] * np.ones((1, 48, 48, 1), np.uint8)
    return Dataset(crops, np.array(emotions, np.int64), np.array([split] * len(emotions)))


BAD_ROWS = {
    "nothing": ([], "no usable row"),
    "no pixels": ([[0, "", "Training"]], "row 1: 0 pixels, expected 2304"),
    "too few": ([[0, "1 2 3", "Training"]], "row 1: 3 pixels"),
    "too many": ([[0, PIXELS + " 7", "Training"]], "row 1: 2305 pixels"),
    "too bright": ([[0, PIXELS[:-1] + "256", "Training"]], "a pixel is 256, expected 0 to 255"),
    "negative": ([[0, PIXELS[:-1] + "-1", "Training"]], "a pixel is -1"),
    "huge": ([[0, PIXELS[:-1] + "9" * 30, "Training"]], "row 1"),
    "no number": ([[0, PIXELS[:-1] + "x", "Training"]], "not a whole number"),
    "broken number": ([[0, PIXELS[:-1] + "7.5", "Training"]], "not a whole number"),
    "label 7": ([[7, PIXELS, "Training"]], "emotion is '7', expected 0 to 6"),
    "label -1": ([[-1, PIXELS, "Training"]], "emotion is '-1'"),
    "label text": ([["happy", PIXELS, "Training"]], "emotion is 'happy'"),
    "usage": ([[0, PIXELS, "Validation"]], "Usage is 'Validation'"),
    "short row": ([[0, PIXELS]], "Usage is None"),
    "second row": ([[0, PIXELS, "Training"], [0, "1", "Training"]], "row 2: 1 pixels"),
}


@pytest.mark.parametrize(("rows", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_named(tmp_path: Path, rows: list[list[object]], message: str) -> None:
    path = write_rows(tmp_path / "fer2013.csv", rows)

    with pytest.raises(DataError, match=message) as caught:
        data.read_csv(path)

    assert str(path) in str(caught.value)


@pytest.mark.parametrize("missing", HEADER)
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    header = [name for name in HEADER if name != missing]
    path = write_rows(tmp_path / "fer2013.csv", [], header)

    with pytest.raises(DataError, match=f"no column {missing}"):
        data.read_csv(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x1f\x8bno gzip at all"])
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"fer2013\.csv"):
        data.read_csv(path)


def test_a_truncated_gzip_file_is_refused(tmp_path: Path, csvs: tuple[Path, Path]) -> None:
    path = tmp_path / "fer2013.csv.gz"
    path.write_bytes(gzip.compress(csvs[0].read_bytes())[:-2000])

    with pytest.raises(DataError, match="not a readable CSV"):
        data.read_csv(path)


def test_skip_bad_goes_on_and_lists(tmp_path: Path) -> None:
    rows = [[0, "1", "Training"], [3, PIXELS, "Training"], [9, PIXELS, "Training"]]
    path = write_rows(tmp_path / "fer2013.csv", rows)

    dataset = data.read_csv(path, skip_bad=True)

    assert dataset.emotion.tolist() == [EMOTIONS.index("happy")]
    assert [line.split(", ")[1].split(":")[0] for line in dataset.skipped] == ["row 1", "row 3"]


def test_labels_are_put_in_our_order(drawn: Dataset) -> None:
    names = [EMOTIONS[label] for label in drawn.emotion[drawn.rows("Training")][::12]]

    assert names == ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    assert drawn.crops.dtype == np.uint8
    assert drawn.crops.shape == (119, 48, 48, 1)
    assert [len(drawn.rows(split)) for split in data.SPLITS] == [84, 21, 14, 0]


def test_gzip_and_spaces_in_the_header_make_no_difference(
    tmp_path: Path, csvs: tuple[Path, Path], drawn: Dataset
) -> None:
    text = csvs[0].read_text().replace("emotion,pixels,Usage", "emotion, Usage, pixels")
    rows = [line.split(",") for line in text.splitlines()[1:]]
    swapped = "\n".join(["emotion, Usage, pixels", *(f"{a},{c},{b}" for a, b, c in rows)])
    path = tmp_path / "icml_face_data.csv.gz"
    path.write_bytes(gzip.compress(swapped.encode()))

    np.testing.assert_array_equal(data.read_csv(path).crops, drawn.crops)


def test_the_second_load_comes_from_the_cache(tmp_path: Path, csvs: tuple[Path, Path]) -> None:
    parses: list[int] = []

    def load() -> Dataset:
        return data.load(*csvs, cache_dir=tmp_path, progress=lambda done, _: parses.append(done))

    first = load()
    parsed = len(parses)
    second = load()
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(cached.read_bytes()[:-1000])
    third = load()

    assert parsed > 0
    assert len(parses) == 2 * parsed  # a damaged cache is read anew
    assert first.fingerprint() == second.fingerprint() == third.fingerprint()


def test_a_cache_that_cannot_be_written_costs_nothing_else(
    tmp_path: Path, csvs: tuple[Path, Path]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")

    assert len(data.load(csvs[0], cache_dir=blocked)) == 119


def test_no_data_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data at .*nothing"):
        data.load(tmp_path / "nothing")


def test_folders_are_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path, 2)
    (root / "train" / "happy" / "notes.txt").write_text("not an image")

    dataset = data.load(root)

    assert dataset.emotion.tolist() == 2 * np.repeat(range(7), 2).tolist()
    assert dataset.split.tolist() == ["Training"] * 14 + ["Test"] * 14
    assert dataset.names is not None
    assert dataset.take(np.array([0, -1])).names.tolist() == [  # type: ignore[union-attr]
        "train/angry/0.png",
        "test/surprise/1.png",
    ]
    first = np.asarray(Image.open(root / "train" / "angry" / "0.png"))
    np.testing.assert_array_equal(dataset.crops[0, ..., 0], first)


def test_colour_images_are_made_grey(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 255
    Image.fromarray(red).save(root / "train" / "angry" / "0.png")

    assert data.load(root).crops[0].ravel().tolist() == [76] * 2304  # ITU-R 601: 0.299


def broken_image(root: Path) -> None:
    (root / "train" / "sad" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")


def odd_size(root: Path) -> None:
    Image.fromarray(np.zeros((50, 48), np.uint8)).save(root / "train" / "sad" / "0.png")


def empty_class(root: Path) -> None:
    (root / "test" / "fear" / "0.png").unlink()


def missing_class(root: Path) -> None:
    empty_class(root)
    (root / "test" / "fear").rmdir()


def unknown_class(root: Path) -> None:
    (root / "train" / "contempt").mkdir()


def no_test(root: Path) -> None:
    (root / "test").rename(root / "validation")


BAD_FOLDERS = {
    broken_image: r"sad.0\.png",
    odd_size: r"sad.0\.png: 48 x 50 pixels, expected 48 x 48",
    empty_class: "fear holds no image",
    missing_class: "fear holds no image",
    unknown_class: "'contempt' is none of",
    no_test: "no folder 'test'",
}


@pytest.mark.parametrize(("damage", "message"), BAD_FOLDERS.items())
def test_a_bad_folder_is_named(tmp_path: Path, damage: object, message: str) -> None:
    damage(write_folder(tmp_path))  # type: ignore[operator]

    with pytest.raises(DataError, match=message):
        data.load(tmp_path)


def test_skip_bad_leaves_bad_images_out(tmp_path: Path) -> None:
    broken_image(write_folder(tmp_path))

    dataset = data.load(tmp_path, skip_bad=True)

    assert len(dataset) == 13
    assert len(dataset.skipped) == 1


def test_votes_do_not_go_with_folders(tmp_path: Path, csvs: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match=r"give fer2013\.csv"):
        data.load(write_folder(tmp_path), csvs[1])


def drop_a_row(lines: list[str]) -> list[str]:
    return lines[:-1]


def swap_usage(lines: list[str]) -> list[str]:
    return [lines[0], lines[1].replace("Training", "PublicTest"), *lines[2:]]


def drop_a_column(lines: list[str]) -> list[str]:
    return [line.rsplit(",", 1)[0] for line in lines]


def put(value: str) -> object:
    return lambda lines: [*lines[:2], lines[2].rsplit(",", 1)[0] + f",{value}", *lines[3:]]


BAD_VOTES = {
    "nothing": (lambda lines: [], "no column"),
    "a row too few": (drop_a_row, "118 rows, but the data set has 119"),
    "another order": (swap_usage, "row 1: Usage is 'PublicTest'"),
    "a column too few": (drop_a_column, "no column NF"),
    "no number": (put("many"), "row 2: a vote is not a number"),
    "negative": (put("-1"), "row 2: a vote is below 0"),
    "nan": (put("nan"), "row 2: a vote is below 0 or not a finite number"),
}


@pytest.mark.parametrize(("damage", "message"), BAD_VOTES.values(), ids=BAD_VOTES)
def test_votes_that_do_not_match_are_refused(
    tmp_path: Path, csvs: tuple[Path, Path], damage: object, message: str
) -> None:
    path = tmp_path / "votes.csv"
    lines = damage(csvs[1].read_text().splitlines())  # type: ignore[operator]
    path.write_text("\n".join(lines))

    with pytest.raises(DataError, match=message):
        data.join_votes(data.read_csv(csvs[0]), path)


def test_votes_do_not_go_with_skipped_rows(tmp_path: Path, csvs: tuple[Path, Path]) -> None:
    rows = [[0, PIXELS, "Training"], [0, "1", "Training"]]
    dataset = data.read_csv(write_rows(tmp_path / "fer2013.csv", rows), skip_bad=True)

    with pytest.raises(DataError, match="1 rows were skipped"):
        data.join_votes(dataset, csvs[1])


#          neutral happy surprise sad anger disgust fear contempt unknown NF
VOTES = {
    "no vote": ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
    "all alone": ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),
    "all agree": ([0, 10, 0, 0, 0, 0, 0, 0, 0, 0], 1),
    "more than half": ([6, 4, 0, 0, 0, 0, 0, 0, 0, 0], 0),
    "exactly half": ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], None),
    "most, but not half": ([4, 3, 3, 0, 0, 0, 0, 0, 0, 0], None),
    "half once slips are gone": ([5, 4, 1, 0, 0, 0, 0, 0, 0, 0], 0),
    "no face": ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], None),
    "unknown": ([0, 2, 0, 0, 0, 0, 0, 0, 8, 0], None),
}


@pytest.mark.parametrize(("counts", "expected"), VOTES.values(), ids=VOTES)
def test_majority_is_ferplus_own_rule(counts: list[int], expected: int | None) -> None:
    winner, usable = data.majority(np.array([counts], np.float32))

    assert usable.tolist() == [expected is not None]
    assert expected is None or winner.tolist() == [expected]


def test_majority_of_nothing_is_nothing() -> None:
    winner, usable = data.majority(np.empty((0, 10), np.float32))

    assert winner.shape == usable.shape == (0,)


def test_votes_become_a_distribution() -> None:
    votes = np.array([[6, 3, 1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0, 4, 6]], np.float32)

    target, usable = data.vote_distribution(votes)

    assert usable.tolist() == [True, False]
    np.testing.assert_allclose(target[0], [2 / 3, 1 / 3, 0, 0, 0, 0, 0, 0], rtol=1e-6)
    assert target[1].tolist() == [0] * 8


def test_holding_out_needs_training_rows() -> None:
    with pytest.raises(DataError, match="no Training rows"):
        data.hold_out(plain([0, 1], split="PublicTest"), 0.5, 0)


def test_holding_out_needs_two_images_of_a_class() -> None:
    with pytest.raises(DataError, match="'disgust'"):
        data.hold_out(plain([0, 0, 0, 0, 1]), 0.5, 0)


def test_nothing_is_held_out_if_not_asked_for() -> None:
    fit, held = data.hold_out(plain([0, 1, 1]), 0.0, 0)

    assert (fit.tolist(), held.tolist()) == ([0, 1, 2], [])


def test_held_out_rows_are_stratified_seeded_and_never_twins() -> None:
    shades = [number // 2 for number in range(200)]  # each picture twice
    dataset = plain([shade % 2 for shade in shades], shades)

    fit, held = data.hold_out(dataset, 0.2, seed=3)

    assert sorted([*fit, *held]) == list(range(200))
    assert np.bincount(dataset.emotion[held]).tolist() == [20, 20]
    assert not {shades[row] for row in fit} & {shades[row] for row in held}
    assert data.hold_out(dataset, 0.2, seed=3)[1].tolist() == held.tolist()
    assert data.hold_out(dataset, 0.2, seed=4)[1].tolist() != held.tolist()


def test_test_images_that_stand_in_training_are_marked() -> None:
    splits = ["Training", "PublicTest", "PublicTest", "Training"]
    crops = plain([0, 0, 0, 0], [5, 5, 6, 5]).crops
    dataset = Dataset(crops, np.zeros(4, np.int64), np.array(splits))

    assert dataset.seen_in_training().tolist() == [False, True, False, False]


def test_taking_rows_takes_all_of_them(drawn: Dataset) -> None:
    some = drawn.take(drawn.rows("PublicTest"))

    assert len(some) == len(some.crops) == len(some.split) == 21
    assert some.votes is not None
    assert some.votes.shape == (21, 10)


@pytest.mark.data
def test_fer2013_is_as_it_is_known(fer2013_csv: Path) -> None:
    dataset = data.load(fer2013_csv, fer2013_csv.with_name("fer2013new.csv"))

    seen = dataset.seen_in_training()
    assert [len(dataset.rows(split)) for split in data.SPLITS[:3]] == [28709, 3589, 3589]
    assert [int(seen[dataset.rows(split)].sum()) for split in data.SPLITS[1:3]] == [280, 288]
    counts = np.bincount(dataset.emotion[dataset.rows("PrivateTest")])
    assert dict(zip(EMOTIONS, counts.tolist(), strict=True)) == {
        "angry": 491,
        "disgust": 55,
        "fear": 528,
        "happy": 879,
        "neutral": 626,
        "sad": 594,
        "surprise": 416,
    }
    fit, held = data.hold_out(dataset, 0.15, seed=0)
    keys = {crop.tobytes() for crop in dataset.crops[fit]}
    assert not any(crop.tobytes() in keys for crop in dataset.crops[held])
    assert len(held) == pytest.approx(0.15 * 28709, rel=0.01)
