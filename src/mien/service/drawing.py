"""The image of an answer: readings drawn on what was sent, reduced where that is very large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image as PillowImage

from mien.explain import Explanation
from mien.images import decode, encode, open_picture
from mien.service.admission import checkpoint
from mien.service.engine import Engine, Outcome
from mien.types import Image, Reading

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
    data: bytes,
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

    with engine.timed("encode"):
        image = _image(data, outcome, most_pixels)
        checkpoint()
        readings = _moved(outcome, image)
        faces = [reading.face for reading in readings[: len(explanations)]]
        ground = lay_over(image, faces, explanations, engine.predictor.framer)
        drawn = annotate(ground, readings)
        checkpoint()
        return encode(drawn, kind), (drawn.shape[0], drawn.shape[1])


def _image(data: bytes, outcome: Outcome, most_pixels: int) -> Image:
    """Return the image in full, or in as much detail as fits into ``most_pixels``."""
    picture = outcome.picture
    height, width = picture.size_hw
    scale = (most_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return picture.pixels if picture.scale_xy == (1, 1) else decode(data)
    wanted_wh = (max(1, int(width * scale)), max(1, int(height * scale)))
    pixels = picture.pixels
    if picture.scale_xy != (1, 1):
        pixels = open_picture(data, needs_px=min(wanted_wh)).pixels
    reduced = PillowImage.fromarray(pixels).resize(wanted_wh, PillowImage.Resampling.BOX)
    return np.asarray(reduced)


def _moved(outcome: Outcome, image: Image) -> tuple[Reading, ...]:
    """Return the readings with their faces where they are in the image."""
    height, width = outcome.picture.size_hw
    x, y = image.shape[1] / width, image.shape[0] / height
    if (x, y) == (1, 1):
        return outcome.readings
    return tuple(each.scaled((x, y)) for each in outcome.readings)
