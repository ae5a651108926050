"""From images to readings, in five stages: open, detect, crop, classify, interpret.

    from mien import Predictor, largest

    predictor = Predictor()
    for reading in predictor.predict("photo.jpg"):
        print(reading.face.box, reading.top, reading.confidence)

    predictor.predict("photo.jpg", select=largest)          # one face
    for result in predictor.predict_many(paths): ...        # streams; bad files are results too

``predict`` is the composition of the five stages, and whoever needs one of them alone calls it:
a video calls ``detect`` on every n-th frame, a service collects the crops of several requests
before ``classify``.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing

import numpy as np

from mien.calibration import Probabilities, prediction_set, softmax
from mien.card import Calibration, ModelCard
from mien.concurrency import in_order
from mien.errors import InputError, ModelError
from mien.faces import (
    Detector,
    FaceCrops,
    Framer,
    Select,
    crop_faces,
    everyone,
    needs_px_of,
    open_detector,
    stretch_contrast,
    visibility_of,
    why_uncertain,
)
from mien.images import ImageLimits, Picture, Source, open_picture
from mien.result import Result
from mien.runtime import Session, check_crops, open_session
from mien.types import Box, Crops, Face, Logits, Reading

__all__ = ["Predictor", "open_predictor"]

# Faces that go through the network together: more are no faster and take more memory.
_BATCH = 128

_DEFAULT_LIMITS = ImageLimits()


class Predictor:
    """Reads the expression of every face of every image.

    Stateless after construction and safe to share between threads, as long as its detector
    and session are; mien's own ones are.

    Args:
        detector: finds faces; the default one if ``None``.
        session: classifies crops; mien's own model if ``None``.
        head: the head of the network that readings come from; the card's default if ``None``.
        min_score: faces with a lower detection score are left out, 0 to 1.
        min_face_px: faces whose longer side is shorter are left out, in pixels of the image.

    Raises:
        ModelError: the network has no such head.
    """

    def __init__(
        self,
        detector: Detector | None = None,
        session: Session | None = None,
        *,
        head: str | None = None,
        min_score: float = 0.0,
        min_face_px: int = 0,
    ) -> None:
        self.min_score, self.min_face_px = min_score, min_face_px
        self.detector = open_detector() if detector is None else detector
        self.session = open_session() if session is None else session
        self.head = self.card.default_head if head is None else head
        self.card.head(self.head)  # refused here if there is none

    @property
    def card(self) -> ModelCard:
        """The card of the network."""
        return self.session.card

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the head that readings come from, in column order."""
        return self.card.head(self.head).labels

    @property
    def calibration(self) -> Calibration:
        """Temperature and thresholds of that head."""
        return self.card.head(self.head).calibration

    @property
    def framer(self) -> Framer:
        """How the detector's faces are framed for the network."""
        return Framer.of(self.detector, self.card.framing)

    def open(self, source: Source, limits: ImageLimits = _DEFAULT_LIMITS) -> Picture:
        """Open an image in as much detail as the detector needs.

        Args:
            source: a path, the bytes of a file, an RGB array or a Pillow image.
            limits: for paths and bytes.

        Raises:
            InputError: the source is not an image, or cannot be read as one.
        """
        return open_picture(source, needs_px=needs_px_of(self.detector), limits=limits)

    def detect(self, picture: Picture) -> tuple[Face, ...]:
        """Find faces, most confident first, in coordinates of the full image."""
        faces = self.detector(picture.pixels)
        scale_xy = picture.scale_xy
        if scale_xy != (1.0, 1.0):
            faces = tuple(face.scaled(scale_xy) for face in faces)
        return tuple(
            face
            for face in faces
            if face.score >= self.min_score and max(face.box.w, face.box.h) >= self.min_face_px
        )

    def crop(self, picture: Picture, faces: Sequence[Face]) -> FaceCrops:
        """Cut faces out as the network was trained to see them, and see how visible they are.

        Crops of low contrast are stretched; see :func:`mien.faces.stretch_contrast`.

        Args:
            faces: in coordinates of the full image, as :meth:`detect` gives them.
        """
        framer = self.framer
        raw = crop_faces(picture.pixels, faces, framer, picture.size_hw)
        seen = tuple(
            visibility_of(crop, face, framer.template, picture.size_hw)
            for crop, face in zip(raw, faces, strict=True)
        )
        return FaceCrops(stretch_contrast(raw), tuple(faces), seen)

    def classify(self, crops: FaceCrops | Crops) -> Mapping[str, Logits]:
        """Run the network on crops, in batches.

        Args:
            crops: of :meth:`crop`, or uint8 (N, h, w, 1) of the size in the network's card.

        Returns:
            By head, float32 (N, C), columns in the head's label order.
        """
        pixels = crops.pixels if isinstance(crops, FaceCrops) else crops
        starts = range(0, max(len(pixels), 1), _BATCH)
        parts = [self.session(pixels[start : start + _BATCH]) for start in starts]
        return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}

    def interpret(self, logits: Mapping[str, Logits], crops: FaceCrops) -> tuple[Reading, ...]:
        """Turn logits into readings: calibrated, with prediction sets and abstention.

        Args:
            logits: by head, (N, C), of ``crops``.

        Raises:
            ModelError: the logits are not finite.
        """
        labels, calibration = self.labels, self.calibration
        rows = self.probabilities(logits).tolist()
        readings = []
        for face, seen, row in zip(crops.faces, crops.visibility, rows, strict=True):
            reasons = why_uncertain(max(row), seen, calibration)
            readings.append(
                Reading(
                    face,
                    tuple(row),
                    labels,
                    set=prediction_set(tuple(row), labels, calibration.set_threshold),
                    uncertain=bool(reasons),
                    reasons=reasons,
                    visibility=seen,
                )
            )
        return tuple(readings)

    def probabilities(self, logits: Mapping[str, Logits]) -> Probabilities:
        """Return calibrated probabilities, float64 (N, C), of the head that is read.

        Raises:
            ModelError: the logits are not finite.
        """
        chosen = logits[self.head]
        if not np.isfinite(chosen).all():
            raise ModelError(
                f"the model {self.card.name} gave logits that are not finite: its weights are "
                "damaged, or overflow in its precision"
            )
        return softmax(chosen, self.calibration.temperature)

    def predict(
        self, source: Source, select: Select = everyone, *, limits: ImageLimits = _DEFAULT_LIMITS
    ) -> Result:
        """Read one image: a path, the bytes of a file, an RGB array or a Pillow image.

        Args:
            select: which faces are read, :func:`~mien.faces.everyone`,
                :func:`~mien.faces.largest` or any function from faces to faces.
            limits: for paths and bytes.

        Returns:
            One reading for each selected face, most confident detection first.

        Raises:
            InputError: the source is not an image, or cannot be read as one.
        """
        marks = [time.perf_counter()]

        def mark() -> None:
            marks.append(time.perf_counter())

        picture = self.open(source, limits)
        mark()
        faces = select(self.detect(picture))
        mark()
        crops = self.crop(picture, faces)
        mark()
        readings = self.interpret(self.classify(crops), crops)
        mark()
        return Result(
            name_of(source), picture.size_hw, readings, timings_ms=_timings(marks), source=source
        )

    def predict_many(
        self, sources: Iterable[Source], select: Select = everyone, *, workers: int = 1
    ) -> Generator[Result, None, None]:
        """Read images one after the other, or ``workers`` at a time; yield results in order.

        Every image is read by itself, so that no reading depends on the images around it. An
        image that cannot be read gives a result with its ``error``, and the stream goes on.

        Args:
            select: as for :meth:`predict`.
            workers: threads; at most three times as many images are held at once.
        """

        def read(source: Source) -> Result:
            try:
                return self.predict(source, select)
            except InputError as error:
                return Result(name_of(source), error=error, source=source)

        if workers == 1:
            yield from map(read, sources)
            return
        with closing(in_order(read, sources, workers)) as results:
            yield from results

    def predict_crops(self, crops: Crops) -> tuple[Reading, ...]:
        """Read crops that were cut out already; nothing is detected.

        Args:
            crops: uint8 (N, h, w, 1), grey, of the size in the network's card.

        Returns:
            One reading for each crop; its face is the whole crop, with a score of 1.

        Raises:
            InputError: crops of another shape or dtype.
        """
        check_crops(crops, self.card)
        height, width = self.card.framing.size_hw
        whole = Face(Box(0, 0, width, height), 1.0)
        seen = tuple(visibility_of(crop) for crop in crops)
        made = FaceCrops(stretch_contrast(crops), (whole,) * len(crops), seen)
        return self.interpret(self.classify(made), made)

    def read(self, source: Source) -> tuple[Reading, ...]:
        """Return the readings of :meth:`predict`: its name until version 0.2.

        Deprecated: call ``predict``; a result can be iterated like the tuple.
        """
        warnings.warn(
            "Predictor.read is now Predictor.predict, which returns a Result; "
            "read goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.predict(source).readings


def open_predictor(
    model: str | os.PathLike[str] | None = None,
    *,
    head: str | None = None,
    detector: Detector | str | None = None,
    device: str = "auto",
    threads: int = 0,
    min_score: float = 0.0,
    min_face_px: int = 0,
) -> Predictor:
    """Open a predictor: a network file, and a detector by name or as an object.

    Args:
        model: a ``.onnx``, ``.tflite`` or ``.keras`` file with its card; mien's own if ``None``.
        head: which of the network's heads readings come from; the card's default if ``None``.
        detector: one of :data:`mien.faces.DETECTORS`, an installed package's, or any detector;
            the default one if ``None``.
        device: what the network runs on, ``auto`` or one of :data:`mien.runtime.DEVICES`.
        threads: of each network; 0 leaves it to the runtime.
        min_score: see :class:`Predictor`.
        min_face_px: see :class:`Predictor`.

    Raises:
        ModelError: the file or its card is missing, damaged, or the two do not match.
        ConfigError: a name is unknown, or a value out of range.
        MissingExtra: the file needs a package that is not installed.
    """
    session = open_session(model, device=device, threads=threads)
    if detector is None or isinstance(detector, str):
        detector = open_detector(detector, threads=threads, device=device)
    return Predictor(detector, session, head=head, min_score=min_score, min_face_px=min_face_px)


def name_of(source: Source) -> str:
    """Return what a source is called in results: its path, or ``image``."""
    return os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else "image"


def _timings(marks: Sequence[float]) -> dict[str, float]:
    stages = ("decode", "detect", "crop", "classify")
    spans = zip(stages, marks[:-1], marks[1:], strict=True)
    timings = {stage: (end - start) * 1000 for stage, start, end in spans}
    return {**timings, "total": (marks[-1] - marks[0]) * 1000}
