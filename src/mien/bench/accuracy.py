"""How often models are right on labelled crops, and what a smaller form loses by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.bench.models import Model
from mien.errors import ModelError
from mien.types import EMOTIONS, Crops

__all__ = ["Accuracy", "Labelled", "judge", "reference_of"]


@dataclass(frozen=True)
class Labelled:
    """Crops whose emotion is known.

    Attributes:
        crops: uint8 (N, H, W, 1).
        truth: int64 (N,), columns in :data:`mien.types.EMOTIONS`.
        split: str (N,), the name of the set that each belongs to.
    """

    crops: Crops
    truth: NDArray[np.int64]
    split: NDArray[np.str_]


@dataclass(frozen=True)
class Accuracy:
    """How often a model is right; fractions.

    Attributes:
        splits: accuracy by split.
        all: on all rows.
        rows: how many these are.
        reference: the name of the model that it is held to.
        loss: the reference's accuracy on all rows less this one's; below 0 if this is better.
        agreement: on how many of all rows both name the same emotion.
    """

    splits: dict[str, float]
    all: float
    rows: int
    reference: str
    loss: float
    agreement: float


def judge(
    models: Sequence[Model],
    data: Labelled,
    *,
    reference: str | None = None,
    on_crops: Callable[[int, int], None] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Accuracy]:
    """Judge every model that reads :data:`mien.types.EMOTIONS` on all rows.

    Args:
        reference: the name of the model to hold all others to; if ``None``, each is held to
            :func:`reference_of` its own family.
        on_crops: called with (done, total).
        stopped: asked after each batch; when it says yes, the models that were read to the
            end are returned.

    Returns:
        By name of the model.

    Raises:
        ModelError: a model gave something else than finite numbers.
    """
    from mien.evaluation.evaluate import classify  # scikit-learn, which only accuracy needs

    chosen = [model for model in models if model.card.labels == EMOTIONS]
    read: dict[str, NDArray[np.int64]] = {}
    total, done = len(chosen) * len(data.crops), 0

    def count(crops: int) -> None:
        nonlocal done
        done += crops
        on_crops(done, total)
        if stopped():
            raise _Stopped

    with suppress(_Stopped):
        for model in chosen:
            try:
                logits = classify(model.session, data.crops, on_batch=count)
            except ModelError as error:
                raise ModelError(f"{model.path}: {error}") from None
            read[model.name] = logits[model.card.default_head].argmax(axis=1)
    return _accuracies(chosen, read, data, reference)


class _Stopped(Exception):
    """No further batch is wanted."""


def reference_of(model: Model, models: Sequence[Model]) -> Model:
    """Return the model that one is held to: of those whose cards bear the same name, the
    first that is in float32, a ``.keras`` file before all others; else itself.
    """
    family = [
        each
        for each in models
        if each.card.name == model.card.name and each.precision in ("float32", "")
    ]
    return min(family, key=lambda each: each.path.suffix != ".keras", default=model)


def _accuracies(
    models: Sequence[Model],
    read: dict[str, NDArray[np.int64]],
    data: Labelled,
    reference: str | None,
) -> dict[str, Accuracy]:
    from mien.evaluation.metrics import accuracy

    found = {}
    for model in models:
        name = reference or reference_of(model, models).name
        if model.name not in read:
            continue
        own = read[model.name]
        theirs = read.get(name, own)
        right = accuracy(own, data.truth)
        splits = dict.fromkeys(data.split.tolist())
        found[model.name] = Accuracy(
            {
                split: accuracy(own[data.split == split], data.truth[data.split == split])
                for split in splits
            },
            right,
            len(own),
            name if name in read else model.name,
            accuracy(theirs, data.truth) - right,
            accuracy(own, theirs),
        )
    return found
