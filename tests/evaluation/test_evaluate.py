from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.card import Head, ModelCard
from mien.data import FERPLUS_LABELS, Dataset
from mien.errors import DataError, ModelError
from mien.evaluation.evaluate import card_metrics, classify, evaluate, headline, truth_of
from mien.evaluation.plots import PLOTS
from mien.evaluation.report import as_dict, as_markdown, write_report
from mien.runtime import FakeSession
from mien.types import EMOTIONS, Crops

CARD = ModelCard(
    name="fake",
    version="1",
    heads={"emotion": Head(EMOTIONS), "ferplus": Head(FERPLUS_LABELS)},
)
FERPLUS = ModelCard(
    name="fake", version="1", heads={"ferplus": Head(FERPLUS_LABELS)}, default_head="ferplus"
)
#: The official CSV's order, in which the drawn bars stand from top to bottom.
BARS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def see_bars(crops: Crops) -> np.ndarray:
    """Read drawn faces without a mistake; of the rest, what is brightest."""
    light = np.stack([crops[:, 4 + 6 * bar : 8 + 6 * bar].mean((1, 2, 3)) for bar in range(7)], 1)
    return light[:, [BARS.index(emotion) for emotion in EMOTIONS]] / 20


@pytest.fixture
def session() -> FakeSession:
    """Its head ``emotion`` reads drawn faces; its head ``ferplus`` goes by brightness."""
    by_brightness = FakeSession(FERPLUS)

    def both(crops: Crops) -> dict[str, np.ndarray]:
        return {"emotion": see_bars(crops), "ferplus": by_brightness(crops)["ferplus"]}

    return FakeSession(CARD, both)


def test_no_test_rows_is_one_clear_sentence(drawn: Dataset, session: FakeSession) -> None:
    with pytest.raises(DataError, match="no test rows"):
        evaluate(session, drawn.take(drawn.rows("Training")))


def test_ferplus_needs_votes(drawn: Dataset, session: FakeSession) -> None:
    without = replace(drawn, votes=None)
    with pytest.raises(DataError, match="give --votes"):
        evaluate(FakeSession(FERPLUS), without)
    assert {each.head for each in evaluate(session, without)} == {"emotion"}


def test_a_model_of_other_labels_needs_data_with_them(drawn: Dataset) -> None:
    card = ModelCard(name="fake", version="1", heads={"emotion": Head(("a", "b"))})
    with pytest.raises(DataError, match="fake reads a, b, but the labels of the data are angry"):
        evaluate(FakeSession(card), drawn)

    pair = replace(drawn, labels=("a", "b"), emotion=drawn.emotion % 2)
    results = evaluate(FakeSession(card), pair)
    assert results[0].labels == ("a", "b")


def test_logits_that_are_not_finite_are_refused(drawn: Dataset) -> None:
    broken = FakeSession(CARD, lambda crops: np.full((len(crops), 7), np.nan))

    with pytest.raises(ModelError, match="not finite"):
        evaluate(broken, drawn)


@pytest.mark.parametrize("count", [0, 1, 600])
def test_any_number_of_crops_is_classified(count: int) -> None:
    batches: list[int] = []
    crops = np.zeros((count, 48, 48, 1), np.uint8)

    logits = classify(FakeSession(), crops, on_batch=batches.append)

    assert logits["emotion"].shape == (count, 7)
    assert sum(batches) == count


def test_every_split_is_judged_with_and_without_flip(drawn: Dataset, session: FakeSession) -> None:
    steps: list[tuple[int, int]] = []

    results = evaluate(session, drawn, flip=True, on_crops=lambda *step: steps.append(step))

    names = [each.name for each in results if each.head == "emotion"]
    assert names[:6] == [
        "PublicTest",
        "PublicTest, unseen",
        "PrivateTest",
        "PrivateTest, unseen",
        "PublicTest + PrivateTest",
        "PublicTest + PrivateTest, unseen",
    ]
    assert names[6:] == [f"{name}, flip" for name in names[:6]]
    assert len(results) == 24
    assert steps[-1] == (2 * 35, 2 * 35)
    assert all(each.scores.accuracy == 1.0 for each in results if each.head == "emotion")
    assert headline(results, "emotion").scores.count == 35


def test_images_seen_in_training_are_left_out_where_it_says_unseen(
    drawn: Dataset, session: FakeSession
) -> None:
    crops = drawn.crops.copy()
    crops[drawn.rows("PublicTest")[:5]] = crops[drawn.rows("Training")[:5]]

    results = evaluate(session, replace(drawn, crops=crops))

    counts = {each.name: each.scores.count for each in results}
    assert (counts["PublicTest"], counts["PublicTest, unseen"]) == (21, 16)
    assert counts["PrivateTest"] == counts["PrivateTest, unseen"] == 14


