"""The seam to tracking: still readings in, readings with identities out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mien.types import Box, Reading

__all__ = ["Smoother"]

_TIME_CONSTANT_S = 0.35
_FORGET_S = 1.0
_LEAST_OVERLAP = 0.2


@dataclass(slots=True)
class _Track:
    box: Box
    probabilities: tuple[float, ...]
    seen_s: float


class Smoother:
    """Follows faces over the frames of one socket. Not shared."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Track] = {}
        self._count = 0

    def step(
        self, readings: tuple[Reading, ...], time_s: float, smooth: bool
    ) -> tuple[Reading, ...]:
        """Return the readings with identities and, if wanted, probabilities smoothed in time."""
        self._tracks = {
            number: track
            for number, track in self._tracks.items()
            if time_s - track.seen_s <= _FORGET_S
        }
        free = set(self._tracks)
        return tuple(self._follow(reading, time_s, smooth, free) for reading in readings)

    def _follow(self, reading: Reading, time_s: float, smooth: bool, free: set[int]) -> Reading:
        overlaps = {n: _overlap(self._tracks[n].box, reading.face.box) for n in free}
        best = max(overlaps, key=overlaps.__getitem__, default=None)
        if best is None or overlaps[best] < _LEAST_OVERLAP:
            self._count += 1
            best, values = self._count, reading.probabilities
        else:
            free.discard(best)
            old = self._tracks[best]
            weight = 1 - math.exp(-(time_s - old.seen_s) / _TIME_CONSTANT_S) if smooth else 1.0
            values = tuple(
                before + (now - before) * weight
                for before, now in zip(old.probabilities, reading.probabilities, strict=True)
            )
        self._tracks[best] = _Track(reading.face.box, values, time_s)
        return replace(reading, probabilities=values, identity=best)


def _overlap(a: Box, b: Box) -> float:
    """Return intersection over union, 0 to 1."""
    w = min(a.x + a.w, b.x + b.w) - max(a.x, b.x)
    h = min(a.y + a.h, b.y + b.h) - max(a.y, b.y)
    shared = max(0, w) * max(0, h)
    return shared / max(1, a.w * a.h + b.w * b.h - shared)
