"""The faces that evaluation and adaptation look at: detected, and cut out as a model expects."""

from __future__ import annotations

from mien.boxes import iou, largest
from mien.card import Framing
from mien.faces import Detector, Framer, crop_faces, stretch_contrast
from mien.types import Box, Crops, Face, Image

__all__ = ["FaceCropper"]

# How far the detector's face has to cover the box of a data set to be the one that is meant:
# detectors draw boxes of different sizes, but two faces hardly share so much.
_LEAST_OVERLAP = 0.25


class FaceCropper:
    """Finds faces and cuts them out by a model's framing; a ``CropFace`` of :mod:`mien.data`."""

    def __init__(self, detector: Detector, framing: Framing) -> None:
        self._detector, self._framer = detector, Framer.of(detector, framing)

    def __call__(self, image: Image, box: Box | None = None) -> Crops:
        """Return the face that lies in ``box``, or the largest; see ``CropFace``."""
        faces = self._detector(image)
        if box is None:
            chosen = largest(faces)
        else:
            nearest = max(faces, key=lambda face: iou(face.box, box), default=None)
            meant = nearest is not None and iou(nearest.box, box) >= _LEAST_OVERLAP
            chosen = (nearest,) if nearest is not None and meant else ()
        return stretch_contrast(crop_faces(image, chosen, self._framer))

    def every(self, image: Image) -> Crops:
        """Return all faces of an image, by falling detection score; there may be none."""
        faces: tuple[Face, ...] = self._detector(image)
        return stretch_contrast(crop_faces(image, faces, self._framer))
