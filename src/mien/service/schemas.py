"""The shapes of answers, for the documentation; ``mien.wire`` fills them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "EXAMPLE",
    "BatchAnswer",
    "ErrorAnswer",
    "ModelInfo",
    "PredictAnswer",
]


# The portrait that ships, as the documentation shows an answer.
_PROBABILITIES = {
    "angry": 0.0009,
    "disgust": 0.0008,
    "fear": 0.0021,
    "happy": 0.9655,
    "neutral": 0.0203,
    "sad": 0.0022,
    "surprise": 0.0082,
}
_LANDMARKS = [(206.4, 101.8), (247.0, 105.4), (224.7, 124.1), (206.7, 142.2), (240.8, 145.1)]
_LABELS = list(_PROBABILITIES)


class _Shape(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class BoxShape(_Shape):
    """In pixels of the upright picture, unless it says otherwise; may reach outside it."""

    x: int = Field(examples=[184])
    y: int = Field(examples=[63])
    w: int = Field(examples=[84])
    h: int = Field(examples=[111])


class ExplanationShape(_Shape):
    """What the probability of one label rests on, by hiding the crop bit by bit."""

    label: str = Field(description="the expression that is explained: the most probable one")
    probability: float = Field(description="of the label")
    map: list[list[float]] = Field(
        description="rows of the crop, of as many places: by how much the probability falls on "
        "average while the place is hidden, -1 to 1; above 0 the reading rests on it"
    )
    corners: list[tuple[float, float]] = Field(
        description="of the map in the upright picture: top left, top right, bottom right, "
        "bottom left; the square is turned as the face is, and may reach outside the picture"
    )
    region: BoxShape = Field(description="where the map is greatest, in places of the map")
    probability_without: float = Field(description="of the label, with that region hidden")


class FaceShape(_Shape):
    """One face and what it was read as."""

    box: BoxShape
    score: float = Field(description="of the detector, 0 to 1", examples=[0.98])
    landmarks: list[tuple[float, float]] = Field(
        description="right eye, left eye, nose tip, right and left mouth corner",
        examples=[_LANDMARKS],
    )
    emotion: str = Field(description="the most probable label", examples=["happy"])
    confidence: float = Field(description="its probability", examples=[0.9655])
    probabilities: dict[str, float] = Field(
        description="by label, sum 1", examples=[_PROBABILITIES]
    )
    set: list[str] = Field(
        description="labels that hold the true one as the card promises", examples=[["happy"]]
    )
    uncertain: bool = Field(
        description="the model would rather not name a single expression", examples=[False]
    )
    identity: int | None = Field(None, description="in video only", examples=[None])


class ModelShape(_Shape):
    """Which model read."""

    name: str = Field(examples=["glance"])
    version: str = Field(examples=["0.1.0"])


class PictureAnswer(_Shape):
    """All faces of one picture, surest first."""

    width: int = Field(description="of the upright picture, in pixels", examples=[512])
    height: int = Field(examples=[512])
    faces: list[FaceShape]
    timings_ms: dict[str, float] = Field(
        description="decode, detect, classify, total; explain",
        examples=[{"decode": 3.1, "detect": 18.4, "classify": 6.2, "total": 28.0}],
    )


class ExplainedFace(FaceShape):
    """A face of ``/predict``."""

    explanation: ExplanationShape | None = Field(
        None,
        description="only with `explain`; null for faces beyond the number that is explained",
    )


class PredictAnswer(PictureAnswer):
    """What ``/predict`` answers."""

    faces: list[ExplainedFace]  # type: ignore[assignment]  # narrower in what is only written

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
    timings_ms: dict[str, float] = Field(description="total", examples=[{"total": 61.5}])


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
    labels: list[str] = Field(examples=[_LABELS])
    heads: dict[str, list[str]] = Field(
        description="labels by head", examples=[{"emotion": _LABELS}]
    )
    head: str = Field(description="the one that readings come from", examples=["emotion"])
    input: dict[str, Any] = Field(
        examples=[{"shape": ["N", 48, 48, 1], "dtype": "uint8", "content": "grey, 0-255"}]
    )
    parameters: int
    multiply_adds: int
    confidence: dict[str, Any] = Field(
        examples=[{"temperature": 1.2, "coverage": 0.9, "abstain_below": 0.45}]
    )
    geometry: dict[str, float] = Field(examples=[{"scale": 1.1, "shift_y": -0.02}])
    metrics: dict[str, dict[str, float]] = Field(
        description="by split; fractions", examples=[{"PublicTest": {"accuracy": 0.7}}]
    )
    protocol: str = Field(description="how the metrics were measured")
    data: str
    licence: str
    intended_use: str
    prohibited_use: str
    notice: list[str] = Field(description="what to know before using this on people")


#: An answer of ``/predict``, for the documentation.
EXAMPLE: dict[str, Any] = {
    "request_id": "9f1c2d7e5b8a4c60b1d3e5f708192a3b",
    "model": {"name": "glance", "version": "1"},
    "width": 512,
    "height": 512,
    "faces": [
        {
            "box": {"x": 177, "y": 72, "w": 87, "h": 114},
            "score": 0.87,
            "landmarks": [
                [203.1, 118.2],
                [243.9, 114.6],
                [227.0, 138.4],
                [208.8, 159.1],
                [244.7, 156.0],
            ],
            "emotion": "happy",
            "confidence": 0.96,
            "probabilities": {"happy": 0.96, "neutral": 0.04},
            "set": ["happy"],
            "uncertain": False,
        }
    ],
    "timings_ms": {"decode": 3.1, "detect": 14.2, "classify": 6.0, "total": 23.6},
}
