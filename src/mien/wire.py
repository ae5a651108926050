"""The one shape of a reading outside Python, both ways.

The command line, the service, the socket, video and batch output all use it. A face as
JSON:

    {"box": {"x": 96, "y": 40, "w": 118, "h": 150},     source pixels
     "score": 0.98,                                     of the detector, 0 to 1
     "landmarks": [[131.5, 92.0], ...],                 right eye, left eye, nose, mouth
     "emotion": "happy", "confidence": 0.91,
     "probabilities": {"angry": 0.01, ...},             sum 1
     "set": ["happy"], "uncertain": false,
     "reasons": [],                                     why uncertain: "too small", ...
     "visibility": {"size_px": 130.2, ...},             or null; see mien.types.Visibility
     "identity": 3}                                     in video only, else null

A caller may ask to abstain: then ``emotion`` is null where ``uncertain`` is true.

An image is ``{"image": its name, "width": 512, "height": 512, "faces": [...]}``, with the size
that boxes refer to, after the EXIF turn. One that could not be read has, instead of all but
its name, ``"error": {"code": "broken_image", "message": "..."}``.

As a row of a table the same names are joined by dots: ``box.x``, ``probabilities.angry``;
``set`` is joined by spaces, ``reasons`` by commas, and landmarks are left out.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from operator import index
from typing import Any, TypeAlias

from mien.errors import InputError, MienError
from mien.types import EMOTIONS, Box, Face, Point, Reading, Visibility

__all__ = [
    "csv_fields",
    "failure_to_dict",
    "image_to_dict",
    "reading_from_dict",
    "reading_to_dict",
    "reading_to_row",
    "to_csv",
    "to_json",
]


_SEEN = tuple(each.name for each in fields(Visibility))

# By which a sum of shares may leave 0 to 1.
_ROUNDING = 1e-6

#: What becomes a JSON object.
Json: TypeAlias = dict[str, Any]


def reading_to_dict(reading: Reading, *, abstain: bool = False) -> Json:
    """Return the reading as plain JSON values; probabilities stay unrounded.

    With ``abstain``, an uncertain reading names no emotion.
    """
    return {
        "box": reading.face.box._asdict(),
        "score": reading.face.score,
        "landmarks": [list(point) for point in reading.face.landmarks],
        "emotion": None if abstain and reading.uncertain else reading.top,
        "confidence": reading.confidence,
        "probabilities": dict(zip(reading.labels, reading.probabilities, strict=True)),
        "set": list(reading.set),
        "uncertain": reading.uncertain,
        "reasons": list(reading.reasons),
        "visibility": None if reading.visibility is None else asdict(reading.visibility),
        "identity": reading.identity,
    }


def reading_from_dict(content: Mapping[str, Any]) -> Reading:
    """Return the reading that :func:`reading_to_dict` was given.

    ``emotion`` and ``confidence`` follow from the probabilities and are not looked at.

    Raises:
        InputError: a field is missing, of the wrong kind or out of range.
    """
    try:
        labels = tuple(content["probabilities"])
        if not labels or not set(content["set"]) <= set(labels):
            raise ValueError("a set holds labels that have a probability")
        if not isinstance(content["uncertain"], bool):
            raise TypeError("uncertain is true or false")
        identity = content["identity"]
        return Reading(
            Face(
                Box(*(index(content["box"][side]) for side in Box._fields)),
                _share(content["score"]),
                tuple(Point(_number(x), _number(y)) for x, y in content["landmarks"]),
            ),
            tuple(_share(value) for value in content["probabilities"].values()),
            labels,
            set=tuple(content["set"]),
            uncertain=content["uncertain"],
            reasons=tuple(map(str, content.get("reasons", ()))),
            visibility=_seen_from_dict(content.get("visibility")),
            identity=None if identity is None else index(identity),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"not a reading: {type(error).__name__}: {error}") from None


def image_to_dict(
    name: str, size_hw: tuple[int, int], readings: Sequence[Reading], *, abstain: bool = False
) -> Json:
    """Return what was read in one image; no face is an empty list."""
    return {
        "image": name,
        "width": size_hw[1],
        "height": size_hw[0],
        "faces": [reading_to_dict(reading, abstain=abstain) for reading in readings],
    }


def failure_to_dict(name: str, error: MienError) -> Json:
    """Return why an image was not read."""
    return {"image": name, "error": {"code": error.code, "message": str(error)}}


def to_json(content: Any, *, indent: int | None = None) -> str:
    """Return JSON text; NaN and infinity are refused, letters of all scripts stay readable."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=indent)


def csv_fields(labels: Sequence[str] = EMOTIONS) -> list[str]:
    """Return the columns of a table of readings, without those of its source."""
    return [
        "box.x",
        "box.y",
        "box.w",
        "box.h",
        "score",
        "emotion",
        "confidence",
        *(f"probabilities.{label}" for label in labels),
        "set",
        "uncertain",
        "reasons",
        *(f"visibility.{name}" for name in _SEEN),
        "identity",
    ]


def reading_to_row(reading: Reading, *, abstain: bool = False) -> dict[str, Any]:
    """Return the reading as one flat row with the columns of :func:`csv_fields`."""
    content = reading_to_dict(reading, abstain=abstain)
    box = {f"box.{name}": value for name, value in content.pop("box").items()}
    shares = {
        f"probabilities.{label}": value for label, value in content.pop("probabilities").items()
    }
    del content["landmarks"]
    content["set"] = " ".join(reading.set)
    content["reasons"] = ", ".join(reading.reasons)
    seen = content.pop("visibility") or dict.fromkeys(_SEEN)
    values = {
        **box,
        **content,
        **shares,
        **{f"visibility.{name}": value for name, value in seen.items()},
    }
    return {name: values[name] for name in csv_fields(reading.labels)}


def to_csv(rows: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> str:
    """Return rows as CSV text with a header line; ``None`` becomes an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _seen_from_dict(content: Mapping[str, Any] | None) -> Visibility | None:
    if content is None:
        return None
    values = {name: None if value is None else _number(value) for name, value in content.items()}
    return Visibility(**values)  # type: ignore[arg-type]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)


def _share(value: Any) -> float:
    number = _number(value)
    if not -_ROUNDING <= number <= 1 + _ROUNDING:
        raise ValueError(f"expected 0 to 1, got {value!r}")
    return number
