from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from tests.support.models import make_card

from mien.card import Calibration, ModelCard
from mien.data import Dataset
from mien.errors import DataError
from mien.evaluation.degradations import DEGRADATIONS, STRENGTHS, UNREADABLE
from mien.evaluation.robustness import (
    Robustness,
    card_figures,
    degradations_part,
    evaluate_degradations,
    from_report,
    plot_degradations,
    sample_test_rows,
)
from mien.types import Crops, Logits


@dataclass
class Fixed:
    """A session that gives every crop the same logits."""

    card: ModelCard
    logits: tuple[float, ...] = (3.0, 0, 0, 0, 0, 0, 0)

    def __call__(self, crops: Crops) -> Mapping[str, Logits]:
        return {"emotion": np.tile(np.float32(self.logits), (len(crops), 1))}


@pytest.fixture(scope="module")
def rows(drawn: Dataset) -> Dataset:
    return sample_test_rows(drawn)


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return make_card(calibration=Calibration(abstain_below=0.5, set_threshold=0.2))


@pytest.fixture(scope="module")
def measured(rows: Dataset, card: ModelCard) -> Robustness:
    return evaluate_degradations(Fixed(card), rows)


def test_data_without_test_rows_is_refused(drawn: Dataset) -> None:
    with pytest.raises(DataError, match="no test rows"):
        sample_test_rows(drawn.take(drawn.rows("Training")))


def test_the_sample_is_the_same_each_time_and_of_test_rows_alone(drawn: Dataset) -> None:
    first, second = (sample_test_rows(drawn, 10) for _ in range(2))

    np.testing.assert_array_equal(first.crops, second.crops)
    assert len(first) == 10
    assert "Training" not in first.split


def test_a_model_that_always_says_angry_is_right_where_faces_are(
    measured: Robustness, rows: Dataset
) -> None:
    angry = float((rows.emotion == 0).mean())

    for each in measured.degraded:
        assert each.accuracy == pytest.approx(angry)
        assert each.wrong_answered == pytest.approx(1 - angry)
        assert (each.answered, each.mean_set_size) == (1, 1)
    assert [each.answered for each in measured.unreadable if each.kind == "all"] == [1.0]


def test_a_model_that_never_dares_is_never_wrong_and_answered(
    rows: Dataset, card: ModelCard
) -> None:
    measured = evaluate_degradations(Fixed(card, (0.0,) * 7), rows)

    assert all(each.answered == each.wrong_answered == 0 for each in measured.degraded)
    assert all(each.answered == 0 for each in measured.unreadable)


def test_every_kind_and_strength_is_measured(measured: Robustness) -> None:
    kinds = {(each.kind, each.strength) for each in measured.degraded}

    wanted = {(kind, s) for kind in (*DEGRADATIONS, "all") for s in STRENGTHS}
    assert kinds == wanted | {("clean", 0)}
    assert {*UNREADABLE, "all"} <= {each.kind for each in measured.unreadable}


def test_progress_ends_at_its_total(rows: Dataset, card: ModelCard) -> None:
    seen: list[tuple[int, int]] = []
    evaluate_degradations(Fixed(card), rows, lambda done, total: seen.append((done, total)))

    assert seen[-1][0] == seen[-1][1]


def test_figures_come_back_from_a_report(measured: Robustness) -> None:
    content = json.loads(json.dumps({"degradations": degradations_part(measured).content}))

    assert from_report(content) == measured
    with pytest.raises(DataError, match="make it with --degradations"):
        from_report({})


def test_the_report_and_the_card_say_it(measured: Robustness) -> None:
    part = degradations_part(measured)

    json.dumps(part.content)
    assert part.markdown.startswith("## Degraded faces")
    assert "| low contrast |" in part.markdown
    assert card_figures(measured)["degraded, strength 3"]["answered"] == 1
    assert len(plot_degradations(measured).axes) == len(DEGRADATIONS) + 1
