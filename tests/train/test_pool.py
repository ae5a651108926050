"""Voters and networks asked together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.support.models import write_tiny_model

from mien.data import Dataset
from mien.errors import ConfigError
from mien.train.fit import fit
from mien.train.pool import Voters, pool, vote_opinion, with_votes
from mien.types import EMOTIONS

from .conftest import recipe, write_teacher

_COUNT = 3_000


def cross_entropy(opinion: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(opinion[np.arange(len(labels)), labels]).mean())


def opinions(strength: float, labels: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities that know the labels as far as ``strength`` goes, and are too sure of it."""
    logits = np.random.default_rng(seed).normal(0, 1, (len(labels), len(EMOTIONS)))
    logits[np.arange(len(labels)), labels] += strength
    sure = np.exp(2 * logits)
    return (sure / sure.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def labels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, len(EMOTIONS), _COUNT)


def test_two_opinions_are_better_than_either(labels: np.ndarray) -> None:
    one, other = opinions(1.5, labels, 1), opinions(1.0, labels, 2)
    held_out, rest = np.arange(1_000), np.arange(1_000, _COUNT)

    both = pool([one, other], labels, held_out)

    np.testing.assert_allclose(both.sum(axis=1), 1, atol=1e-5)
    assert both.dtype == np.float32
    least = min(cross_entropy(each[rest], labels[rest]) for each in (one, other))
    assert cross_entropy(both[rest], labels[rest]) < 0.8 * least


def test_an_opinion_that_knows_nothing_gets_no_power(labels: np.ndarray) -> None:
    one = opinions(1.5, labels, 1)
    noise = np.random.default_rng(5).dirichlet(np.ones(len(EMOTIONS)), _COUNT).astype(np.float32)

    both = pool([one, noise], labels, np.arange(_COUNT))

    alone = pool([one], labels, np.arange(_COUNT))
    assert np.abs(both - alone).max() < 0.15
    assert cross_entropy(both, labels) == pytest.approx(cross_entropy(alone, labels), abs=0.01)


def test_no_opinion_forbids_a_label(labels: np.ndarray) -> None:
    certain = np.eye(len(EMOTIONS), dtype=np.float32)[(labels + 1) % len(EMOTIONS)]

    both = pool([certain, opinions(1.5, labels, 1)], labels, np.arange(_COUNT))

    assert np.isfinite(both).all()
    assert (both > 0).all()


def test_votes_for_another_category_mean_the_label_that_goes_with_them() -> None:
    """Whoever votes 'happy' means angry here: what counts is what the labels say."""
    labels = np.repeat([0, 3, 6], 200)
    votes = np.zeros((600, 10), int)
    votes[labels == 0, 1] = 10
    votes[labels == 3, 5] = 10
    votes[labels == 6, 9] = 10

    opinion = vote_opinion(votes, labels, np.arange(0, 600, 2))

    assert opinion.shape == (600, len(EMOTIONS))
    assert (opinion.argmax(axis=1) == labels).all()
    assert (opinion[:, [1, 2, 4, 5]] == 0).all()  # labels that no row had
    np.testing.assert_allclose(opinion.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("missing", ["votes", "held out"])
def test_what_is_missing_is_said(drawn: Dataset, missing: str) -> None:
    teachers = np.full((len(drawn), len(EMOTIONS)), 1 / 7, np.float32)
    dataset = replace(drawn, votes=None) if missing == "votes" else drawn
    held_out = np.arange(0 if missing == "held out" else 5)

    with pytest.raises(ConfigError, match=r"--votes .*\(validation_split"):
        with_votes([teachers], dataset, np.arange(10), held_out)


def test_a_run_is_taught_by_both(tmp_path: Path, drawn: Dataset) -> None:
    teacher = write_tiny_model(tmp_path)
    losses = []
    for name, teacher_votes in (("networks", False), ("voters", True)):
        chosen = recipe(teacher_weight=1.0, teacher_votes=teacher_votes)
        log = fit(chosen, drawn, tmp_path / name, teachers=[teacher])
        losses.append(log[-1].loss)

    assert np.isfinite(losses).all()
    assert losses[0] != pytest.approx(losses[1], abs=1e-3)


def test_voters_beside_teachers_that_look_at_pictures(drawn: Dataset) -> None:
    rows, held_out = np.arange(0, len(drawn), 2), np.arange(1, len(drawn), 2)
    said = opinions(1.5, drawn.emotion, 1)

    def ask(crops: np.ndarray) -> np.ndarray:
        np.testing.assert_array_equal(crops, drawn.crops[held_out])
        return said[held_out]

    voters = Voters.beside(ask, drawn, rows, held_out)

    both = voters.pooled_with(said, voters.opinion)
    expected = with_votes([said], drawn, rows, held_out)
    np.testing.assert_allclose(both, expected, rtol=1e-4, atol=1e-6)
    assert both.dtype == np.float32


@pytest.mark.parametrize("mixing", [{}, {"mixup": 0.5, "cutmix": 0.5}])
def test_voters_have_a_say_where_teachers_watch(
    tmp_path: Path, drawn: Dataset, mixing: dict[str, float]
) -> None:
    teacher = write_teacher(tmp_path)
    settings = {"teacher_weight": 1.0, "teacher_sees": "augmented", **mixing}

    losses = {
        teacher_votes: fit(
            recipe(teacher_votes=teacher_votes, **settings),
            drawn,
            tmp_path / str(teacher_votes),
            teachers=[teacher],
        )[-1].loss
        for teacher_votes in (False, True)
    }

    assert np.isfinite(list(losses.values())).all()
    assert losses[False] != pytest.approx(losses[True], abs=1e-3)
