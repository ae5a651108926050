from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.card import Head, ModelCard
from mien.data import FERPLUS_LABELS, Dataset
from mien.errors import ConfigError, DataError, ModelError
from mien.evaluation.audit import (
    DISPUTES,
    VERDICTS,
    VOTE_NAMES,
    Audit,
    audit,
    find_disputes,
    verdicts,
)
from mien.evaluation.audit.figures import figures, share
from mien.evaluation.audit.page import write_audit
from mien.evaluation.audit.sheets import contact_sheet
from mien.runtime import FakeSession
from mien.types import EMOTIONS, Box, Crops, Face

RECIPE = {"training": {"validation_split": 0.25, "seed": 3}}
#: The official CSV's order, in which the drawn bars stand from top to bottom.
BARS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def see_bars(crops: Crops) -> np.ndarray:
    """Read drawn faces without a mistake."""
    light = np.stack([crops[:, 4 + 6 * bar : 8 + 6 * bar].mean((1, 2, 3)) for bar in range(7)], 1)
    return light[:, [BARS.index(emotion) for emotion in EMOTIONS]] / 30


SESSION = FakeSession(ModelCard(name="fake", version="1", recipe=RECIPE), see_bars)


def votes_for(*names: str, count: float = 10) -> np.ndarray:
    votes = np.zeros((len(names), 10), np.float32)
    for row, name in enumerate(names):
        votes[row, VOTE_NAMES.index(name)] = count
    return votes


@pytest.fixture(scope="module")
def flawed(drawn: Dataset) -> Dataset:
    """The drawn faces with right votes, but for some flaws.

    Row 0 is said to be happy, against voters and pixels; in row 12 the voters are for
    contempt, and for no face in row 24, which is black; row 30 has no majority; the first of
    PublicTest is a copy of row 1, with another label.
    """
    votes = votes_for(*(EMOTIONS[column] for column in drawn.emotion))
    emotion, crops = drawn.emotion.copy(), drawn.crops.copy()
    emotion[0] = EMOTIONS.index("happy")
    votes[12] = votes_for("contempt")
    votes[24], crops[24] = votes_for("no face"), 0
    votes[30] = votes_for("sad", count=5) + votes_for("fear", count=5)
    copy = drawn.rows("PublicTest")[0]
    crops[copy], emotion[copy] = crops[1], EMOTIONS.index("sad")
    return replace(drawn, crops=crops, emotion=emotion, votes=votes)


@pytest.fixture(scope="module")
def found(flawed: Dataset) -> Audit:
    return audit(flawed, SESSION)


def test_no_rows_are_refused(drawn: Dataset) -> None:
    with pytest.raises(DataError, match="at least one row"):
        audit(drawn.take(np.zeros(len(drawn), bool)), SESSION)


def test_a_model_of_other_labels_is_refused(drawn: Dataset) -> None:
    card = ModelCard(
        name="fake", version="1", heads={"ferplus": Head(FERPLUS_LABELS)}, default_head="ferplus"
    )

    with pytest.raises(ModelError, match="needs a model that reads angry"):
        audit(drawn, FakeSession(card))


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        ({}, "no majority"),
        ({"happy": 1}, "no majority"),  # a single vote is a slip
        ({"happy": 10}, "happy"),
        ({"sad": 6, "fear": 4}, "sad"),
        ({"sad": 5, "fear": 5}, "no majority"),
        ({"contempt": 7, "neutral": 3}, "contempt"),
        ({"unknown": 8, "neutral": 2}, "unknown"),
        ({"no face": 10}, "no face"),
        ({"no face": 2, "surprise": 5, "fear": 1, "sad": 1, "angry": 1}, "surprise"),
    ],
)
def test_what_voters_come_to(votes: dict[str, int], verdict: str) -> None:
    counts = sum((votes_for(name, count=n) for name, n in votes.items()), np.zeros((1, 10)))

    assert VERDICTS[verdicts(counts.astype(np.float32))[0]] == verdict


