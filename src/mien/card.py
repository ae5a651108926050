"""The model card: everything besides the weights that a right answer depends on.

A card is a JSON file beside the weights: ``glance.onnx`` has ``glance.card.json``. One
card serves all files of one network (float, quantised), which it lists with their hashes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mien.errors import ModelError
from mien.files import atomic_write
from mien.types import CROP_HW, EMOTIONS

__all__ = [
    "Calibration",
    "FileRecord",
    "Framing",
    "Head",
    "ModelCard",
    "card_path",
    "read_card",
    "record_of",
    "sha256_of",
    "write_card",
]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes the probabilities of one head match how often they are right.

    All of it is fitted on held-out Training rows; see :mod:`mien.calibration`.

    Attributes:
        temperature: logits are divided by it before the softmax.
        coverage: the fraction of true labels that prediction sets are to hold.
        set_threshold: labels at least this probable belong to the prediction set.
        abstain_below: a top probability below this makes a reading uncertain.
    """

    temperature: float = 1.0
    coverage: float = 0.9
    set_threshold: float = 0.1
    abstain_below: float = 0.0


@dataclass(frozen=True, slots=True)
class Head:
    """One output of a network.

    Attributes:
        labels: of its columns, in their order.
        calibration: the defaults if it was never calibrated.
    """

    labels: tuple[str, ...]
    calibration: Calibration = Calibration()


@dataclass(frozen=True, slots=True)
class Framing:
    """How a network's crop lies around the frame of a face.

    The frame is the square of FER2013's pictures; where it lies is known to each detector
    (:class:`mien.faces.FaceTemplate`). A network trained on such pictures takes it as it is.

    Attributes:
        scale: side of the crop as a multiple of the frame's.
        shift_y: how far the crop's centre lies below the frame's, in sides of the frame.
        size_hw: height and width of a crop in pixels.
    """

    scale: float = 1.0
    shift_y: float = 0.0
    size_hw: tuple[int, int] = CROP_HW


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


@dataclass(frozen=True)
class ModelCard:
    """A network, described well enough to use, to judge and to train again.

    Attributes:
        version: of these weights: a new one for each run that is exported.
        heads: the outputs of the network, by name.
        default_head: the head that readings come from where none is named.
        framing: how faces are cut out.
        files: weights files by name.
        metrics: by split, then by name; fractions.
        recipe: what :class:`mien.train.recipes.Recipe` was stored as.
    """

    name: str
    version: str
    heads: Mapping[str, Head] = field(default_factory=lambda: {"emotion": Head(EMOTIONS)})
    default_head: str = "emotion"
    framing: Framing = Framing()
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

    def head(self, name: str | None = None) -> Head:
        """Return a head; the default one if ``None``.

        Raises:
            ModelError: the network has no such head.
        """
        name = self.default_head if name is None else name
        if name not in self.heads:
            raise ModelError(
                f"{self.name} has no head '{name}': choose one of {', '.join(self.heads)}"
            )
        return self.heads[name]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the default head."""
        return self.head().labels

    @property
    def calibration(self) -> Calibration:
        """The calibration of the default head."""
        return self.head().calibration

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and strings."""
        return asdict(self)


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
    """Write the card atomically.

    Raises:
        ModelError: the card holds what JSON cannot (NaN, an array).
        ConfigError: the file cannot be written.
    """
    try:
        text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelError(f"cannot write the model card {path}: {error}") from None
    with atomic_write(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


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
_REQUIRED = frozenset(("name", "version", "heads", "default_head", "framing"))


def _from_dict(content: Any) -> ModelCard:
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, got {type(content).__name__}")
    content = _converted(content)
    if missing := _REQUIRED - set(content):
        raise ValueError(f"missing {', '.join(sorted(missing))}")
    if unknown := set(content) - {each.name for each in fields(ModelCard)}:
        raise ValueError(f"unknown field {', '.join(sorted(unknown))}")
    heads = _heads_of(content["heads"])
    if content["default_head"] not in heads:
        raise ValueError(f"default_head: expected one of {', '.join(heads)}")
    return ModelCard(
        **{
            **content,
            "heads": heads,
            "framing": _framing_of(content["framing"]),
            "files": {
                name: FileRecord(**record) for name, record in content.get("files", {}).items()
            },
        }
    )


def _converted(content: dict[str, Any]) -> dict[str, Any]:
    """Return a card in today's form.

    Until 0.1 heads were lists, the first the default one, and the geometry was that of
    CenterFace's boxes, which detectors know by now.
    """
    old = ("input_hw", "geometry", "confidence")
    if "default_head" in content or not all(name in content for name in (*old, "heads")):
        return content
    default = next(iter(content["heads"]), "")
    calibrations = {**content.get("head_confidence", {}), default: content["confidence"]}
    return {
        **{name: value for name, value in content.items() if name not in (*old, "head_confidence")},
        "heads": {
            head: {"labels": labels, "calibration": calibrations.get(head, {})}
            for head, labels in content["heads"].items()
        },
        "default_head": default,
        "framing": {"scale": 1.0, "shift_y": 0.0, "size_hw": content["input_hw"]},
    }


def _framing_of(content: dict[str, Any]) -> Framing:
    height, width = content["size_hw"]
    framing = Framing(**{**content, "size_hw": (int(height), int(width))})
    if not (0 < framing.scale < math.inf and math.isfinite(framing.shift_y)):
        raise ValueError(f"framing: expected a scale above 0 and a finite shift, got {framing}")
    if min(framing.size_hw) < 1:
        raise ValueError(f"framing: expected a size of at least 1 pixel, got {framing.size_hw}")
    return framing


def _heads_of(content: dict[str, Any]) -> dict[str, Head]:
    if not content:
        raise ValueError("heads: expected at least one")
    heads = {}
    for name, head in content.items():
        labels = head["labels"]
        named = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
        if not named or not labels or len(set(labels)) < len(labels):
            raise ValueError(f"heads: expected a list of different labels for '{name}'")
        if unknown := set(head) - {"labels", "calibration"}:
            raise ValueError(f"heads: unknown field {', '.join(sorted(unknown))} in '{name}'")
        heads[name] = Head(tuple(labels), _calibration_of(head.get("calibration", {})))
    return heads


def _calibration_of(content: dict[str, Any]) -> Calibration:
    calibration = Calibration(**content)
    if not 0 < calibration.temperature < math.inf:
        raise ValueError(f"temperature is {calibration.temperature}, expected above 0")
    for name in ("coverage", "set_threshold", "abstain_below"):
        if not 0 <= getattr(calibration, name) <= 1:
            raise ValueError(f"{name} is {getattr(calibration, name)}, expected 0 to 1")
    return calibration
