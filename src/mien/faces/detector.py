"""What every detector is."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from mien.errors import InputError
from mien.types import Face, Image

__all__ = ["Detector", "SmallestFace", "needs_px_of", "require_rgb", "smallest_face_of"]


class Detector(Protocol):
    """Finds faces; any thread may call it.

    A detector may have an attribute ``needs_px``: the shorter side, in pixels, at which it sees
    everything it looks for, so that a large photo need not be decoded in full. Without it, or
    where it is ``None``, a detector gets every image at full resolution. It may also have
    ``smallest_face``, a :class:`SmallestFace`, which pages name where they find no face.
    """

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3), most confident first.

        No face is an empty tuple, never an error. Coordinates are those of ``image``.
        """
        ...


def needs_px_of(detector: Detector) -> int | None:
    """Return the detector's ``needs_px``; ``None`` if it has none."""
    needed: int | None = getattr(detector, "needs_px", None)
    return needed


def require_rgb(image: Image) -> None:
    """Raise InputError unless the image is RGB uint8 (H, W, 3) with at least one pixel."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(
            "an image must be RGB, uint8 (H, W, 3), with at least one pixel; "
            f"received {image.dtype} of shape {image.shape}"
        )


class SmallestFace(NamedTuple):
    """The smallest face that is looked for: the larger of a size and of a fraction.

    Attributes:
        px: its longer side, in pixels of the image.
        fraction: the same as a fraction of the image's shorter side.
    """

    px: int
    fraction: float


def smallest_face_of(detector: Detector) -> SmallestFace | None:
    """Return the detector's ``smallest_face``; ``None`` if it has none."""
    smallest: SmallestFace | None = getattr(detector, "smallest_face", None)
    return smallest
