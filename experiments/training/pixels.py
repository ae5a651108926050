"""What a student sees: its view of a crop, relit, degraded or erased; and crops without a face."""

from __future__ import annotations

import numpy as np
from experiments.training.recipe import Degrading
from experiments.training.views import beside, compose, warp
from numpy.typing import NDArray

from mien.evaluation.degradations import DEGRADATIONS, UNREADABLE, degrade_at, unreadable
from mien.train.augment import erase, relight

__all__ = ["seen", "without_a_face"]

_KINDS = tuple(DEGRADATIONS)
_NOTHING = tuple(UNREADABLE)
_BRIGHTNESS, _CONTRAST = 0.08, 0.25
_ERASED_AREA = 0.2

_Crops = NDArray[np.uint8]


def seen(
    crops: _Crops, maps: NDArray[np.float64], how: Degrading, generator: np.random.Generator
) -> _Crops:
    """Return crops (N, H, W) as the student sees them, through its views' ``maps``."""
    framed = warp(crops, compose(maps, beside(generator, len(maps))))[..., None]
    framed = relight(framed, _BRIGHTNESS, _CONTRAST, generator)
    chosen = generator.random(len(framed)) < how.fraction
    whole = np.flatnonzero(~chosen)
    framed[whole] = erase(framed[whole], how.erasing, _ERASED_AREA, generator)
    for row in np.flatnonzero(chosen):
        strength = generator.uniform(0.5, 5.5)
        ways = 2 if generator.random() < how.twice else 1
        for kind in generator.choice(len(_KINDS), ways, replace=False):
            framed[row, ..., 0] = degrade_at(
                framed[row, ..., 0], _KINDS[kind], strength / ways, generator
            )
    return framed[..., 0]


def without_a_face(count: int, faces: _Crops, generator: np.random.Generator) -> _Crops:
    """Return crops (count, H, W) that show no expression; some are destroyed ``faces``."""
    kinds = generator.integers(0, len(_NOTHING), count)
    made = [unreadable(_NOTHING[k], faces.shape[1], faces[..., None], generator) for k in kinds]
    return np.stack(made) if made else faces[:0]
