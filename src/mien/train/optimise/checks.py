"""How far a file's answers lie from the network's own, on crops that it was not trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.calibration import Probabilities, softmax
from mien.card import ModelCard
from mien.data import Dataset, hold_out
from mien.evaluation.evaluate import classify, heads_with_truth, truth_of
from mien.runtime import Session
from mien.train.optimise.forms import Form
from mien.types import CROP_HW, Crops

__all__ = ["Check", "Probe", "answers", "compare", "generated_probe", "held_out_probe"]

_CALIBRATION_EVERY = 4  # of the held-out rows; the others judge
_HELD_OUT = 0.05  # for a network that held nothing out itself: it has seen these rows
_GENERATED = 512

_Truth = tuple[NDArray[np.int64], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Probe:
    """Crops to compare on.

    Attributes:
        name: what they are, in cards and tables.
        crops: uint8 (N, 48, 48, 1).
        truths: by head, the true column of each crop and which crops have one.
        calibration: other crops, for the ranges of activations.
    """

    name: str
    crops: Crops
    calibration: Crops
    truths: Mapping[str, _Truth] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """What one head of a file keeps of the network's answers; parts of 1.

    Attributes:
        moved: 99 of 100 crops have no probability that moves further.
        agreement: of crops whose most probable label is the same.
        accuracy, reference: of file and network; ``None`` without truths.
        rows: crops with a truth.
    """

    head: str
    moved: float
    agreement: float
    accuracy: float | None = None
    reference: float | None = None
    rows: int = 0

    @property
    def lost_points(self) -> float:
        """Accuracy lost, in percentage points; 0 without truths, negative if it gained."""
        if self.accuracy is None or self.reference is None:
            return 0.0
        return 100 * (self.reference - self.accuracy)

    def figures(self) -> dict[str, float]:
        """Return the figures for a card."""
        figures = {"moved": self.moved, "agreement": self.agreement}
        return figures if self.accuracy is None else {**figures, "accuracy": self.accuracy}

    def problems(self, form: Form, max_drop_points: float) -> Iterator[str]:
        """Yield what speaks against the file."""
        if not self.moved <= form.tolerance:
            yield (
                f"the probabilities of '{self.head}' move by up to {self.moved:.2g} on 99 of 100 "
                f"crops, expected at most {form.tolerance:g}"
            )
        if self.lost_points > max_drop_points:
            yield (
                f"'{self.head}' loses {self.lost_points:.2f} points on {self.rows} held-out rows "
                f"({self.accuracy:.2%} instead of {self.reference:.2%}), expected at most "
                f"{max_drop_points:g}"
            )


def held_out_probe(card: ModelCard, dataset: Dataset) -> Probe:
    """Draw the rows again that the network's training held out.

    Every fourth of them, taken emotion by emotion, calibrates; the others judge.

    Raises:
        DataError: there are no Training rows, or too few to hold any out.
    """
    training = card.recipe.get("training", {})
    part = training.get("validation_split") or _HELD_OUT
    _, held_out = hold_out(dataset, part, training.get("seed", 0))
    order = held_out[np.argsort(dataset.emotion[held_out], kind="stable")]
    calibrates = np.arange(len(order)) % _CALIBRATION_EVERY == 0
    judges = dataset.take(np.sort(order[~calibrates]))
    heads = heads_with_truth(card, dataset)
    return Probe(
        "held-out",
        judges.crops,
        dataset.crops[order[calibrates]],
        {head: truth_of(head, judges) for head in heads},
    )


def generated_probe() -> Probe:
    """Return crops of soft light and shade, for want of faces; they have no truth."""
    generator = np.random.default_rng(0)
    crops = [
        cv2.resize(generator.normal(128, 60, (7, 7)), CROP_HW, interpolation=cv2.INTER_CUBIC)
        for _ in range(_GENERATED)
    ]
    pixels = np.clip(np.rint(crops), 0, 255).astype(np.uint8)[..., None]
    return Probe("generated", pixels, pixels[:0])


def answers(session: Session, probe: Probe) -> dict[str, Probabilities]:
    """Return the probabilities of every head for the crops, calibrated by the card."""
    return {
        head: softmax(logits, session.card.head(head).calibration.temperature)
        for head, logits in classify(session, probe.crops).items()
    }


def compare(head: str, expected: Probabilities, given: Probabilities, probe: Probe) -> Check:
    """Compare a file's answers with the network's."""
    moved = np.abs(given - expected).max(axis=1)
    guesses, references = given.argmax(axis=1), expected.argmax(axis=1)
    check = Check(head, float(np.quantile(moved, 0.99)), float((guesses == references).mean()))
    if head not in probe.truths:
        return check
    truth, usable = probe.truths[head]
    own, theirs = (float((each == truth)[usable].mean()) for each in (guesses, references))
    return Check(head, check.moved, check.agreement, own, theirs, int(usable.sum()))
