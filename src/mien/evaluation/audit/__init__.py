"""Which labels of a data set to doubt: what its voters and a network say against them.

A network that was trained on a row has learned its label too, so it disputes fewer of those:
what it says is judged apart for rows that it was trained on and rows that it never saw, and
for the former it is a lower bound.

Source:
    confident learning: Northcutt et al., "Confident Learning: Estimating Uncertainty in
    Dataset Labels", JAIR 2021, by their package cleanlab.
    intervals of shares: Wilson, "Probable Inference", JASA 1927.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from PIL.Image import Resampling, fromarray

from mien.calibration import Probabilities, softmax
from mien.card import ModelCard
from mien.data import FERPLUS_LABELS, Dataset, hold_out, majority
from mien.data.duplicates import exact_groups, near_groups
from mien.errors import DataError, ModelError
from mien.evaluation.evaluate import classify
from mien.faces import Detector
from mien.runtime import Session
from mien.types import EMOTIONS, Crops

__all__ = [
    "DISPUTES",
    "OPINIONS",
    "VERDICTS",
    "VOTE_NAMES",
    "Audit",
    "audit",
    "find_disputes",
    "trained_on",
    "verdicts",
    "without_face",
]

#: What the voters on a picture can come to: the emotions in column order, and four more.
VERDICTS = (*EMOTIONS, "contempt", "unknown", "no face", "no majority")
_CONTEMPT, _NO_FACE, _NO_MAJORITY = (
    VERDICTS.index(name) for name in ("contempt", "no face", "no majority")
)
#: The columns of ``Dataset.votes``, in the words of :data:`VERDICTS`.
VOTE_NAMES = (
    "neutral", "happy", "surprise", "sad", "angry", "disgust", "fear",
    "contempt", "unknown", "no face",
)  # fmt: skip
_VERDICT_OF_VOTE = np.array([VERDICTS.index(name) for name in VOTE_NAMES])
#: The votes' columns of the emotions and of contempt, in the order of the verdicts.
OPINIONS = np.array([VOTE_NAMES.index(name) for name in VERDICTS[: _CONTEMPT + 1]])

#: Who disputes a label, surest first: voters and network, for the same other emotion or not.
DISPUTES = ("both, alike", "both", "votes", "network")

_FLAT = 2.0  # grey levels: a picture that varies less shows nothing
_FACE_PX = 96  # a crop's side where a face is looked for,
_MARGIN_PX = 16  # and the grey around it, so that a box can leave the frame: 128 pixels in all


@dataclass(frozen=True)
class Audit:
    """What was found out about each of N rows.

    Attributes:
        trained_on: bool (N,), the network was trained on the row, or on the same pixels.
        probabilities: of the network, float64 (N, 7).
        flagged: bool (N,), confident learning holds the label for wrong.
        verdict: int64 (N,), index into :data:`VERDICTS`; ``None`` without votes.
        dispute: int64 (N,), index into :data:`DISPUTES`, or -1.
        doubt: float64 (N,), 0 to 1: one minus the geometric mean of what voters and network
            give the label. It orders rows; it is no probability.
        suggested: int64 (N,), index into :data:`VERDICTS`: the voters' emotion or, where they
            name none or the label's, the network's.
        exact: int64 (N,), number of the group of pictures with equal pixels.
        near: int64 (N,), number of the group of pictures that are the same to the eye.
        blank: bool (N,), nothing can be seen.
        not_found: bool (N,), the detector finds no face; ``None`` if it did not look.
    """

    dataset: Dataset
    model: str
    trained_on: NDArray[np.bool_]
    probabilities: Probabilities
    flagged: NDArray[np.bool_]
    verdict: NDArray[np.int64] | None
    dispute: NDArray[np.int64]
    doubt: NDArray[np.float64]
    suggested: NDArray[np.int64]
    exact: NDArray[np.int64]
    near: NDArray[np.int64]
    blank: NDArray[np.bool_]
    not_found: NDArray[np.bool_] | None

    @property
    def no_face(self) -> NDArray[np.bool_]:
        """Mark the rows that surely show no face: blank, or voted to be without one."""
        if self.verdict is None:
            return self.blank
        return np.asarray(self.blank | (self.verdict == _NO_FACE))

    @property
    def disputed(self) -> NDArray[np.int64]:
        """The disputed rows, surest first."""
        rows = np.flatnonzero(self.dispute >= 0)
        return rows[np.lexsort((-self.doubt[rows], self.dispute[rows]))]


def audit(
    dataset: Dataset,
    session: Session,
    *,
    detector: Detector | None = None,
    on_crops: Callable[[int, int], None] = lambda done, total: None,
) -> Audit:
    """Look through a data set.

    Args:
        session: a network that reads the seven emotions.
        detector: also looks for a face in every picture, if it is given.
        on_crops: called with (done, total) as pictures are looked at.

    Raises:
        DataError: there is no row.
        ModelError: the network reads something else, or gave what is not finite.
    """
    if len(dataset) == 0:
        raise DataError("expected at least one row to look at, got none")
    if session.card.labels != EMOTIONS:
        raise ModelError(
            f"an audit needs a model that reads {', '.join(EMOTIONS)}; {session.card.name} "
            f"reads {', '.join(session.card.labels)}"
        )
    total, done = len(dataset) * (2 if detector else 1), 0

    def count(crops: int) -> None:
        nonlocal done
        done += crops
        on_crops(done, total)

    logits = classify(session, dataset.crops, on_batch=count)[session.card.default_head]
    probabilities = softmax(logits, session.card.calibration.temperature)
    verdict = None if dataset.votes is None else verdicts(dataset.votes)
    blank = np.asarray(dataset.crops.std(axis=(1, 2, 3)) < _FLAT)
    exact = exact_groups(dataset.crops)
    seen = trained_on(session.card, dataset, exact)
    usable = ~blank if verdict is None else ~blank & (verdict != _NO_FACE)
    flagged = np.zeros(len(dataset), bool)
    for part in (seen & usable, ~seen & usable):  # what it learned by heart has another scale
        flagged[part] = _confident_learning(dataset.emotion[part], probabilities[part])
    dispute, suggested = find_disputes(dataset.emotion, probabilities, flagged, verdict)
    return Audit(
        dataset=dataset,
        model=f"{session.card.name} {session.card.version}",
        trained_on=seen,
        probabilities=probabilities,
        flagged=flagged,
        verdict=verdict,
        dispute=np.where(usable, dispute, -1),
        doubt=_doubt(dataset, probabilities),
        suggested=suggested,
        exact=exact,
        near=near_groups(dataset.crops),
        blank=blank,
        not_found=None if detector is None else without_face(dataset.crops, detector, count),
    )


def trained_on(card: ModelCard, dataset: Dataset, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the rows that the network was trained on, and those with the same pixels.

    The rows that were held out are drawn again by the recipe in the card, which is right for
    the CSV that the network was trained on. Where there is no recipe, the data is too small for
    it, or comes from folders, whose order is another one, all of Training counts as trained on.
    """
    rows = dataset.rows("Training")
    training = card.recipe.get("training", {})
    if dataset.names is None and len(rows) and {"validation_split", "seed"} <= set(training):
        with suppress(DataError):  # too few rows to hold any out: not those of the recipe
            rows, _ = hold_out(dataset, training["validation_split"], training["seed"])
    return np.asarray(np.isin(groups, groups[rows]))