@pytest.mark.parametrize(
    ("verdict", "read", "flagged", "dispute", "suggested"),
    [
        (None, "happy", False, None, "happy"),
        (None, "sad", True, "network", "sad"),
        ("happy", "happy", False, None, "happy"),
        ("no majority", "sad", False, None, "sad"),
        ("no face", "sad", False, None, "sad"),
        ("sad", "happy", False, "votes", "sad"),
        ("contempt", "happy", False, "votes", "contempt"),
        ("happy", "sad", True, "network", "sad"),
        ("fear", "sad", True, "both", "fear"),
        ("sad", "sad", True, "both, alike", "sad"),
    ],
)
def test_who_disputes_the_label_happy(
    verdict: str | None, read: str, flagged: bool, dispute: str | None, suggested: str
) -> None:
    probabilities = np.full((1, 7), 0.05)
    probabilities[0, EMOTIONS.index(read)] = 0.7
    voted = None if verdict is None else np.array([VERDICTS.index(verdict)])

    by, instead = find_disputes(
        np.array([EMOTIONS.index("happy")]), probabilities, np.array([flagged]), voted
    )

    assert by[0] == (-1 if dispute is None else DISPUTES.index(dispute))
    assert VERDICTS[instead[0]] == suggested


def test_planted_flaws_are_found(found: Audit, flawed: Dataset) -> None:
    copy = flawed.rows("PublicTest")[0]

    assert found.disputed.tolist() == [0, copy, 12]
    by = [DISPUTES[found.dispute[row]] for row in found.disputed]
    assert by == ["both, alike", "votes", "votes"]  # the copy is read less surely than others
    assert [VERDICTS[found.suggested[row]] for row in (0, 12)] == ["angry", "contempt"]
    assert found.doubt[0] > 0.9 > 0.5 > found.doubt[1]
    assert np.flatnonzero(found.blank).tolist() == np.flatnonzero(found.no_face).tolist() == [24]
    assert found.near[copy] == found.exact[copy] == found.exact[1]


def test_without_votes_the_network_is_alone(flawed: Dataset) -> None:
    alone = audit(replace(flawed, votes=None), SESSION)

    assert alone.verdict is None
    assert {DISPUTES[alone.dispute[row]] for row in alone.disputed} == {"network"}
    assert alone.disputed[0] in (0, flawed.rows("PublicTest")[0])
    assert figures(alone)["votes"] is None
    assert figures(alone)["no_face"] == {
        "blank": {"all": 1, "Training": 1, "PublicTest": 0, "PrivateTest": 0},
        "voted_no_face": None,
        "not_found": None,
    }


def test_rows_that_were_held_out_were_never_seen(flawed: Dataset, found: Audit) -> None:
    training = flawed.rows("Training")
    others = np.setdiff1d(np.arange(len(flawed)), training)

    assert 14 <= (~found.trained_on[training]).sum() <= 21  # a quarter of 84, by class
    copy = flawed.rows("PublicTest")[0]
    assert found.trained_on[others].tolist() == [
        row == copy and bool(found.trained_on[1]) for row in others
    ]


@pytest.mark.parametrize("reason", ["no recipe", "folders", "too few rows"])
def test_where_held_out_rows_cannot_be_told_all_of_training_counts(
    drawn: Dataset, reason: str
) -> None:
    names = np.array([f"{row}.png" for row in range(len(drawn))])
    dataset = replace(drawn, votes=None, names=names if reason == "folders" else None)
    recipe = {
        "no recipe": {},
        "folders": RECIPE,
        "too few rows": {"training": {"validation_split": 0.05, "seed": 3}},
    }[reason]

    seen = audit(dataset, FakeSession(replace(SESSION.card, recipe=recipe), see_bars)).trained_on

    assert seen.tolist() == (drawn.split == "Training").tolist()


def test_a_detector_looks_at_every_picture(drawn: Dataset) -> None:
    few = drawn.take(np.arange(9))
    few.crops[0] = 0
    sizes: set[tuple[int, ...]] = set()

    def light(image: np.ndarray) -> tuple[Face, ...]:
        sizes.add(image.shape)
        return (Face(Box(0, 0, 9, 9), 1.0),) if image[30:-30].max() > 160 else ()

    steps: list[tuple[int, int]] = []
    found = audit(few, SESSION, detector=light, on_crops=lambda *step: steps.append(step))

    assert found.not_found is not None
    assert sizes == {(128, 128, 3)}
    assert found.not_found.tolist() == [True] + [False] * 8
    assert steps[-1] == (18, 18)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"), [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.278), (50, 100, 0.404, 0.596)]
)
def test_a_share_has_wilsons_interval(count: int, of: int, low: float, high: float) -> None:
    rows = np.arange(100)

    found = share(rows < count, rows < of)

    assert (found["count"], found["of"]) == (count, of)
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.001)


