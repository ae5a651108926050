"""What the readings of one picture rest on, with all that the page shows of it."""

from __future__ import annotations

from dataclasses import dataclass

from mien.draw import annotate
from mien.explain import explain, in_words
from mien.heatmap import lay_over, tile
from mien.images import decode, encode
from mien.predictor import Predictor
from mien.webapp.pictures import JPEG_QUALITY, PictureResult, shown_on

__all__ = ["MOST_FACES", "Reasons", "explain_picture"]

#: Of one picture, surest first: each is read 82 times.
MOST_FACES = 8

_TILE_PX = 192


@dataclass(frozen=True, slots=True)
class Reasons:
    """Pictures and words for the first faces of a picture, as many as are explained.

    Attributes:
        annotated: a JPEG of the picture with heatmaps over those faces; empty if there is none.
        ground: the same without boxes and labels.
        tiles: a JPEG of each face under its heatmap.
        words: what each rests on, as a sentence.
    """

    annotated: bytes = b""
    ground: bytes = b""
    tiles: tuple[bytes, ...] = ()
    words: tuple[str, ...] = ()


def explain_picture(result: PictureResult, predictor: Predictor) -> Reasons:
    """Explain a picture that was read with ``keep``."""
    if result.kept is None or not result.readings:
        return Reasons()
    framer = predictor.framer
    crops = result.kept.crops[:MOST_FACES]
    explanations = explain(predictor, crops)
    photo = decode(result.kept.photo)
    shown = shown_on(photo, result.readings, result.size_hw)
    faces = [reading.face for reading in shown[:MOST_FACES]]
    ground = lay_over(photo, faces, explanations, framer)
    return Reasons(
        encode(annotate(ground, shown), quality=JPEG_QUALITY),
        encode(ground, quality=JPEG_QUALITY),
        tuple(
            encode(tile(crop, why, _TILE_PX)) for crop, why in zip(crops, explanations, strict=True)
        ),
        tuple(
            _sentence(in_words(why, reading.face, framer))
            for why, reading in zip(explanations, result.readings, strict=False)
        ),
    )


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."