def verdicts(votes: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return what the voters came to, int64 (N,), index into :data:`VERDICTS`.

    By FER+'s own rule: single votes are dropped, and more than half of the rest decides.

    Args:
        votes: (N, 10) counts over FER+'s eight categories, unknown and no face.
    """
    winner, usable = majority(votes)
    counts = np.where(votes > 1, votes, 0)
    set_aside = 2 * counts[:, len(FERPLUS_LABELS) :] > counts.sum(axis=1, keepdims=True)
    winner = np.where(set_aside.any(1), len(FERPLUS_LABELS) + set_aside.argmax(1), winner)
    known = usable | set_aside.any(axis=1)
    return np.asarray(np.where(known, _VERDICT_OF_VOTE[winner], _NO_MAJORITY), np.int64)


def find_disputes(
    emotion: NDArray[np.int64],
    probabilities: Probabilities,
    flagged: NDArray[np.bool_],
    verdict: NDArray[np.int64] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return who disputes each label and what is suggested instead.

    Voters dispute a label if their majority is for another emotion or for contempt; the
    network does if it was ``flagged``.

    Returns:
        int64 (N,): index into :data:`DISPUTES`, or -1; and index into :data:`VERDICTS`.
    """
    read = probabilities.argmax(axis=1)
    if verdict is None:
        return np.where(flagged, DISPUTES.index("network"), -1), read
    voted = (verdict <= _CONTEMPT) & (verdict != emotion)
    alike = voted & flagged & (verdict == read)
    cases = [alike, voted & flagged, voted, flagged]
    return np.select(cases, range(len(DISPUTES)), -1), np.where(voted, verdict, read)


def without_face(
    crops: Crops, detector: Detector, on_crop: Callable[[int], None] = lambda crops: None
) -> NDArray[np.bool_]:
    """Mark the crops in which the detector finds no face, enlarged and with a grey margin."""
    missing = np.zeros(len(crops), bool)
    side = _FACE_PX + 2 * _MARGIN_PX
    inside = slice(_MARGIN_PX, _MARGIN_PX + _FACE_PX)
    for row, crop in enumerate(crops):
        canvas = np.full((side, side, 3), 127, np.uint8)
        enlarged = fromarray(crop[..., 0]).resize((_FACE_PX, _FACE_PX), Resampling.BICUBIC)
        canvas[inside, inside] = np.asarray(enlarged)[..., None]
        missing[row] = not detector(canvas)
        on_crop(1)
    return missing


def _confident_learning(emotion: NDArray[np.int64], probabilities: Probabilities) -> Any:
    """Mark as many rows as the confident joint counts, those of the lowest margins.

    On Glance's 1,432 held-out rows, voters dispute 64 % of the rows so marked, and 58 % of
    those in the confident joint itself.
    """
    if len(np.unique(emotion)) < 2:  # there is nothing a label could be taken for
        return np.zeros(len(emotion), bool)
    return find_label_issues(emotion, probabilities, filter_by="low_normalized_margin", n_jobs=1)


def _doubt(dataset: Dataset, probabilities: Probabilities) -> NDArray[np.float64]:
    rows = np.arange(len(dataset))
    believed = probabilities[rows, dataset.emotion]
    if dataset.votes is not None:
        votes = dataset.votes[rows, OPINIONS[dataset.emotion]].astype(np.float64)
        # Jeffreys' half a vote for each category, so that no votes are not quite no chance
        share = (votes + 0.5) / (dataset.votes.sum(axis=1) + dataset.votes.shape[1] / 2)
        believed = np.sqrt(believed * share)
    return np.asarray(1 - believed)
