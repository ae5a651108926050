"""What teachers, voters and labels say of every row under every view: the student's targets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from experiments.training.data import Rows
from experiments.training.recipe import Recipe
from experiments.training.views import matrices
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from mien.errors import ConfigError

__all__ = ["HEADS", "Targets", "Teaching", "fit_powers"]

HEADS = {"emotion": 7, "ferplus": 8, "second_opinion": 7}
_LEAST = 1e-6  # no opinion may forbid a label

Targets = dict[str, NDArray[np.float32]]


class Teaching:
    """The targets under the views that all teachers have answered so far.

    Teachers and voters are a logarithmic opinion pool, with powers fitted on the held-out rows.
    The second opinion is the mean of what it says of a row's views, one for all of them.

    Args:
        folder: the views of ``views.py``.

    Raises:
        ConfigError: a teacher has not been asked about the held-out rows.
    """

    def __init__(self, folder: Path, recipe: Recipe, fit: Rows, held_out: Rows) -> None:
        self.folder, self.recipe, self.fit = folder, recipe, fit
        self.views: list[int] = []
        self.heads: tuple[str, ...] = ("emotion", "ferplus")
        self._answers: list[Targets] = []
        self._opinion = np.empty((0, 7), np.float32)
        self._opinions = 0
        self._prior = np.bincount(fit.emotion, minlength=7).astype(np.float32) / len(fit.emotion)
        voted = fit.ferplus[fit.ferplus_counts > 0]
        self._ferplus_prior = voted.mean(axis=0)
        self._maps = cache(lambda view: matrices(view, len(fit.crops)))
        says = [self._logs("held_out", name)["emotion"] for name in recipe.teachers]
        if says:
            print(f"teachers alone: {_worth(says, held_out.emotion)}")
        if recipe.voters:
            says.append(_log(held_out.voters))
            print(f"teachers and voters: {_worth(says, held_out.emotion)}", flush=True)
        self.powers = fit_powers(says, held_out.emotion)

    def look_for_views(self) -> None:
        """Take up the views that every teacher has answered since the last time."""
        names = self.recipe.teachers
        if self.recipe.opinion:
            self._read_opinion()
        found = {int(path.name[:4]) for path in self.folder.glob("[0-9]*.npz")}
        for view in sorted(found) if names else range(self.recipe.plain_views):
            there = all(self._path(f"{view:04}", name).is_file() for name in names)
            if there and view not in self.views:
                self.views.append(view)
                self._answers.append(self._targets(f"{view:04}"))

    def of(
        self, rows: NDArray[np.int64], generator: np.random.Generator
    ) -> tuple[NDArray[np.float64], Targets]:
        """Return the map and the targets of each row under a view chosen at random."""
        chosen = generator.integers(0, len(self.views), len(rows))
        maps = np.empty((len(rows), 2, 3))
        targets = {head: np.empty((len(rows), HEADS[head]), np.float32) for head in self.heads}
        for number, view in enumerate(self.views):
            of_view = chosen == number
            maps[of_view] = self._maps(view)[rows[of_view]]
            for head, answers in self._answers[number].items():
                targets[head][of_view] = answers[rows[of_view]]
        if "second_opinion" in targets:
            targets["second_opinion"][:] = self._opinion[rows]
        return maps, targets

    def of_no_face(self, count: int) -> Targets:
        """Return the targets of crops without an expression: what is known beforehand."""
        priors = {"emotion": self._prior, "ferplus": self._ferplus_prior}
        if "second_opinion" in self.heads:
            priors["second_opinion"] = self._opinion.mean(axis=0)
        return {head: np.repeat(prior[None], count, axis=0) for head, prior in priors.items()}

    def _targets(self, view: str) -> Targets:
        weight, fit = self.recipe.teacher_weight, self.fit
        logs = [self._logs(view, name) for name in self.recipe.teachers]
        says = [each["emotion"] for each in logs]
        says += [_log(fit.voters)] if self.recipe.voters else []
        pooled = softmax(np.tensordot(self.powers, np.stack(says), axes=1), axis=1)
        emotion = weight * pooled + (1 - weight) * np.eye(7)[fit.emotion]
        emotion[fit.unreadable] = self._prior
        ferplus = [np.exp(each["ferplus"]) for each in logs if "ferplus" in each]
        said = np.mean(ferplus, axis=0) if ferplus else fit.ferplus
        has_votes = fit.ferplus_counts[:, None] > 0
        mixed = weight * said + (1 - weight) * fit.ferplus
        prior = said if ferplus else self._ferplus_prior
        targets = {"emotion": emotion, "ferplus": np.where(has_votes, mixed, prior)}
        return {head: each.astype(np.float16) for head, each in targets.items()}

    def _read_opinion(self) -> None:
        name = self.recipe.opinion
        paths = sorted(self.folder.glob(f"[0-9]*.{name}.npz"))
        if len(paths) > self._opinions:
            says = [np.exp(self._logs(p.name[:4], name)["second_opinion"]) for p in paths]
            self._opinion, self._opinions = np.mean(says, axis=0, dtype=np.float32), len(says)
            self.heads = tuple(HEADS)

    def _logs(self, view: str, name: str) -> Targets:
        path = self._path(view, name)
        if not path.is_file():
            raise ConfigError(f"{path} is not there: ask the teacher first, with views.py")
        with np.load(path) as arrays:
            return {h: log_softmax(arrays[h].astype(np.float32), axis=1) for h in arrays.files}

    def _path(self, view: str, name: str) -> Path:
        return self.folder / f"{view}.{name}.npz"


def fit_powers(
    says: Sequence[NDArray[np.float32]], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the powers of a logarithmic opinion pool with the least loss on ``truth``.

    Source:
        Genest and Zidek, "Combining Probability Distributions", Statistical Science, 1986.
    """
    logs = np.stack(says)

    def loss(powers: NDArray[np.float64]) -> float:
        product = log_softmax(np.tensordot(powers, logs, axes=1), axis=1)
        return float(-product[np.arange(len(truth)), truth].mean())

    start = np.full(len(says), 1 / len(says))
    return np.asarray(minimize(loss, start, bounds=[(0, 2)] * len(says)).x)


def _worth(says: Sequence[NDArray[np.float32]], truth: NDArray[np.int64]) -> str:
    powers = fit_powers(says, truth)
    pooled = log_softmax(np.tensordot(powers, np.stack(says), axes=1), axis=1)
    right = (pooled.argmax(axis=1) == truth).mean()
    loss = -pooled[np.arange(len(truth)), truth].mean()
    return f"held out {right:.1%}, loss {loss:.4f}, powers {powers.round(2)}"


def _log(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.log(np.maximum(probabilities, _LEAST)))
