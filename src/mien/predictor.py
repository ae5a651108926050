"""From pictures to readings: detect, crop, classify, weigh.

from mien import Predictor
for reading in Predictor().read("photo.jpg"):
    print(reading.face.box, reading.top, reading.confidence)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.confidence import Probabilities, prediction_set, softmax
from mien.errors import ModelError
from mien.faces import CenterFace, Detector, crop_faces
from mien.images import Reduced, Source, decode_reduced, from_any, read_reduced
from mien.runtime import Session, open_session
from mien.types import CROP_HW, Box, Crops, Face, Image, Point, Reading

__all__ = ["Predictor", "enlarged", "readings_from"]

# Faces that go through the network together: more are no faster and take more memory.
_BATCH = 128

# The smallest face that CenterFace looks for, if not told otherwise, is a 20th of the shorter
# side, and its crop wants one pixel for each of its own: more of a photo need not be unpacked.
_ENOUGH_PX = 20 * CROP_HW[0]


class Predictor:
    """Reads the expression of every face of every image.

    Stateless after construction and safe to share between threads, as long as its
    detector and session are; mien's own ones are.

    Args:
        detector: finds faces; CenterFace if ``None``.
        session: classifies crops; mien's own model if ``None``.
    """

    def __init__(self, detector: Detector | None = None, session: Session | None = None) -> None:
        self.detector = CenterFace() if detector is None else detector
        self.session = open_session() if session is None else session

    def read(self, source: Source) -> tuple[Reading, ...]:
        """Read one image: a path, the bytes of a file, an RGB array or a Pillow image.

        Returns:
            One reading per face, surest face first; empty if there is no face.

        Raises:
            ImageError: the source cannot be read as an image.
        """
        return self.read_many([source])[0]

    def read_many(self, sources: Sequence[Source]) -> list[tuple[Reading, ...]]:
        """Read several images; all their faces go through the network in one batch.

        Raises:
            ImageError: a source cannot be read as an image; none is then.
        """
        loaded = [self.load(source) for source in sources]
        images = [each.image for each in loaded]
        readings = self.read_faces(images, [self.detector(image) for image in images])
        return [enlarged(*each) for each in zip(readings, loaded, strict=True)]

    def load(self, source: Source) -> Reduced:
        """Take an image in as much detail as is used; see :func:`enlarged`.

        That is less than in full for the files and bytes of large JPEGs, if the detector is
        CenterFace and no smallest face was given to it.

        Raises:
            ImageError: the source cannot be read as an image.
        """
        if isinstance(self.detector, CenterFace) and self.detector.min_face_px is None:
            if isinstance(source, (str, os.PathLike)):
                return read_reduced(Path(source), _ENOUGH_PX)
            if isinstance(source, (bytes, bytearray, memoryview)):
                return decode_reduced(bytes(source), _ENOUGH_PX)
        image = from_any(source)
        return Reduced(image, (image.shape[0], image.shape[1]))

    def read_faces(
        self, images: Sequence[Image], faces: Sequence[tuple[Face, ...]]
    ) -> list[tuple[Reading, ...]]:
        """Read faces that are already known, per image; for trackers and other detectors."""
        crops = [self.crop(image, found) for image, found in zip(images, faces, strict=True)]
        flat = [face for found in faces for face in found]
        readings = iter(self.read_crops(np.concatenate(crops), flat) if crops else ())
        return [tuple(next(readings) for _ in found) for found in faces]

    def read_crops(self, crops: Crops, faces: Sequence[Face]) -> tuple[Reading, ...]:
        """Read crops, one for each face."""
        logits = [
            self.session(crops[start : start + _BATCH])
            for start in range(0, max(len(crops), 1), _BATCH)
        ]
        temperature = self.session.card.confidence.temperature
        return readings_from(softmax(np.concatenate(logits), temperature), faces, self.session)

    def crop(self, image: Image, faces: tuple[Face, ...]) -> Crops:
        """Cut faces out as the network was trained to see them."""
        return crop_faces(image, faces, self.session.card.geometry)


def enlarged(readings: tuple[Reading, ...], loaded: Reduced) -> tuple[Reading, ...]:
    """Return the readings of a reduced image with their faces in the pixels of the full one."""
    if loaded.image.shape[:2] == loaded.full_hw:
        return readings
    scale_y, scale_x = (
        full / reduced for full, reduced in zip(loaded.full_hw, loaded.image.shape[:2], strict=True)
    )

    def enlarge(face: Face) -> Face:
        x, y, w, h = face.box
        start_x, start_y = round(x * scale_x), round(y * scale_y)
        end_x, end_y = round((x + w) * scale_x), round((y + h) * scale_y)
        points = tuple(Point(each.x * scale_x, each.y * scale_y) for each in face.landmarks)
        return Face(Box(start_x, start_y, end_x - start_x, end_y - start_y), face.score, points)

    return tuple(replace(reading, face=enlarge(reading.face)) for reading in readings)


def readings_from(
    probabilities: Probabilities, faces: Sequence[Face], session: Session
) -> tuple[Reading, ...]:
    """Wrap probabilities (N, C) of N faces in readings, by the rules of the model's card.

    Raises:
        ModelError: the network gave something else than finite numbers.
    """
    if not np.isfinite(probabilities).all():
        raise ModelError(
            f"the model {session.card.name} gave logits that are not finite: its weights are "
            "damaged, or overflow in its precision"
        )
    labels, confidence = session.card.labels, session.card.confidence
    readings = []
    for face, row in zip(faces, probabilities.tolist(), strict=True):
        values = tuple(row)
        readings.append(
            Reading(
                face,
                values,
                labels,
                set=prediction_set(values, labels, confidence.set_threshold),
                uncertain=max(values) < confidence.abstain_below,
            )
        )
    return tuple(readings)
