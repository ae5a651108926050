"""Pairs of pictures mixed: pixels, targets and weights go together."""

import numpy as np
import pytest

from mien.train.mix import Batch, mix

_COUNT = 40


@pytest.fixture
def batch() -> Batch:
    """Pictures of one grey each, which is the row's number; every row its own category."""
    greys = np.arange(_COUNT, dtype=np.float32)
    crops = np.broadcast_to(greys[:, None, None, None], (_COUNT, 12, 10, 1)).copy()
    targets = np.eye(_COUNT, dtype=np.float32)
    return Batch(crops, {"emotion": targets}, {"emotion": np.ones(_COUNT, np.float32)})


def test_nothing_is_mixed_by_default(batch: Batch) -> None:
    assert mix(batch, 0, 0, np.random.default_rng(0)) is batch


def test_a_single_picture_has_no_pair(batch: Batch) -> None:
    one = Batch(batch.crops[:1], {"emotion": np.ones((1, 1), np.float32)}, {"emotion": np.ones(1)})
    assert mix(one, 0.4, 1.0, np.random.default_rng(0)) is one


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_targets_say_what_shows_of_each_picture(batch: Batch, mixup: float, cutmix: float) -> None:
    mixed = mix(batch, mixup, cutmix, np.random.default_rng(3))
    # The mean grey of a mixed picture is the mean row number by its target.
    expected = mixed.targets["emotion"] @ np.arange(_COUNT)
    np.testing.assert_allclose(mixed.crops.mean(axis=(1, 2, 3)), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(mixed.targets["emotion"].sum(axis=1), 1, rtol=1e-6)
    own = np.diag(mixed.targets["emotion"])
    assert (own > 0.45).all()  # a box has whole pixels
    assert (own < 0.99).any()
    assert mixed.crops.dtype == mixed.targets["emotion"].dtype == np.float32


def test_mixup_blends_and_cutmix_pastes(batch: Batch) -> None:
    greys = [len(np.unique(crop)) for crop in mix(batch, 0.4, 0, np.random.default_rng(1)).crops]
    assert set(greys) == {1}
    greys = [len(np.unique(crop)) for crop in mix(batch, 0, 1.0, np.random.default_rng(1)).crops]
    assert max(greys) == 2


def test_both_take_about_half_each(batch: Batch) -> None:
    crops = mix(batch, 5.0, 5.0, np.random.default_rng(1)).crops
    assert 8 < sum(len(np.unique(crop)) == 2 for crop in crops) < 32


def test_a_row_without_a_target_lends_none(batch: Batch) -> None:
    weights = np.ones(_COUNT, np.float32)
    weights[::2] = 0
    mixed = mix(batch._replace(weights={"emotion": weights}), 0.4, 0, np.random.default_rng(2))
    assert (mixed.targets["emotion"][:, ::2].sum(axis=1)[mixed.weights["emotion"] > 0] == 0).all()
    assert ((mixed.weights["emotion"] >= 0) & (mixed.weights["emotion"] <= 1 + 1e-6)).all()
    assert np.isfinite(mixed.targets["emotion"]).all()


def test_the_batch_given_stays_as_it_was(batch: Batch) -> None:
    before = batch.crops.copy()
    mix(batch, 0.4, 1.0, np.random.default_rng(0))
    np.testing.assert_array_equal(batch.crops, before)


def test_one_seed_one_batch(batch: Batch) -> None:
    first, second = (mix(batch, 0.4, 1.0, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.crops, second.crops)
    np.testing.assert_array_equal(first.targets["emotion"], second.targets["emotion"])
