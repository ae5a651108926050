from __future__ import annotations

import numpy as np
import pytest

from mien.errors import InputError
from mien.priors import (
    FER2013_PRIOR,
    adjusted_prior,
    estimate_prior,
    parse_prior,
    shift_prior,
)
from mien.types import EMOTIONS

UNIFORM = [1 / 7] * 7


@pytest.mark.parametrize("prior", [[], [1, 1], [0, *[1] * 6], [-1, *[1] * 6], [np.nan, *[1] * 6]])
def test_a_wrong_prior_is_refused(prior: list[float]) -> None:
    with pytest.raises(InputError, match="7 numbers above 0"):
        shift_prior(np.full((1, 7), 1 / 7), UNIFORM, prior)


@pytest.mark.parametrize("text", ["", "happy", "1,2,x"])
def test_a_prior_that_cannot_be_read_says_what_is_expected(text: str) -> None:
    with pytest.raises(InputError, match="uniform, fer2013, or 7 numbers"):
        parse_prior(text, EMOTIONS)


def test_too_few_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="7 numbers above 0"):
        parse_prior("1,2,3", EMOTIONS)


def test_no_faces_tell_no_prior() -> None:
    with pytest.raises(InputError, match="at least one face"):
        estimate_prior(np.empty((0, 7)), UNIFORM)


def test_priors_are_read() -> None:
    assert parse_prior("uniform", EMOTIONS) == pytest.approx(UNIFORM)
    assert parse_prior("fer2013", EMOTIONS) == pytest.approx(FER2013_PRIOR)
    assert parse_prior("1,1,1,1,1,1,4", EMOTIONS)[-1] == pytest.approx(0.4)
    assert sum(FER2013_PRIOR) == pytest.approx(1)


def test_shifting_there_and_back_changes_nothing() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(7), 20)

    there = shift_prior(probabilities, UNIFORM, FER2013_PRIOR)
    back = shift_prior(there, FER2013_PRIOR, UNIFORM)

    np.testing.assert_allclose(back, probabilities)
    np.testing.assert_allclose(there.sum(axis=1), 1)
    assert (there[:, 1] < probabilities[:, 1]).all()  # disgust is rare there


def test_shifting_is_bayes_rule() -> None:
    """Two labels and one observation, worked out by hand: 0.8 : 0.2 against 1 : 9."""
    shifted = shift_prior(np.array([[0.8, 0.2]]), [0.5, 0.5], [0.1, 0.9])

    np.testing.assert_allclose(shifted, [[0.08 / 0.26, 0.18 / 0.26]])


def test_the_prior_of_other_faces_is_found() -> None:
    generator = np.random.default_rng(0)
    wanted = np.array([0.05, 0.3, 0.05, 0.1, 0.3, 0.1, 0.1])
    truth = generator.choice(7, 20_000, p=wanted)
    noise = generator.normal(0, 1, (len(truth), 7))
    evidence = 2 * np.eye(7)[truth] + noise  # of unit variance, so these are log-likelihoods
    probabilities = np.exp(2 * evidence)
    probabilities /= probabilities.sum(axis=1, keepdims=True)

    found = estimate_prior(probabilities, UNIFORM)

    np.testing.assert_allclose(found, wanted, atol=0.015)


def test_logit_adjustment_leaves_less_of_the_prior() -> None:
    assert adjusted_prior(FER2013_PRIOR, 0) == pytest.approx(FER2013_PRIOR)
    assert adjusted_prior(FER2013_PRIOR, 1) == pytest.approx(UNIFORM)
    assert FER2013_PRIOR[1] < adjusted_prior(FER2013_PRIOR, 0.5)[1] < 1 / 7
