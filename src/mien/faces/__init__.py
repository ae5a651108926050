"""Faces: where they are in an image, and how they are cut out of it.

A detector finds them (:class:`CenterFace`, or anything of the form of :class:`Detector`);
a selection chooses among them; :func:`crop_faces` frames them as the network was trained to see
faces.
"""

from __future__ import annotations

from mien.faces.centerface import CenterFace
from mien.faces.detector import Detector, SmallestFace, needs_px_of, smallest_face_of
from mien.faces.framing import FaceCrops, Framer, crop_corners, crop_faces, thumbnail
from mien.faces.looks import default_detector
from mien.faces.registry import DEFAULT_DETECTOR, DETECTORS, open_detector
from mien.faces.selection import Select, everyone, largest
from mien.faces.template import FaceTemplate
from mien.faces.visibility import REASONS, UNCLEAR, stretch_contrast, visibility_of, why_uncertain
from mien.faces.yunet import YuNet

__all__ = [
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "REASONS",
    "UNCLEAR",
    "CenterFace",
    "Detector",
    "FaceCrops",
    "FaceTemplate",
    "Framer",
    "Select",
    "SmallestFace",
    "YuNet",
    "crop_corners",
    "crop_faces",
    "default_detector",
    "everyone",
    "largest",
    "needs_px_of",
    "open_detector",
    "smallest_face_of",
    "stretch_contrast",
    "thumbnail",
    "visibility_of",
    "why_uncertain",
]
