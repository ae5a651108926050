from __future__ import annotations

import numpy as np
import pytest

from mien.calibration import prediction_set, softmax
from mien.card import Calibration
from mien.errors import InputError
from mien.evaluation import metrics
from mien.evaluation.resample import Counts, Judged

LABELS = ("no", "maybe", "yes")


def logits(*rows: list[float]) -> np.ndarray:
    return np.log(np.array(rows, np.float32))


#: Reads no, no, maybe, yes; the second is wrong.
FOUR = logits([0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9])
TRUTH = np.array([0, 1, 1, 2])


@pytest.mark.parametrize("rows", [0, 1])
def test_rows_and_truth_must_match(rows: int) -> None:
    with pytest.raises(InputError, match=f"got {rows} and 0"):
        metrics.score(FOUR[:rows], TRUTH[:0], LABELS, Calibration())


def test_every_figure_of_a_small_example() -> None:
    confidence = Calibration(set_threshold=0.35, abstain_below=0.6)

    scores = metrics.score(FOUR, TRUTH, LABELS, confidence)

    assert (scores.count, scores.accuracy, scores.top2_accuracy) == (4, 0.75, 1.0)
    assert scores.confusion == ((1, 0, 0), (1, 1, 0), (0, 0, 1))
    assert [row.precision for row in scores.per_class] == [0.5, 1.0, 1.0]
    assert [row.recall for row in scores.per_class] == [1.0, 0.5, 1.0]
    assert [row.support for row in scores.per_class] == [1, 2, 1]
    assert scores.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores.weighted_f1 == pytest.approx((2 / 3 + 2 * 2 / 3 + 1) / 4)
    assert scores.nll == pytest.approx(-np.log([0.7, 0.4, 0.8, 0.9]).mean(), rel=1e-5)
    assert (scores.set_coverage, scores.mean_set_size) == (1.0, 1.25)  # the wrong one has two
    assert scores.set_sizes == (
        metrics.SetSize(1, 3, 1.0),
        metrics.SetSize(2, 1, 1.0),
        metrics.SetSize(3, 0, 0.0),
    )
    assert (scores.uncertain, scores.answered, scores.accuracy_answered) == (1, 0.75, 1.0)
    assert scores.accuracy_at_80 == 0.75  # of four rows, 80 % are all


def test_the_temperature_of_the_card_is_used() -> None:
    cold, hot = (
        metrics.score(FOUR, TRUTH, LABELS, Calibration(temperature=temperature))
        for temperature in (0.1, 10.0)
    )

    assert cold.nll != pytest.approx(hot.nll)
    assert cold.accuracy == hot.accuracy


def test_a_set_is_never_empty() -> None:
    scores = metrics.score(FOUR, TRUTH, LABELS, Calibration(set_threshold=1.0))

    assert scores.mean_set_size == 1.0
    assert scores.set_coverage == scores.accuracy == scores.set_sizes[0].coverage
    assert [each.count for each in scores.set_sizes] == [4, 0, 0]


def test_nothing_answered_is_no_division_by_zero() -> None:
    scores = metrics.score(FOUR, TRUTH, LABELS, Calibration(abstain_below=0.99))

    assert (scores.uncertain, scores.answered, scores.accuracy_answered) == (4, 0.0, 0.0)


def test_a_class_without_rows_does_not_count_in_the_macro_f1() -> None:
    scores = metrics.score(FOUR[:1], TRUTH[:1], LABELS, Calibration())

    assert scores.macro_f1 == scores.accuracy == 1.0
    assert [row.support for row in scores.per_class] == [1, 0, 0]


def test_accuracy_and_loss() -> None:
    accuracy, loss = metrics.accuracy_and_loss(FOUR, TRUTH)

    assert accuracy == 0.75
    assert loss == pytest.approx(-np.log([0.7, 0.4, 0.8, 0.9]).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("right", "low", "high"),
    [
        ([True], 1.0, 1.0),
        ([False] * 9, 0.0, 0.0),
        ([True] * 700 + [False] * 300, 0.7 - 0.0284, 0.7 + 0.0284),  # 1.96 standard errors
    ],
)
def test_the_interval_is_the_binomial_one(right: list[bool], low: float, high: float) -> None:
    interval = metrics.accuracy_interval(np.array(right))

    assert interval.low == pytest.approx(low, abs=0.002)
    assert interval.high == pytest.approx(high, abs=0.002)
    assert interval == metrics.accuracy_interval(np.array(right))


def test_reliability_leaves_empty_bins_out() -> None:
    probabilities = np.array([[0.62, 0.38], [0.64, 0.36], [0.98, 0.02]])

    curve = metrics.reliability(probabilities, np.array([0, 1, 0]), bins=10)

    np.testing.assert_allclose(curve.x, [0.63, 0.98])
    np.testing.assert_allclose(curve.y, [0.5, 1.0])
    np.testing.assert_allclose(curve.weight, [2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("top", "rows", "expected"),
    [
        (1.0, 50, 0.0),  # whoever is sure and right errs by nothing
        (0.5, 1, 0.5),
        (0.7, 2_000, np.sqrt(2 * 0.7 * 0.3 / (np.pi * 2_000))),  # mean distance of a normal value
    ],
)
def test_true_confidences_err_by_chance_alone(top: float, rows: int, expected: float) -> None:
    probabilities = np.tile([top, 1 - top], (rows, 1))

    assert metrics.ece_by_chance(probabilities) == pytest.approx(expected, rel=0.15)


def test_each_score_says_what_chance_alone_would_be() -> None:
    scores = metrics.score(FOUR, TRUTH, LABELS, Calibration(temperature=2.0))

    probabilities = softmax(FOUR, 2.0)
    assert scores.ece_by_chance == metrics.ece_by_chance(probabilities) > 0


def test_the_surest_are_answered_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]])

    curve = metrics.accuracy_coverage(probabilities, np.array([1, 0, 0]))

    np.testing.assert_allclose(curve.x, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(curve.y, [1, 1, 2 / 3])


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 1.0])
def test_sets_of_many_rows_are_those_of_each_reading(threshold: float) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.full(5, 0.4), 50)
    labels = tuple("abcde")

    marked = metrics.prediction_sets(probabilities, threshold)

    assert marked.any(axis=1).all()
    for row, mask in zip(probabilities, marked, strict=True):
        expected = prediction_set(tuple(row.tolist()), labels, threshold)
        assert {labels[column] for column in np.flatnonzero(mask)} == set(expected)


def test_no_row_has_no_set() -> None:
    assert metrics.prediction_sets(np.empty((0, 3)), 0.1).shape == (0, 3)


def test_resampled_figures_are_those_of_the_metrics() -> None:
    generator = np.random.default_rng(1)
    drawn, truth = (
        generator.normal(size=(200, 3)).astype(np.float32),
        generator.integers(3, size=200),
    )
    confidence = Calibration(temperature=0.7, set_threshold=0.3, abstain_below=0.5)
    counts = Counts.of(Judged(drawn, truth, LABELS, confidence))
    figures = counts.figures(counts.columns.sum(axis=0))

    scores = metrics.score(drawn, truth, LABELS, confidence)

    for name in ("accuracy", "macro_f1", "ece", "nll", "set_coverage", "mean_set_size", "answered"):
        assert float(figures[name]) == pytest.approx(getattr(scores, name)), name
