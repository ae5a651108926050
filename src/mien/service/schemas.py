"""The shapes of answers, for the documentation; ``mien.wire`` fills them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BatchAnswer",
    "ErrorAnswer",
    "ModelInfo",
    "PredictAnswer",
]


class _Shape(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class BoxShape(_Shape):
    """In pixels of the upright picture; may reach outside it."""

    x: int
    y: int
    w: int
    h: int


class FaceShape(_Shape):
    """One face and what it was read as."""

    box: BoxShape
    score: float = Field(description="of the detector, 0 to 1")
    landmarks: list[tuple[float, float]] = Field(
        description="right eye, left eye, nose tip, right and left mouth corner"
    )
    emotion: str = Field(description="the most probable label")
    confidence: float = Field(description="its probability")
    probabilities: dict[str, float] = Field(description="by label, sum 1")
    set: list[str] = Field(description="labels that hold the true one as the card promises")
    uncertain: bool = Field(description="the model would rather not name a single emotion")
    identity: int | None = Field(description="in video only")


class ModelShape(_Shape):
    """Which model read."""

    name: str
    version: str


class PictureAnswer(_Shape):
    """All faces of one picture, surest first."""

    width: int = Field(description="of the upright picture, in pixels")
    height: int
    faces: list[FaceShape]
    timings_ms: dict[str, float] = Field(description="decode, detect, classify, total")


class PredictAnswer(PictureAnswer):
    """What ``/predict`` answers."""

    request_id: str
    model: ModelShape


class ItemError(_Shape):
    """Why one picture of a batch could not be read."""

    code: str
    message: str


class FailedItem(_Shape):
    """A picture of a batch that could not be read, in its place."""

    error: ItemError


class BatchAnswer(_Shape):
    """What ``/predict_batch`` answers: one result a picture, in the order sent."""

    request_id: str
    model: ModelShape
    results: list[PictureAnswer | FailedItem]
    timings_ms: dict[str, float]


class ErrorBody(_Shape):
    """``code`` is stable, ``message`` is for people."""

    code: str
    message: str
    request_id: str


class ErrorAnswer(_Shape):
    """Every failure."""

    error: ErrorBody


class ModelInfo(_Shape):
    """The model card, and what to know before using it on people."""

    name: str
    version: str
    labels: list[str]
    heads: dict[str, list[str]]
    input: dict[str, Any]
    parameters: int
    multiply_adds: int
    confidence: dict[str, Any]
    geometry: dict[str, float]
    metrics: dict[str, dict[str, float]] = Field(description="by split; parts of 1")
    protocol: str = Field(description="how the metrics were measured")
    data: str
    licence: str
    intended_use: str
    prohibited_use: str
    notice: list[str] = Field(description="what to know before using this on people")
