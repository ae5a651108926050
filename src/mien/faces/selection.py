"""Which of the faces of an image are read: functions from faces to faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from mien.boxes import largest
from mien.types import Face

__all__ = ["Select", "everyone", "largest"]

#: Chooses faces, in the order in which they are to be read.
Select: TypeAlias = Callable[[Sequence[Face]], Sequence[Face]]


def everyone(faces: Sequence[Face]) -> tuple[Face, ...]:
    """Return all faces, in the detector's order."""
    return tuple(faces)
