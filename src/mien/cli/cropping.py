"""Faces for the commands that judge and adapt: the detector, and the middle of a video."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from mien.boxes import iou, largest
from mien.card import Framing
from mien.faces import Detector, Framer, crop_faces, stretch_contrast
from mien.types import Box, Crops, Face, Image

__all__ = ["FaceCropper", "middle_frame"]

# How far the detector's face has to cover the box of a data set to be the one that is meant:
# detectors draw boxes of different sizes, but two faces hardly share so much.
_LEAST_OVERLAP = 0.25


class FaceCropper:
    """Finds faces and cuts them out by a model's framing."""

    def __init__(self, detector: Detector, framing: Framing) -> None:
        self._detector, self._framer = detector, Framer.of(detector, framing)

    def __call__(self, image: Image, box: Box | None = None) -> Crops:
        """Return the face that lies in ``box``, or the largest; see ``CropFace``."""
        faces = self._detector(image)
        if box is None:
            chosen = largest(faces)
        else:
            overlaps = [iou(face.box, box) for face in faces]
            best = max(range(len(faces)), key=overlaps.__getitem__, default=None)
            near = best is not None and overlaps[best] >= _LEAST_OVERLAP
            chosen = (faces[best],) if best is not None and near else ()
        return stretch_contrast(crop_faces(image, chosen, self._framer))

    def every(self, image: Image) -> Crops:
        """Return all faces of a picture, surest first; there may be none."""
        faces: tuple[Face, ...] = self._detector(image)
        return stretch_contrast(crop_faces(image, faces, self._framer))


def middle_frame(path: Path) -> Image:
    """Return the frame in the middle of a video's frames; the later one of two.

    Raises:
        VideoError: the video cannot be read to the end.
        MissingExtra: the extra ``video`` is not installed.
    """
    from mien.video import open_source

    source = open_source(str(path))
    try:
        latter_half: deque[Image] = deque()
        for frame in source.frames():
            latter_half.append(frame.image)
            if frame.index % 2:
                latter_half.popleft()
        return np.ascontiguousarray(latter_half[0])
    finally:
        source.close()
