"""Explanations as pictures: laid over the faces of a photo, and side by side on a sheet.

Red marks what the label rests on, blue what speaks against it; what keeps its greys does not
matter. Strength is relative to each face: full colour is its largest value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont
from PIL.Image import Image as PillowImage
from PIL.Image import Resampling, Transform, fromarray, new

from mien.explain import Explanation, Heatmap
from mien.faces import Framer, crop_corners
from mien.types import Crops, Face, Image

__all__ = ["GRAD_CAM", "OCCLUSION", "Card", "Legend", "lay_over", "sheet", "tile", "with_legend"]

# Told apart with any colour vision, and on any grey.
_FOR, _AGAINST = (214, 36, 24), (36, 86, 214)
_COVER = 0.8  # how much of the face full colour hides
_LIFT = 0.75  # an exponent below 1, so that weak places show too

# Full colour is at least this change of probability: where nothing matters, nothing is red.
_LEAST_FULL = 0.05

_PAPER, _INK, _SOFT = (247, 246, 243), (28, 27, 25), (105, 102, 96)
_NEUTRAL = 205  # the grey of a map without its face
_TILE_PX, _GAP_PX, _MARGIN_PX, _FONT_PX = 192, 10, 28, 17
_LINE_PX = round(_FONT_PX * 1.5)
_CAPTIONS = ("the face, as the model sees it", "what matters", "both")


@dataclass(frozen=True, slots=True)
class Legend:
    """What the colours mean, for someone who has not read about it.

    Attributes:
        title: of the whole scale.
        against: at its blue end; empty if the scale begins at grey.
        neither: at grey.
        for_it: at its red end.
        note: below.
    """

    title: str
    against: str
    neither: str
    for_it: str
    note: str


#: For maps by hiding parts of the face.
OCCLUSION = Legend(
    "If this place is hidden, the emotion becomes ...",
    "more likely",
    "as likely",
    "less likely",
    "Red places are what the reading rests on. Full colour is the largest change in a face.",
)
#: For maps by gradients.
GRAD_CAM = Legend(
    "To the emotion, this place adds ...",
    "",
    "nothing",
    "most",
    "Grad-CAM shows the rough place only. Full colour is the largest value in a face.",
)


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """One face on a sheet.

    Attributes:
        crop: uint8 (h, w, 1).
        explanation: of the crop.
        headline: what was read.
        words: what it rests on, in a line.
    """

    crop: Crops
    explanation: Explanation
    headline: str
    words: str


def lay_over(
    image: Image,
    faces: Sequence[Face],
    explanations: Sequence[Explanation],
    framer: Framer,
) -> Image:
    """Return a copy of a photo with each face's heatmap where its crop was cut out.

    Faces lose their colours under it, so that those of the map are true.

    Args:
        image: RGB uint8 (H, W, 3).
        faces: in its pixels; their squares are turned as their crops are.
        framer: of the predictor that read the faces.
    """
    drawn: Image = image.copy()
    height, width = image.shape[:2]
    for face, explanation in zip(faces, explanations, strict=True):
        corners = np.array(crop_corners(face, framer))
        left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
        if left < right and top < bottom:
            part = drawn[top:bottom, left:right]
            strength, inside = _warp(explanation.heatmap, corners - (left, top), part.shape[:2])
            part[inside] = _tint(part, strength)[inside]
    return drawn


def tile(crop: Crops, explanation: Explanation, side_px: int = _TILE_PX) -> Image:
    """Return a crop (h, w, 1) under its heatmap, RGB uint8 (side_px, side_px, 3)."""
    size = (side_px, side_px)
    return _tint(_enlarged(crop, side_px), _resized(explanation.heatmap, size))


def sheet(cards: Sequence[Card], legend: Legend) -> Image:
    """Return all faces side by side: crop, heatmap, both, and words; and the legend.

    Returns:
        RGB uint8 (H, W, 3).
    """
    columns = max(1, min(3, math.ceil(len(cards) / 4)))
    rows = math.ceil(len(cards) / columns)
    width, height = 3 * _TILE_PX + 2 * _GAP_PX, _TILE_PX + round(3.6 * _LINE_PX)
    step_x, step_y = width + 2 * _MARGIN_PX, height + _MARGIN_PX
    paper = new("RGB", (columns * step_x, rows * step_y + _MARGIN_PX), _PAPER)
    for number, card in enumerate(cards):
        x = _MARGIN_PX + number % columns * step_x
        y = _MARGIN_PX + number // columns * step_y
        _draw_card(paper, card, (x, y))
    return with_legend(np.asarray(paper), legend)


def with_legend(image: Image, legend: Legend) -> Image:
    """Return the image with a legend below it; a narrow one gets paper beside it."""
    height, width = image.shape[:2]
    font_px = round(max(_FONT_PX, min(width, 2400) / 75))
    strip = _legend(legend, font_px)
    whole = new("RGB", (max(width, strip.width), height + strip.height), _PAPER)
    whole.paste(fromarray(image), ((whole.width - width) // 2, 0))
    whole.paste(strip, ((whole.width - strip.width) // 2, height))
    return np.array(whole)


def _strength(heatmap: Heatmap) -> NDArray[np.float32]:
    """Return the map from -1 to 1."""
    return np.asarray(heatmap / max(float(np.abs(heatmap).max()), _LEAST_FULL), np.float32)


def _tint(image: Image, strength: NDArray[np.float32]) -> Image:
    """Colour an image (H, W, 3), in greys, by strength (H, W) from -1 to 1."""
    grey = np.asarray(fromarray(image).convert("L"), np.float32)[..., None]
    share = (np.clip(np.abs(strength), 0, 1) ** _LIFT * _COVER)[..., None]
    colour = np.where(strength[..., None] > 0, np.array(_FOR), np.array(_AGAINST))
    return np.asarray(np.rint(grey + (colour - grey) * share), np.uint8)


def _warp(
    heatmap: Heatmap, corners: NDArray[np.float64], size_hw: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return strength and where it is known, on a picture in whose pixels the corners are."""
    side = heatmap.shape[0]
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    (a, b), (d, e) = across * side / (across @ across), down * side / (down @ down)
    matrix = (a, b, -(a * corners[0, 0] + b * corners[0, 1]),
              d, e, -(d * corners[0, 0] + e * corners[0, 1]))  # fmt: skip
    layers = [
        np.asarray(fromarray(layer).transform(size_hw[::-1], Transform.AFFINE, matrix, method))
        for layer, method in (
            (_strength(heatmap), Resampling.BICUBIC),
            (np.ones_like(heatmap), Resampling.NEAREST),
        )
    ]
    return layers[0], layers[1] > 0