def test_every_flaw_is_counted(found: Audit, flawed: Dataset) -> None:
    counted = figures(found)

    assert counted["rows"] == {"all": 119, "Training": 84, "PublicTest": 21, "PrivateTest": 14}
    assert counted["disputes"] == {"both, alike": 1, "both": 0, "votes": 2, "network": 0}
    among = counted["votes"]["among"]
    assert among["all"]["majority_for_another"]["count"] == 3
    assert among["all"]["majority_for_another_of_decided"]["of"] == 117
    assert among["all"]["no_majority"]["count"] == among["all"]["no_face"]["count"] == 1
    assert among["happy"]["no_vote_for_the_label"]["count"] == 1
    assert np.sum(counted["votes"]["labels_by_verdict"]) == 119
    repeats = counted["equal_pixels"]
    assert (repeats["groups"], repeats["conflicting_rows"]) == (1, 2)
    assert repeats["rows_with_a_twin_in"]["PublicTest"] == {
        "Training": 1, "PublicTest": 0, "PrivateTest": 0,
    }  # fmt: skip
    assert repeats["rows_with_a_twin_in"]["Training"]["PublicTest"] == 1
    sides = counted["together"]["trained on"], counted["together"]["never seen"]
    assert sum(side["network_with_voters"]["count"] for side in sides) == 2
    assert sum(side["network_with_label"]["count"] for side in sides) == 1


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_is_written_that_git_ignores(found: Audit, tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "new" / "audit"
    if there:
        folder.mkdir(parents=True)

    counted = write_audit(found, folder, "a <set>")

    assert (folder / ".gitignore").read_text() == "*\n"
    assert json.loads((folder / "figures.json").read_text()) == json.loads(json.dumps(counted))
    first, *_ = disputes = read_table(folder / "disputes.csv")
    assert len(disputes) == 3
    assert (first["row"], first["label"], first["suggested"]) == ("1", "happy", "angry")
    assert (first["disputed_by"], first["votes"]) == ("both, alike", "angry 10")
    twins = read_table(folder / "duplicates.csv")
    assert [(twin["group"], twin["labels_differ"]) for twin in twins] == [("1", "yes")] * 2
    assert [line["row"] for line in read_table(folder / "no_face.csv")] == ["25"]
    page = (folder / "index.html").read_text()
    assert "a &lt;set&gt;" in page
    pictures = {path.name for path in (folder / "sheets").iterdir()}
    assert {"disputed-happy.png", "conflicts.png", "no-face.png"} <= pictures
    assert all(f'src="sheets/{name}"' in page for name in pictures)


def test_an_audit_takes_the_place_of_an_older_one(found: Audit, tmp_path: Path) -> None:
    write_audit(found, tmp_path / "audit", "first")
    stale = tmp_path / "audit" / "sheets" / "stale.png"
    stale.touch()

    write_audit(found, tmp_path / "audit", "second")

    assert not stale.exists()
    assert "second" in (tmp_path / "audit" / "index.html").read_text()


def test_a_folder_of_something_else_is_left_alone(found: Audit, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("mine")

    with pytest.raises(ConfigError, match="holds something else"):
        write_audit(found, tmp_path, "data")

    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_rows_of_folders_are_named_by_their_files(flawed: Dataset, tmp_path: Path) -> None:
    names = np.array([f"train/x/{row}.png" for row in range(len(flawed))])
    named = audit(replace(flawed, votes=None, names=names), SESSION)

    write_audit(named, tmp_path / "audit", "folders")

    files = [line["file"] for line in read_table(tmp_path / "audit" / "disputes.csv")]
    assert files == [names[row] for row in named.disputed]


@pytest.mark.parametrize(("count", "height"), [(0, 134), (8, 134), (9, 268)])
def test_a_sheet_has_eight_pictures_a_row(count: int, height: int) -> None:
    crop = np.full((48, 48), 90, np.uint8)

    sheet = contact_sheet([("sad > happy", "row 1", crop)] * count)

    assert isinstance(sheet, Image.Image)
    assert sheet.size == (896, height)
    assert (sheet.getpixel((56, 50)) == (90, 90, 90)) == (count > 0)
