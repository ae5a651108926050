"""Second looks at an image in which a detector finds no face: turned, or by another detector."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import numpy as np

from mien.faces.alignment import Aligner
from mien.faces.centerface import CenterFace
from mien.faces.detector import Detector
from mien.faces.yunet import YuNet
from mien.types import Box, Face, Image, Point

__all__ = ["Aligned", "Later", "SecondLook", "Turned", "default_detector"]

TURNED_THRESHOLD = 0.75  # of the detection score; see Turned
EVERY_EMPTY_FRAME = 10  # of a video's images without a face, one in so many gets second looks


def default_detector(
    *,
    min_face_px: int | None = None,
    threshold: float | None = None,
    threads: int = 0,
    same_size: bool = False,
    device: str = "cpu",
) -> SecondLook:
    """Return YuNet, followed by second looks where it finds nothing: turned, then CenterFace.

    The arguments are those of :class:`YuNet` and :class:`CenterFace`.

    Args:
        threshold: of both detectors; each one's own default if ``None``.
        same_size: as for a video, in which a second look falls on every tenth image only.
    """
    limits: dict[str, float] = {} if threshold is None else {"threshold": threshold}
    first = YuNet(
        min_face_px=min_face_px, threads=threads, same_size=same_size, device=device, **limits
    )

    def centerface() -> Detector:
        detector = CenterFace(
            min_face_px=min_face_px,
            threads=threads,
            same_size=same_size,
            device=device,
            **limits,
        )
        return Aligned(detector, first.aligner)

    return SecondLook(
        first, Turned(first), Later(centerface), every=EVERY_EMPTY_FRAME if same_size else 1
    )


class SecondLook:
    """A detector that asks others, one after the other, where the first finds no face.

    Threads may share one, if they may share the detectors.

    Args:
        first: looks at every image.
        others: their faces are reported as they are.
        every: of the images in which the first finds nothing, the others look at every n-th.
    """

    def __init__(self, first: YuNet, *others: Detector, every: int = 1) -> None:
        self.needs_px, self.template = first.needs_px, first.template
        self.smallest_face = first.smallest_face
        self._first, self._others = first, others
        self._every, self._empty = every, itertools.count()

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an RGB image uint8 (H, W, 3), most confident first."""
        found = self._first(image)
        if found or next(self._empty) % self._every:
            return found
        return next((faces for other in self._others if (faces := other(image))), ())


class Turned:
    """A detector that looks at an image turned by a quarter, a half and three quarters.

    Args:
        threshold: faces with a lower score are left out. Three more looks give more chances of a
            false alarm: in 200 pictures without faces YuNet gives 6 above 0.6, and 1 above 0.75,
            which still finds 83 % of the faces turned by 90 degrees.
    """

    def __init__(self, detector: Detector, threshold: float = TURNED_THRESHOLD) -> None:
        self._detector, self._threshold = detector, threshold

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of the turn that shows the most confident one; see :class:`Detector`."""
        looks = []
        for turns in (1, 2, 3):
            found = self._detector(np.ascontiguousarray(np.rot90(image, turns)))
            sure = [face for face in found if face.score > self._threshold]
            looks.append(tuple(_turned_back(face, turns, image) for face in sure))
        return max(looks, key=lambda faces: faces[0].score if faces else 0.0)


class Aligned:
    """A detector whose faces get the landmarks of an aligner, so that one template fits them."""

    def __init__(self, detector: Detector, aligner: Aligner) -> None:
        self._detector, self._aligner = detector, aligner

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an image; see :class:`Detector`."""
        return self._aligner(image, self._detector(image))


class Later:
    """A detector that is made when it is first called, once for all threads."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: Detector | None = None

    def __call__(self, image: Image) -> tuple[Face, ...]:
        """Return the faces of an image; see :class:`Detector`."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return self._made(image)


def _turned_back(face: Face, turns: int, image: Image) -> Face:
    """Return a face of the image that was turned anticlockwise, in the pixels of the image."""
    height, width = image.shape[:2]

    def back(x: float, y: float) -> tuple[float, float]:
        return {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[turns]

    x, y, w, h = face.box
    corners = [back(x, y), back(x + w, y + h)]
    left, top = (min(each) for each in zip(*corners, strict=True))
    right, bottom = (max(each) for each in zip(*corners, strict=True))
    box = Box(int(left), int(top), int(right - left), int(bottom - top))
    return Face(box, face.score, tuple(Point(*back(*point)) for point in face.landmarks))
