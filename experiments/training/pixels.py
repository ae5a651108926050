"""What a student sees: its view of a crop, relit, degraded or erased; and crops without a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from views import beside, compose, warp

from mien.train.augment import erase, relight
from mien.train.degradations import DEGRADATIONS, UNREADABLE, degrade, degrade_at, unreadable

__all__ = ["Degrading", "held_out_sets", "seen", "without_a_face"]

_KINDS = tuple(DEGRADATIONS)
_NOTHING = tuple(UNREADABLE)


@dataclass(frozen=True)
class Degrading:
    """How much of a batch is degraded.

    Attributes:
        fraction: of the rows that are degraded, by a strength from 0.5 to 5.
        twice: of those, the fraction degraded in two ways, each at half the strength.
        erasing: probability that a box is painted over with noise, on the other rows.
        unreadable: rows without a face that are added to a batch, as a fraction of it.
    """

    fraction: float = 0.35
    twice: float = 0.25
    erasing: float = 0.15
    unreadable: float = 0.04


def seen(
    crops: NDArray[np.uint8],
    maps: NDArray[np.float64],
    how: Degrading,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return crops (N, H, W) as the student sees them, through its views' ``maps``."""
    framed = warp(crops, compose(maps, beside(generator, len(maps))))[..., None]
    framed = relight(framed, 0.08, 0.25, generator)
    chosen = generator.random(len(framed)) < how.fraction
    whole = np.flatnonzero(~chosen)
    framed[whole] = erase(framed[whole], how.erasing, 0.2, generator)
    for row in np.flatnonzero(chosen):
        strength = generator.uniform(0.5, 5.0)
        ways = 2 if generator.random() < how.twice else 1
        for kind in generator.choice(len(_KINDS), ways, replace=False):
            framed[row, ..., 0] = degrade_at(
                framed[row, ..., 0], _KINDS[kind], strength / ways, generator
            )
    return framed[..., 0]


def without_a_face(
    count: int, faces: NDArray[np.uint8], generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Return crops (count, H, W) that show no expression."""
    side = faces.shape[1]
    kinds = generator.integers(0, len(_NOTHING), count)
    made = [unreadable(_NOTHING[kind], side, faces[..., None], generator) for kind in kinds]
    return np.stack(made) if made else faces[:0]


def held_out_sets(crops: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Return what a run is watched by: plain, strengths 3 and 5 of every kind, no faces."""
    sets = {"plain": crops}
    for strength in (3, 5):
        generator = np.random.default_rng([13, strength])
        degraded = crops.copy()
        for number, kind in enumerate(_KINDS):
            rows = slice(number, None, len(_KINDS))
            degraded[rows] = degrade(crops[rows, ..., None], kind, strength, generator)[..., 0]
        sets[f"strength_{strength}"] = degraded[::2]
    sets["no_face"] = without_a_face(180, crops, np.random.default_rng(17))
    return sets
