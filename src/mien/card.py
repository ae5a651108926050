"""The model card: everything besides the weights that a right answer depends on.

A card is a JSON file beside the weights: ``glance.onnx`` has ``glance.card.json``. One
card serves all files of one network (float, quantised), which it lists with their hashes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mien.errors import ModelError
from mien.types import CROP_HW, EMOTIONS, CropGeometry

__all__ = [
    "Confidence",
    "FileRecord",
    "ModelCard",
    "card_path",
    "read_card",
    "record_of",
    "sha256_of",
    "write_card",
]


@dataclass(frozen=True, slots=True)
class Confidence:
    """How probabilities are made believable; all fitted on held-out Training rows.

    Attributes:
        temperature: logits are divided by it before the softmax.
        coverage: the part of true labels that prediction sets are to hold.
        set_threshold: labels at least this probable belong to the prediction set.
        abstain_below: a top probability below this makes a reading uncertain.
    """

    temperature: float = 1.0
    coverage: float = 0.9
    set_threshold: float = 0.1
    abstain_below: float = 0.0


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One weights file: what it must be to be the file that was measured.

    Attributes:
        metrics: what this file reaches, where it was measured apart from the network; by
            split, then by name, parts of 1.
    """

    sha256: str
    size_bytes: int
    precision: str = "float32"
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


_WHOLE_BOX = CropGeometry(scale=1.0, shift_y=0.0)


@dataclass(frozen=True)
class ModelCard:
    """A network, described well enough to use, to judge and to train again.

    Attributes:
        heads: labels by head, each in the order of the graph's columns; the first head
            is the default one.
        input_hw: height and width of a crop in pixels.
        geometry: how live faces are framed.
        confidence: of the first head.
        head_confidence: of the other heads, by name. A head that is not in it was never
            calibrated and is read by :class:`Confidence`'s defaults.
        files: weights files by name.
        metrics: by split, then by name; parts of 1.
        recipe: what :class:`mien.train.recipes.Recipe` was stored as.
    """

    name: str
    version: str
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"emotion": EMOTIONS})
    input_hw: tuple[int, int] = CROP_HW
    geometry: CropGeometry = _WHOLE_BOX
    confidence: Confidence = Confidence()
    head_confidence: Mapping[str, Confidence] = field(default_factory=dict)
    parameters: int = 0
    multiply_adds: int = 0
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    data: str = ""
    protocol: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    licence: str = "MIT"
    intended_use: str = ""
    prohibited_use: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the default head."""
        return next(iter(self.heads.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and strings."""
        return asdict(self)

    def with_head(self, head: str) -> ModelCard:
        """Return the card with ``head`` as the first, and so the default, head.

        Raises:
            ModelError: the network has no such head.
        """
        if head not in self.heads:
            raise ModelError(
                f"{self.name} has no head '{head}': choose one of {', '.join(self.heads)}"
            )
        if head == next(iter(self.heads)):
            return self
        confidences = {next(iter(self.heads)): self.confidence, **self.head_confidence}
        return replace(
            self,
            heads={head: self.heads[head], **self.heads},
            confidence=confidences.pop(head, Confidence()),
            head_confidence=confidences,
        )


def card_path(model: Path) -> Path:
    """Return where the card of a weights file lies.

    The card's name is the file's up to the first dot: ``glance.int8.onnx`` belongs to
    ``glance.card.json``. A card named after the whole file comes first, if there is one.
    """
    own = model.with_name(f"{model.name}.card.json")
    return own if own.is_file() else model.with_name(f"{model.name.split('.')[0]}.card.json")


def read_card(path: Path) -> ModelCard:
    """Read and check a card.

    Raises:
        ModelError: it is missing, not JSON, or a field is missing, unknown or wrong.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"no model card at {path}: a model needs its card beside it, since labels, crop "
            "geometry and temperature stand in it"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the model card {path}: {error}") from None
    try:
        return _from_dict(content)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ModelError(f"{path} is not a model card: {error}") from None


def write_card(card: ModelCard, path: Path) -> None:
    """Write the card whole or not at all.

    Raises:
        ModelError: the card holds what JSON cannot (NaN, an array), or the file cannot be
            written.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")
        os.replace(beside, path)
    except (OSError, TypeError, ValueError) as error:
        raise ModelError(f"cannot write the model card {path}: {error}") from None


def record_of(path: Path, precision: str = "float32") -> FileRecord:
    """Describe a weights file for ``ModelCard.files``."""
    return FileRecord(sha256_of(path), path.stat().st_size, precision)


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# What a right answer depends on; the rest of a card informs and may be left out.
_REQUIRED = frozenset(("name", "version", "heads", "input_hw", "geometry", "confidence"))


def _from_dict(content: Any) -> ModelCard:
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, got {type(content).__name__}")
    if missing := _REQUIRED - set(content):
        raise ValueError(f"missing {', '.join(sorted(missing))}")
    if unknown := set(content) - {each.name for each in fields(ModelCard)}:
        raise ValueError(f"unknown field {', '.join(sorted(unknown))}")
    height, width = content["input_hw"]
    geometry = CropGeometry(**content["geometry"])
    if not (0 < geometry.scale < math.inf and math.isfinite(geometry.shift_y)):
        raise ValueError(f"geometry: expected a scale above 0 and a finite shift, got {geometry}")
    return ModelCard(
        **{
            **content,
            "heads": _heads_of(content["heads"]),
            "input_hw": (int(height), int(width)),
            "geometry": geometry,
            "confidence": _confidence_of(content["confidence"]),
            "head_confidence": {
                head: _confidence_of(each)
                for head, each in content.get("head_confidence", {}).items()
            },
            "files": {
                name: FileRecord(**record) for name, record in content.get("files", {}).items()
            },
        }
    )


def _heads_of(content: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    if not content:
        raise ValueError("heads: expected at least one")
    for head, labels in content.items():
        named = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        if not named or not labels or len(set(labels)) < len(labels):
            raise ValueError(f"heads: expected a list of different labels for '{head}'")
    return {head: tuple(labels) for head, labels in content.items()}


def _confidence_of(content: dict[str, Any]) -> Confidence:
    confidence = Confidence(**content)
    if not 0 < confidence.temperature < math.inf:
        raise ValueError(f"temperature is {confidence.temperature}, expected above 0")
    for name in ("coverage", "set_threshold", "abstain_below"):
        if not 0 <= getattr(confidence, name) <= 1:
            raise ValueError(f"{name} is {getattr(confidence, name)}, expected 0 to 1")
    return confidence
