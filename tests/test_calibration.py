from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from mien.calibration import (
    Probabilities,
    abstention_threshold,
    expected_calibration_error,
    fit_calibration,
    fit_temperature,
    prediction_set,
    set_threshold,
    softmax,
)
from mien.card import Calibration
from mien.errors import InputError
from mien.types import EMOTIONS, Logits

NO_ROWS = np.empty((0, 7), np.float32)
NO_TRUTH = np.empty(0, np.int64)

finite_logits = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
    elements=st.floats(-1e4, 1e4, width=32),
)


def simulate(
    count: int, *, temperature: float = 1.0, seed: int = 0
) -> tuple[Logits, NDArray[np.int64]]:
    """Draw truths from the very probabilities that the logits have at ``temperature``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 7)).astype(np.float32)
    drawn = softmax(logits).cumsum(axis=1) > rng.random((count, 1))
    return (logits * temperature).astype(np.float32), drawn.argmax(axis=1)


class TestSoftmax:
    @pytest.mark.parametrize(
        ("logits", "temperature", "expected"),
        [
            (np.empty((0, 3)), 1.0, np.empty((0, 3))),
            ([[0, 0]], 1.0, [[0.5, 0.5]]),
            ([[np.log(3), 0]], 1.0, [[0.75, 0.25]]),
            ([[2 * np.log(3), 0]], 2.0, [[0.75, 0.25]]),
            ([[1e30, 0], [-1e30, 0]], 1.0, [[1, 0], [0, 1]]),
        ],
    )
    def test_known_values(self, logits: object, temperature: float, expected: object) -> None:
        found = softmax(np.asarray(logits, np.float32), temperature)

        assert found.dtype == np.float64
        np.testing.assert_allclose(found, np.asarray(expected), atol=1e-7)

    @given(finite_logits, st.floats(0.05, 20))
    def test_rows_are_probabilities_in_the_order_of_the_logits(
        self, logits: Logits, temperature: float
    ) -> None:
        found = softmax(logits, temperature)

        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
        assert found.min() >= 0
        assert found.max() <= 1
        assert (np.take_along_axis(found, logits.argmax(1)[:, None], 1)[:, 0] == found.max(1)).all()

    @given(finite_logits, st.floats(-100, 100, width=32))
    def test_a_constant_changes_nothing(self, logits: Logits, constant: float) -> None:
        shifted = logits.astype(np.float64) + constant
        np.testing.assert_allclose(softmax(shifted), softmax(logits), atol=1e-9)  # type: ignore[arg-type]


class TestTemperature:
    @pytest.mark.parametrize("truth", [NO_TRUTH, np.zeros(3, np.int64)])
    def test_needs_rows_and_a_truth_for_each(self, truth: NDArray[np.int64]) -> None:
        with pytest.raises(InputError, match="at least one held-out row and one truth for each"):
            fit_temperature(NO_ROWS, truth)

    @pytest.mark.parametrize("temperature", [0.25, 1.0, 1.7, 6.0])
    def test_the_true_one_is_recovered(self, temperature: float) -> None:
        logits, truth = simulate(20_000, temperature=temperature)
        assert fit_temperature(logits, truth) == pytest.approx(temperature, rel=0.03)

    def test_a_few_labels_that_cannot_be_do_not_move_it(self) -> None:
        logits, truth = simulate(20_000)
        wrong = np.arange(0, 20_000, 40)
        truth[wrong] = logits[wrong].argmin(axis=1)

        assert fit_temperature(logits, truth) == pytest.approx(1.0, rel=0.05)

    def test_stays_within_its_bounds(self) -> None:
        always_right = np.eye(7, dtype=np.float32)
        assert fit_temperature(always_right, np.arange(7)) == pytest.approx(0.05, rel=1e-3)
        assert fit_temperature(always_right, np.roll(np.arange(7), 1)) == pytest.approx(
            20, rel=1e-3
        )


class TestPredictionSets:
    @pytest.mark.parametrize(
        ("probabilities", "threshold", "expected"),
        [
            ((1.0,), 0.5, ("angry",)),
            ((0.2, 0.5, 0.3), 0.9, ("disgust",)),
            ((0.2, 0.5, 0.3), 0.3, ("disgust", "fear")),
            ((0.2, 0.5, 0.3), 0.0, ("disgust", "fear", "angry")),
            ((0.4, 0.2, 0.4), 0.4, ("angry", "fear")),
        ],
    )
    def test_known_sets(
        self, probabilities: tuple[float, ...], threshold: float, expected: tuple[str, ...]
    ) -> None:
        labels = EMOTIONS[: len(probabilities)]
        assert prediction_set(probabilities, labels, threshold) == expected

    @pytest.mark.parametrize("truth", [NO_TRUTH, np.zeros(3, np.int64)])
    def test_needs_rows_and_a_truth_for_each(self, truth: NDArray[np.int64]) -> None:
        with pytest.raises(InputError, match="at least one held-out row and one truth for each"):
            set_threshold(NO_ROWS.astype(np.float64), truth, 0.9)

    def test_too_few_rows_promise_nothing(self) -> None:
        probabilities = np.array([[0.6, 0.4]] * 8)
        assert set_threshold(probabilities, np.zeros(8, np.int64), 0.9) == 0.0

    def test_nine_rows_are_the_first_that_suffice_for_nine_tenths(self) -> None:
        scores = np.linspace(0.1, 0.9, 9)
        probabilities = np.stack([scores, 1 - scores], axis=1)
        assert set_threshold(probabilities, np.zeros(9, np.int64), 0.9) == scores[0]

    @pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.99])
    @pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
    def test_sets_hold_the_truth_as_often_as_promised_however_bad_the_probabilities(
        self, coverage: float, temperature: float
    ) -> None:
        logits, truth = simulate(40_000, temperature=temperature)
        probabilities = softmax(logits)
        held_out, new = slice(0, 4_000), slice(4_000, None)

        threshold = set_threshold(probabilities[held_out], truth[held_out], coverage)

        scores = probabilities[new][np.arange(36_000), truth[new]]
        assert (scores >= threshold).mean() == pytest.approx(coverage, abs=0.02)

    @settings(max_examples=30)
    @given(st.integers(1, 200), st.floats(0.01, 0.99))
    def test_the_promise_holds_on_the_fitted_rows_themselves(
        self, count: int, coverage: float
    ) -> None:
        logits, truth = simulate(count)
        probabilities = softmax(logits)

        threshold = set_threshold(probabilities, truth, coverage)

        assert (probabilities[np.arange(count), truth] >= threshold).mean() >= coverage


class TestAbstention:
    def test_needs_rows(self) -> None:
        with pytest.raises(InputError, match="at least one held-out row"):
            abstention_threshold(softmax(NO_ROWS), 0.8)

    @pytest.mark.parametrize("answered", [0.1, 0.8, 1.0])
    def test_the_wanted_part_is_answered(self, answered: float) -> None:
        probabilities = softmax(simulate(5_000)[0])

        threshold = abstention_threshold(probabilities, answered)

        assert (probabilities.max(axis=1) >= threshold).mean() == pytest.approx(answered, abs=1e-3)


def two_columns(confidence: list[float]) -> Probabilities:
    first = np.array(confidence)
    return np.stack([first, 1 - first], axis=1)


class TestCalibrationError:
    @pytest.mark.parametrize(
        ("confidence", "truth", "expected"),
        [
            ([], [], 0.0),
            ([1.0], [0], 0.0),
            ([1.0], [1], 1.0),
            ([0.75, 0.75, 0.75, 0.75], [0, 0, 0, 1], 0.0),
            ([0.75, 0.75], [0, 1], 0.25),
            ([0.9, 0.9, 0.6, 0.6], [0, 0, 1, 1], 0.35),
        ],
    )
    def test_known_values(self, confidence: list[float], truth: list[int], expected: float) -> None:
        found = expected_calibration_error(two_columns(confidence), np.array(truth, np.int64))
        assert found == pytest.approx(expected)

    def test_is_near_zero_for_true_probabilities_and_grows_with_a_wrong_temperature(self) -> None:
        logits, truth = simulate(50_000)

        assert expected_calibration_error(softmax(logits), truth) < 0.01
        assert expected_calibration_error(softmax(logits, 0.5), truth) > 0.08
        assert expected_calibration_error(softmax(logits, 2.0), truth) > 0.08


class TestFitConfidence:
    def test_needs_rows(self) -> None:
        with pytest.raises(InputError):
            fit_calibration(NO_ROWS, NO_TRUTH)

    def test_makes_overconfident_logits_believable(self) -> None:
        logits, truth = simulate(20_000, temperature=2.5)

        fitted = fit_calibration(logits, truth, coverage=0.95, answered=0.7)

        assert fitted == Calibration(
            temperature=pytest.approx(2.5, rel=0.05),
            coverage=0.95,
            set_threshold=pytest.approx(fitted.set_threshold),
            abstain_below=pytest.approx(fitted.abstain_below),
        )
        new_logits, new_truth = simulate(20_000, temperature=2.5, seed=1)
        probabilities = softmax(new_logits, fitted.temperature)
        scores = probabilities[np.arange(20_000), new_truth]
        assert expected_calibration_error(probabilities, new_truth) < 0.02
        assert (scores >= fitted.set_threshold).mean() == pytest.approx(0.95, abs=0.01)
        answered = probabilities.max(axis=1) >= fitted.abstain_below
        assert answered.mean() == pytest.approx(0.7, abs=0.02)
        right = probabilities.argmax(axis=1) == new_truth
        assert right[answered].mean() > right.mean() + 0.05
