"""The image of an answer: readings drawn on what was sent, reduced where that is very large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image as PillowImage

from mien.explain import Explanation
from mien.images import encode
from mien.service.admission import checkpoint
from mien.service.engine import Engine, Outcome
from mien.types import Box, Face, Image, Point, Reading

__all__ = ["Kind", "draw", "kind_accepted"]

Kind = Literal["jpeg", "png"]


def kind_accepted(accept: str) -> Kind | None:
    """Return the image that an ``Accept`` header asks for; ``None`` if it would take JSON.

    ``image/*`` gives a PNG. The header of a browser's address bar, which names everything,
    asks for no image.
    """
    wanted = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if {"*/*", "application/json", "application/*", "text/html"} & set(wanted):
        return None
    for kind in wanted:
        if kind in ("image/png", "image/*"):
            return "png"
        if kind in ("image/jpeg", "image/jpg"):
            return "jpeg"
    return None


def draw(
    engine: Engine,
    outcome: Outcome,
    explanations: Sequence[Explanation],
    kind: Kind,
    most_pixels: int,
) -> tuple[bytes, tuple[int, int]]:
    """Return the encoded image with its readings, and its height and width in pixels.

    Drawing copies an image several times, so that one of more than ``most_pixels`` is reduced
    first.
    """
    from mien.draw import annotate
    from mien.heatmap import lay_over

    if outcome.image is None:
        raise RuntimeError("the image was not kept")
    with engine.timed("encode"):
        image, readings = _reduced(outcome.image, outcome.readings, most_pixels)
        faces = [reading.face for reading in readings[: len(explanations)]]
        ground = lay_over(image, faces, explanations, engine.card.geometry)
        checkpoint()
        drawn = annotate(ground, readings)
        checkpoint()
        return encode(drawn, kind), (drawn.shape[0], drawn.shape[1])


def _reduced(
    image: Image, readings: tuple[Reading, ...], most_pixels: int
) -> tuple[Image, tuple[Reading, ...]]:
    height, width = image.shape[:2]
    if height * width <= most_pixels:
        return image, readings
    scale = (most_pixels / (height * width)) ** 0.5
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    smaller = PillowImage.fromarray(image).resize(size, PillowImage.Resampling.BOX)
    moved = tuple(
        replace(each, face=_scaled(each.face, size[0] / width, size[1] / height))
        for each in readings
    )
    return np.asarray(smaller), moved


def _scaled(face: Face, x: float, y: float) -> Face:
    box = face.box
    left, top = round(box.x * x), round(box.y * y)
    right, bottom = round((box.x + box.w) * x), round((box.y + box.h) * y)
    points = tuple(Point(point.x * x, point.y * y) for point in face.landmarks)
    return Face(Box(left, top, right - left, bottom - top), face.score, points)