def test_the_folder_layouts_test_split_is_judged(drawn: Dataset) -> None:
    split = np.where(drawn.split == "Training", "Training", "Test")

    results = evaluate(FakeSession(CARD, see_bars), replace(drawn, split=split, votes=None))

    assert [each.name for each in results] == ["Test", "Test, unseen"]
    assert results[0].scores.count == 35


def test_flip_averaging_is_the_mean_of_the_logits(drawn: Dataset) -> None:
    def left_side(crops: Crops) -> np.ndarray:
        return np.repeat(crops[:, :, :24].mean((1, 2, 3))[:, None], 7, axis=1) * np.arange(7) / 50

    plain = classify(FakeSession(CARD, left_side), drawn.crops)["emotion"]
    mirrored = classify(FakeSession(CARD, left_side), drawn.crops[:, :, ::-1])["emotion"]
    results = evaluate(FakeSession(CARD, left_side), drawn, flip=True)
    flipped = [each for each in results if each.head == "emotion"][-2]

    rows = drawn.rows("PublicTest", "PrivateTest")
    mean = ((plain + mirrored) / 2)[rows]
    assert flipped.flip
    assert flipped.scores.accuracy == (mean.argmax(1) == drawn.emotion[rows]).mean()


def test_the_ferplus_head_is_judged_by_its_votes(drawn: Dataset) -> None:
    votes = np.zeros((len(drawn), 10), np.float32)
    votes[:, 1] = 10  # everyone is happy
    votes[drawn.rows("PublicTest")[0]] = 1  # but for one, whom nobody can tell

    truth, usable = truth_of("ferplus", replace(drawn, votes=votes))
    results = evaluate(FakeSession(FERPLUS), replace(drawn, votes=votes))

    assert usable.sum() == len(drawn) - 1
    assert set(truth[usable]) == {1}
    assert results[0].scores.count == 20
    assert results[0].labels == FERPLUS_LABELS


def test_the_card_holds_the_main_figures(drawn: Dataset, session: FakeSession) -> None:
    metrics = card_metrics(evaluate(session, drawn, flip=True))

    assert list(metrics)[:3] == ["PublicTest", "PrivateTest", "PublicTest + PrivateTest"]
    assert "ferplus PublicTest" in metrics
    figures = metrics["PublicTest"]
    assert {"accuracy", "accuracy_flip", "accuracy_unseen", "accuracy_flip_unseen"} <= set(figures)
    assert all(isinstance(value, float) for value in figures.values())
    assert figures["accuracy_low"] <= figures["accuracy"] <= figures["accuracy_high"]


def test_a_report_is_json_markdown_and_pictures(
    tmp_path: Path, drawn: Dataset, session: FakeSession
) -> None:
    results = evaluate(session, drawn, flip=True)

    write_report(results, CARD, tmp_path / "deep" / "report")

    folder = tmp_path / "deep" / "report"
    pictures = {f"{head}_{name}.png" for head in CARD.heads for name in PLOTS}
    assert {path.name for path in folder.iterdir()} == {"report.json", "report.md", *pictures}
    stored = json.loads((folder / "report.json").read_text())
    assert stored == json.loads(json.dumps(as_dict(results, CARD)))
    first = stored["results"][0]
    assert (first["accuracy"], first["uncertain"], first["set_sizes"][0]["labels"]) == (1.0, 0, 1)
    text = (folder / "report.md").read_text()
    assert text == as_markdown(results, CARD)
    assert "| Happy | 1.00 | 1.00 | 1.00 | 5 |" in text
    assert "`uncertain` marks 0 of 35 faces" in text
    assert all(name in text for name in pictures)
    for name in pictures:
        with Image.open(folder / name) as picture:
            assert picture.width > 700
            assert np.ptp(np.asarray(picture.convert("L"))) > 100


def test_the_reports_curves_are_those_of_the_plots(drawn: Dataset, session: FakeSession) -> None:
    many = drawn.take(np.tile(drawn.rows("PublicTest"), 40))
    results = evaluate(FakeSession(FERPLUS), many)

    (stored, _) = as_dict(results, CARD)["results"]

    bins, surest = stored["reliability"], stored["accuracy_coverage"]
    assert sum(bins["weight"]) == pytest.approx(1)
    gaps = np.abs(np.subtract(bins["x"], bins["y"]))
    assert np.average(gaps, weights=bins["weight"]) == pytest.approx(stored["ece"])
    np.testing.assert_allclose(surest["x"], np.arange(1, 101) / 100, atol=1 / len(many))
    assert surest["y"][79] == pytest.approx(stored["accuracy_at_80"])
    assert surest["y"][-1] == stored["accuracy"]


def test_fewer_rows_than_per_cents_give_a_point_each(drawn: Dataset, session: FakeSession) -> None:
    rows = drawn.take(drawn.rows("PrivateTest")[:3])

    (stored, *_) = as_dict(evaluate(session, rows), CARD)["results"]

    np.testing.assert_allclose(stored["accuracy_coverage"]["x"], [1 / 3, 2 / 3, 1])