def _resized(heatmap: Heatmap, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(fromarray(_strength(heatmap)).resize(size, Resampling.BICUBIC))


def _enlarged(crop: Crops, side_px: int) -> Image:
    picture = fromarray(crop[..., 0]).resize((side_px, side_px), Resampling.BICUBIC)
    return np.asarray(picture.convert("RGB"))


@lru_cache(maxsize=16)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _draw_card(paper: PillowImage, card: Card, at: tuple[int, int]) -> None:
    x, y = at
    pen = ImageDraw.Draw(paper)
    pen.text((x, y + _LINE_PX / 2), card.headline, _INK, _font(_FONT_PX + 6), anchor="lm")
    y += round(1.4 * _LINE_PX)
    ground = np.full((_TILE_PX, _TILE_PX, 3), _NEUTRAL, np.uint8)
    strength = _resized(card.explanation.heatmap, (_TILE_PX, _TILE_PX))
    tiles = (
        _enlarged(card.crop, _TILE_PX),
        _tint(ground, strength),
        tile(card.crop, card.explanation),
    )
    for place, (picture, caption) in enumerate(zip(tiles, _CAPTIONS, strict=True)):
        left = x + place * (_TILE_PX + _GAP_PX)
        paper.paste(fromarray(picture), (left, y))
        middle = (left + _TILE_PX / 2, y + _TILE_PX + 0.55 * _LINE_PX)
        pen.text(middle, caption, _SOFT, _font(_FONT_PX - 4), anchor="mm")
    below = y + _TILE_PX + 1.5 * _LINE_PX
    pen.text((x, below), card.words, _INK, _font(_FONT_PX), anchor="lm")


def _legend(legend: Legend, font_px: int) -> PillowImage:
    """Return the scale of colours between its words."""
    line_px, font, small = round(font_px * 1.5), _font(font_px), _font(round(font_px * 0.82))
    bar_w, bar_h = font_px * 17, round(font_px * 0.9)
    steps = np.linspace(-1 if legend.against else 0, 1, bar_w, dtype=np.float32)
    bar = _tint(np.full((bar_h, bar_w, 3), _NEUTRAL, np.uint8), np.tile(steps, (bar_h, 1)))
    note_w = math.ceil(small.getbbox(legend.note)[2])
    width = max(note_w, bar_w, math.ceil(font.getbbox(legend.title)[2])) + 3 * font_px
    strip = new("RGB", (width, round(line_px * 4.6)), _PAPER)
    pen = ImageDraw.Draw(strip)
    middle, left = width / 2, (width - bar_w) // 2
    pen.text((middle, line_px * 0.7), legend.title, _INK, font, anchor="mm")
    strip.paste(fromarray(bar), (left, round(line_px * 1.3)))
    ends = [(left, legend.against, "lm"), (middle, legend.neither, "mm")]
    if not legend.against:
        ends = [(left, legend.neither, "lm")]
    for x, words, anchor in (*ends, (left + bar_w, legend.for_it, "rm")):
        pen.text((x, line_px * 2.4), words, _INK, small, anchor=anchor)
    pen.text((middle, line_px * 3.6), legend.note, _SOFT, small, anchor="mm")
    return strip
