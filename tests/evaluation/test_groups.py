from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.card import Calibration
from mien.errors import DataError, InputError
from mien.evaluation.groups import FEW, read_groups, score_groups
from mien.evaluation.metrics import score
from mien.evaluation.resample import Counts, Judged, changes
from mien.types import EMOTIONS

CONFIDENCE = Calibration(temperature=1.3, set_threshold=0.12, abstain_below=0.4)


def read(count: int, *, lift: float | np.ndarray = 2.0, seed: int = 0, people: int = 0) -> Judged:
    """Return made-up readings; the larger the lift of the true label, the more are right."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 7, count)
    logits = generator.normal(0, 1, (count, 7)).astype(np.float32)
    logits[np.arange(count), truth] += lift
    names = tuple(f"p{row % people}" for row in range(count)) if people else ()
    return Judged(logits, truth, EMOTIONS, CONFIDENCE, names)


@pytest.mark.parametrize("values", [(), ("",) * 40, ("a",) * 39])
def test_values_that_do_not_go_with_the_faces_are_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="expected a group for each of 40 faces"):
        score_groups(read(40), "sex", values)


def test_figures_are_those_of_the_plain_score() -> None:
    judged = read(500)
    plain = score(judged.logits, judged.truth, EMOTIONS, CONFIDENCE)

    figures = score_groups(judged, "all", ["one"] * 500).everyone.figures

    for name in ("accuracy", "macro_f1", "ece", "top2_accuracy", "nll", "set_coverage"):
        assert figures[name].value == pytest.approx(getattr(plain, name)), name
    assert figures["mean_set_size"].value == pytest.approx(plain.mean_set_size)
    assert figures["answered"].value == pytest.approx(plain.answered)
    for each in plain.per_class:
        assert figures[f"recall_{each.label}"].value == pytest.approx(each.recall)
    interval = figures["accuracy"].interval
    assert interval.low == pytest.approx(plain.accuracy_interval.low, abs=0.01)
    assert interval.high == pytest.approx(plain.accuracy_interval.high, abs=0.01)


def test_a_real_gap_is_told_and_named() -> None:
    worse = np.arange(1200) % 3 == 0
    judged = read(1200, lift=np.where(worse, 0.8, 2.5))

    grouping = score_groups(judged, "light", ["dim" if each else "bright" for each in worse])

    gap = {each.figure: each for each in grouping.gaps}["accuracy"]
    assert (gap.highest, gap.lowest, gap.told) == ("bright", "dim", True)
    assert gap.interval.low > 0
    assert gap.interval.low < gap.size < gap.interval.high
    assert [each.name for each in grouping.groups] == ["bright", "dim"]
    assert [each.count for each in grouping.groups] == [800, 400]


def test_groups_drawn_at_random_are_rarely_told_apart() -> None:
    generator = np.random.default_rng(3)
    told = [
        {each.figure: each for each in grouping.gaps}["accuracy"].told
        for seed in range(20)
        for grouping in [
            score_groups(read(150, seed=seed), "coin", generator.choice(["a", "b"], 150).tolist())
        ]
    ]

    assert sum(told) <= 4  # one in twenty is to be expected


def test_small_groups_and_single_people_are_flagged_and_not_compared() -> None:
    values = ["many"] * 100 + ["few"] * (FEW - 1) + ["", ""]
    grouping = score_groups(read(len(values)), "size", values)
    one = score_groups(read(200, people=2), "person", [f"p{row % 2}" for row in range(200)])

    assert {each.name: each.few for each in grouping.groups} == {"few": True, "many": False}
    assert grouping.gaps == ()
    assert (grouping.unknown, grouping.everyone.count) == (2, 129)
    assert [(each.people, each.few) for each in one.groups] == [(1, True), (1, True)]


def test_an_emotion_that_a_group_does_not_show_has_no_recall_there() -> None:
    judged = read(300)
    values = ["calm" if truth == 4 else "other" for truth in judged.truth]

    grouping = score_groups(judged, "kind", values)

    calm = grouping.groups[0].figures
    assert "recall_neutral" in calm
    assert "recall_happy" not in calm
    assert {each.figure for each in grouping.gaps} >= {"accuracy", "macro_f1"}
    assert all(np.isfinite([each.size, each.chance]).all() for each in grouping.gaps)


def test_people_are_drawn_and_not_pictures() -> None:
    faces = read(400)
    same = Judged(faces.logits, faces.truth, EMOTIONS, CONFIDENCE, tuple("abcd" * 100))
    repeated = Judged(
        np.repeat(faces.logits[:40], 10, axis=0),
        np.repeat(faces.truth[:40], 10),
        EMOTIONS,
        CONFIDENCE,
        tuple(f"p{row // 10}" for row in range(400)),
    )

    def width(judged: Judged) -> float:
        interval = score_groups(judged, "all", ["x"] * 400).everyone.figures["accuracy"].interval
        return interval.high - interval.low

    independent = width(faces)
    assert width(repeated) > 2 * independent  # forty people tell less than 400
    assert len(Counts.of(same).per_unit(np.ones(400, bool))[0]) == 4


def test_a_person_in_several_groups_does_not_confuse_chance() -> None:
    judged = read(200, people=50)

    grouping = score_groups(judged, "pose", ["left", "right"] * 100)

    assert all(gap.chance > 0 for gap in grouping.gaps if gap.figure == "accuracy")


def test_changes_are_paired() -> None:
    before = read(300)
    better = before.logits.copy()
    better[np.arange(300), before.truth] += np.where(np.arange(300) % 10 == 0, 5, 0)
    after = Judged(better, before.truth, EMOTIONS, CONFIDENCE)

    change = changes(before, after)["accuracy"]

    assert change.value > 0
    assert change.interval.low > 0
    still = changes(before, before)["accuracy"]
    assert (still.value, still.interval.low, still.interval.high) == (0, 0, 0)
    with pytest.raises(InputError, match="same faces"):
        changes(before, read(300, seed=1))


NAMES = ("S1/a.png", "S1/b.png", "S2/b.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a column 'file'"),
        ("row,sex\n1,f\n", "expected a column 'file'"),
        ("file\nS1/a.png\n", "at least one of groups"),
        ("file,sex\nS1/a.png,f\nS1/a.png,m\n", "row 2: 'S1/a.png' stands in it twice"),
        ("file,sex\nother.png,f\n", "names none of the 3 faces"),
        ("file,sex\nb.png,f\n", "names none of the 3 faces"),  # which of the two?
        (None, "cannot read the groups"),
    ],
)
def test_a_bad_groups_file_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "groups.csv"
    if text is not None:
        path.write_text(text)

    with pytest.raises(DataError, match=message):
        read_groups(path, NAMES)


def test_groups_are_read_by_file(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("\ufefffile,sex,age\na.png,f,\nS2\\b.png, m ,old\n", encoding="utf-8")

    assert read_groups(path, NAMES) == {"sex": ("f", "", "m"), "age": ("", "", "old")}


def test_groups_are_read_by_row(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("row,sex\n7,f\n9,m\n")

    assert read_groups(path, None, (7, 8, 9)) == {"sex": ("f", "", "m")}
