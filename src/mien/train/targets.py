"""What a run learns from: labels, FER+'s votes, and what teachers say, each row weighted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data import Dataset, vote_distribution
from mien.errors import ConfigError
from mien.train.distill import Targets, blend, mean_answers, teacher_answers
from mien.train.pool import with_votes
from mien.train.recipes import TrainingPart
from mien.types import EMOTIONS

__all__ = ["learned_from"]

_Rows = NDArray[np.int64]


def learned_from(
    dataset: Dataset,
    heads: Sequence[str],
    training: TrainingPart,
    teachers: Sequence[Path],
    rows: _Rows,
    held_out: _Rows,
) -> tuple[Targets, Targets]:
    """Return what each head is to say of every row, and how much each row counts.

    Args:
        teachers: model files; may be none.
        rows: those trained on, ``held_out`` the others of Training.

    Returns:
        Per head float32 (N, C), rows summing to 1 where they count, and float32 (N,); rows as
        in ``dataset``. Teachers that see what the student sees have no say in it yet.

    Raises:
        ConfigError: the recipe needs votes or rows held out and there are none, or a teacher
            has none of the heads.
        ModelError: a teacher cannot be opened.
    """
    targets = {"emotion": np.eye(len(EMOTIONS), dtype=np.float32)[dataset.emotion]}
    weights = {"emotion": _class_weights(dataset, training)}
    if "ferplus" in heads:
        targets["ferplus"], weights["ferplus"] = _votes(dataset, training)
    if "second_opinion" in heads:  # learned from another network, by experiments/training alone
        targets["second_opinion"] = np.full_like(targets["emotion"], 1 / len(EMOTIONS))
        weights["second_opinion"] = np.zeros(len(dataset), np.float32)
    if not teachers or training.teacher_sees == "augmented":
        return targets, weights
    answers = teacher_answers(teachers, dataset, heads)
    said = mean_answers(answers)
    if training.teacher_votes:
        opinions = [answer["emotion"] for answer in answers if "emotion" in answer]
        said["emotion"] = with_votes(opinions, dataset, rows, held_out)
    return blend(targets, said, training.teacher_weight), weights


def _class_weights(dataset: Dataset, training: TrainingPart) -> NDArray[np.float32]:
    if training.class_weight == "none":
        return np.ones(len(dataset), np.float32)
    counts = np.bincount(dataset.emotion[dataset.rows("Training")], minlength=len(EMOTIONS))
    share = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return share[dataset.emotion].astype(np.float32)


def _votes(
    dataset: Dataset, training: TrainingPart
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if dataset.votes is None and training.ferplus_weight > 0:
        raise ConfigError(
            "the recipe trains on FER+ votes (ferplus_weight above 0): "
            "give --votes fer2013new.csv, or set ferplus_weight to 0"
        )
    votes = np.zeros((len(dataset), 10), np.float32) if dataset.votes is None else dataset.votes
    distribution, usable = vote_distribution(votes)
    return distribution, usable.astype(np.float32) * training.ferplus_weight
