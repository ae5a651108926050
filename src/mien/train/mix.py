"""Mixing pairs of pictures and of their targets, against learning single rows by heart.

Source:
    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018;
    Yun et al., "CutMix", ICCV 2019.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "mix"]

_Floats = NDArray[np.float32]


class Batch(NamedTuple):
    """What one step learns from.

    Attributes:
        crops: float32 (N, H, W, 1), 0-255.
        targets: per head float32 (N, C), rows summing to 1.
        weights: per head float32 (N,), 0 where a row has no target.
    """

    crops: _Floats
    targets: dict[str, _Floats]
    weights: dict[str, _Floats]


def mix(batch: Batch, mixup: float, cutmix: float, generator: np.random.Generator) -> Batch:
    """Mix every picture with another of the batch.

    A picture's own part is max(p, 1 - p) for a p drawn from Beta(a, a), so that its own
    target keeps the larger say. Where both ways are on, each takes half of the pictures.

    Args:
        mixup: a for a weighted mean of both pictures; 0 turns it off.
        cutmix: a for a box of the other picture in place of one's own; 0 turns it off.

    Returns:
        A new batch; targets are mixed by what shows of each picture and by the rows' weights.
    """
    count, height, width = batch.crops.shape[:3]
    if count < 2 or mixup == cutmix == 0:
        return batch
    other = (np.arange(count) + generator.integers(1, count)) % count
    blended = generator.random(count) < (0.5 if mixup and cutmix else float(mixup > 0))
    part = np.where(blended, _own_part(mixup, count, generator), 1).astype(np.float32)
    crops = batch.crops * part[:, None, None, None]
    crops += batch.crops[other] * (1 - part)[:, None, None, None]
    area = 1 - _own_part(cutmix, count, generator)
    for row in np.flatnonzero(~blended):
        box_h, box_w = (round(side * np.sqrt(area[row])) for side in (height, width))
        top = int(generator.integers(0, height - box_h + 1))
        left = int(generator.integers(0, width - box_w + 1))
        box = slice(top, top + box_h), slice(left, left + box_w)
        crops[row][box] = batch.crops[other[row]][box]
        part[row] = 1 - box_h * box_w / (height * width)
    targets, weights = {}, {}
    for head, target in batch.targets.items():
        own, others = part * batch.weights[head], (1 - part) * batch.weights[head][other]
        weights[head] = own + others
        share = own / np.where(weights[head] > 0, weights[head], 1)
        targets[head] = share[:, None] * target + (1 - share)[:, None] * target[other]
    return Batch(crops, targets, weights)


def _own_part(alpha: float, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    if alpha == 0:
        return np.ones(count)
    part = generator.beta(alpha, alpha, count)
    return np.maximum(part, 1 - part)
