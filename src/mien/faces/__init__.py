"""Faces: where they are in an image, and how they are cut out of it.

A detector finds them (:class:`CenterFace`, or anything of the form of :class:`Detector`);
a selection chooses among them; :func:`crop_faces` frames them as the network was trained to see
faces.
"""

from __future__ import annotations

from mien.faces.centerface import CenterFace
from mien.faces.detector import Detector, SmallestFace, needs_px_of, smallest_face_of
from mien.faces.framing import FaceCrops, crop_corners, crop_faces, thumbnail
from mien.faces.registry import DEFAULT_DETECTOR, DETECTORS, open_detector
from mien.faces.selection import Select, everyone, largest

__all__ = [
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "CenterFace",
    "Detector",
    "FaceCrops",
    "Select",
    "SmallestFace",
    "crop_corners",
    "crop_faces",
    "everyone",
    "largest",
    "needs_px_of",
    "open_detector",
    "smallest_face_of",
    "thumbnail",
]
