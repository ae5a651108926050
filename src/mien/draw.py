"""Readings drawn onto a copy of their image, in the colours of :mod:`mien.palette`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from mien.boxes import intersections
from mien.palette import DARK, LIGHT, colors_of, ink_on, rgb
from mien.text import percent
from mien.types import Box, Image, Reading

__all__ = ["annotate"]

_DARK, _LIGHT = rgb(DARK), rgb(LIGHT)
_HALO_ALPHA = 110  # of the dark line around a box, so that it shows on any picture
_PANEL_ALPHA = 205
_BARS = 3  # the most probable expressions, in the panel of a face that is large enough
_FEW = 3  # of so many faces, a label may be wider than its box


def annotate(image: Image, readings: Sequence[Reading]) -> Image:
    """Draw each reading: a box, its expression and, where there is room, its three most likely.

    Lines and letters follow the sizes of face and image. A dashed box and a question
    ("Happy or neutral?") mark a reading that is uncertain. Labels stay inside the image
    and off other faces and labels as far as there is room. Among more than three faces, one
    whose box is narrower than its label gets its number instead.

    Args:
        image: RGB uint8 (H, W, 3); it is not changed.
        readings: of faces in the image's pixels; what lies outside of it is left out.

    Returns:
        RGB uint8 (H, W, 3), a new array.
    """
    picture = PillowImage.fromarray(image)
    height, width = image.shape[:2]
    shown = _shown(readings, width, height)
    for reading, frame, _ in shown:
        _draw_box(picture, frame, reading, _style_of(frame, width, height).line_px)
    for label, at in _lay_out(shown, width, height):
        _draw_label(picture, label, at)
    return np.array(picture)


class _Frame(NamedTuple):
    """A rectangle that ends before ``right`` and ``bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True, slots=True)
class _Style:
    font_px: int
    line_px: int

    @property
    def gap_px(self) -> int:
        return max(2, self.font_px // 4)


@dataclass(frozen=True, slots=True)
class _Label:
    """A plate with one line of text and, if ``rows``, bars below it."""

    text: str
    colour: str
    style: _Style
    size: tuple[int, int]
    plate_h: int
    rows: tuple[tuple[str, float, str], ...] = ()


class _Shown(NamedTuple):
    """A reading, where its face is visible, and its number; 0 for the only face of a photo."""

    reading: Reading
    frame: _Frame
    number: int


def _shown(readings: Sequence[Reading], width: int, height: int) -> list[_Shown]:
    alone = len(readings) == 1
    return [
        _Shown(reading, frame, reading.identity or (0 if alone else place))
        for place, reading in enumerate(readings, 1)
        if (frame := _visible(reading.face.box, width, height)) is not None
    ]


def _visible(box: Box, width: int, height: int) -> _Frame | None:
    frame = _Frame(
        max(box.x, 0), max(box.y, 0), min(box.x + box.w, width), min(box.y + box.h, height)
    )
    return frame if frame.left < frame.right and frame.top < frame.bottom else None


def _style_of(frame: _Frame, width: int, height: int, *, crowded: bool = False) -> _Style:
    """Follow the face, but stay readable where the whole image is shown 700 pixels wide.

    In a crowd, letters are as small as that allows.
    """
    shorter, longer = sorted((width, height))
    least, most = max(11.0, longer / 62), max(14.0, shorter / 24)
    wanted = least if crowded else max(max(frame.size) / 6, least)
    font_px = round(min(wanted, max(least, most)))
    return _Style(font_px, max(2, round(min(max(frame.size) / 35, font_px / 4.5))))


@lru_cache(maxsize=64)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _text_width(text: str, size_px: int) -> int:
    return round(_font(size_px).getbbox(text)[2])


def _text_of(reading: Reading, number: int, form: str) -> str:
    """Return a label's text; ``form`` is ``full``, ``short`` or ``number``."""
    if form == "number":
        return str(number)
    start = f"{number} · " if number else ""
    if reading.uncertain:
        likely = reading.set[:2] or (reading.top,)
        return start + " or ".join(likely[: 1 if form == "short" else 2]).capitalize() + "?"
    share = "" if form == "short" else f", {percent(reading.confidence)}"
    return f"{start}{reading.top.capitalize()}{share}"


def _color_of(reading: Reading) -> str:
    return colors_of(reading.labels)[reading.top]


def _make_label(shown: _Shown, style: _Style, form: str) -> _Label:
    reading = shown.reading
    if form == "number":
        style = _Style(max(10, round(style.font_px * 0.8)), style.line_px)
    text = _text_of(reading, shown.number, "full" if form == "bars" else form)
    pad, plate_h = style.font_px // 2, round(style.font_px * 1.5)
    width, height = _text_width(text, style.font_px) + 2 * pad, plate_h
    rows: tuple[tuple[str, float, str], ...] = ()
    if form == "bars":
        colors = colors_of(reading.labels)
        shares = [
            (label, share, colors[label])
            for label, share in zip(reading.labels, reading.probabilities, strict=True)
        ]
        rows = tuple(sorted(shares, key=lambda share: -share[1])[:_BARS])
        width = max(width, round(style.font_px * 10.5))
        height += round(_row_h(style) * len(rows) + pad)
    return _Label(text, _color_of(reading), style, (width, height), plate_h, rows)


def _row_h(style: _Style) -> float:
    return style.font_px * 1.15


def _lay_out(
    shown: Sequence[_Shown], width: int, height: int
) -> list[tuple[_Label, tuple[int, int]]]:
    """Choose for each face, from the top down, its label's form and place."""
    taken = np.array([each.frame for each in shown], np.float64).reshape(-1, 4)
    placed = []
    for own in sorted(range(len(shown)), key=lambda index: shown[index].frame.top):
        others = np.delete(taken, own, axis=0)
        crowded = len(shown) > _FEW
        label, (left, top) = _choose_label(shown[own], crowded, others, (width, height))
        placed.append((label, (left, top)))
        spot = [[left, top, left + label.size[0], top + label.size[1]]]
        taken = np.concatenate([taken, spot])
    return placed


def _choose_label(
    shown: _Shown, crowded: bool, taken: NDArray[np.float64], size: tuple[int, int]
) -> tuple[_Label, tuple[int, int]]:
    """Take the fullest form that hides nothing, else the one that hides least."""
    frame = shown.frame
    style = _style_of(frame, *size, crowded=crowded)
    forms = ["bars"] if min(frame.size) >= 4.5 * style.font_px else []
    forms += ["full", "short", "number"] if shown.number else ["full", "short"]
    choices = []
    for form in forms:
        label = _make_label(shown, style, form)
        if crowded and form != "number" and label.size[0] > frame.size[0]:
            continue
        cost, at = _best_place(label, frame, taken, size)
        choices.append((cost, label, at))
        if cost == 0:
            break
    _, label, at = min(choices, key=lambda choice: choice[0])
    return label, at


def _best_place(
    label: _Label, frame: _Frame, taken: NDArray[np.float64], size: tuple[int, int]
) -> tuple[float, tuple[int, int]]:
    """Return the least overlap in pixels, and the first place that has it."""
    (w, h), gap = label.size, label.style.gap_px
    left, top, right, bottom = frame
    middle, beside = (left + right - w) // 2, (left - w - gap, right + gap)
    if label.rows:
        places = [(beside[1], top), (beside[0], top), (left, bottom + gap), (left, top - h - gap)]
    else:
        places = [(x, top - h - gap) for x in (left, middle, right - w)]
        places += [(x, bottom + gap) for x in (left, middle, right - w)]
        places += [(beside[1], top), (beside[0], top), (beside[1], bottom - h)]
        places += [(beside[0], bottom - h), (middle, bottom - h - gap)]
    limits = np.maximum(np.array(size) - (w, h), 0)
    starts = np.clip(np.array(places), 0, limits)
    spots = np.hstack([starts, np.add(starts, (w, h))]).astype(np.float64)
    everything = np.concatenate([taken, [frame]])
    cost = intersections(spots, everything).sum(axis=1)
    chosen = int(cost.argmin())
    return float(cost[chosen]), (int(starts[chosen][0]), int(starts[chosen][1]))


def _draw_box(picture: PillowImage.Image, frame: _Frame, reading: Reading, line_px: int) -> None:
    width, height = frame.size
    radius = min(width, height) // 8
    ring = _ring(width, height, radius, line_px)
    halo = _ring(width + 2, height + 2, radius + 1, line_px + 2)
    if reading.uncertain:
        ring, halo = _dash(ring, line_px, 0), _dash(halo, line_px, 1)
    shade = PillowImage.fromarray((halo * (_HALO_ALPHA / 255)).astype(np.uint8))
    picture.paste(_DARK, (frame.left - 1, frame.top - 1), shade)
    picture.paste(rgb(_color_of(reading)), (frame.left, frame.top), PillowImage.fromarray(ring))


def _draw_label(picture: PillowImage.Image, label: _Label, at: tuple[int, int]) -> None:
    (left, top), (width, height) = at, label.size
    font_px, pad = label.style.font_px, label.style.font_px // 2
    radius = font_px // 3
    if label.rows:
        panel = _rounded(width, height, radius).astype(np.float64) * (_PANEL_ALPHA / 255)
        picture.paste(_DARK, at, PillowImage.fromarray(panel.astype(np.uint8)))
    plate = PillowImage.fromarray(_rounded(width, label.plate_h, radius))
    picture.paste(rgb(label.colour), at, plate)
    pen = ImageDraw.Draw(picture)
    ink = rgb(ink_on(label.colour))
    middle = top + label.plate_h / 2
    pen.text((left + pad, middle), label.text, ink, _font(font_px), anchor="lm")
    for row, line in enumerate(label.rows):
        middle = top + label.plate_h + pad / 2 + _row_h(label.style) * (row + 0.5)
        _draw_row(pen, (left + pad, middle), width - 2 * pad, line, font_px)


def _draw_row(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    width: int,
    row: tuple[str, float, str],
    font_px: int,
) -> None:
    (left, middle), (name, share, color) = at, row
    font = _font(max(10, round(font_px * 0.8)))
    pen.text(at, name, _LIGHT, font, anchor="lm")
    pen.text((left + width, middle), percent(share), _LIGHT, font, anchor="rm")
    start, end = left + font_px * 3.9, left + width - font_px * 2.3
    half = font_px * 0.22
    full = (start, middle - half, end, middle + half)
    pen.rounded_rectangle(full, half, fill=(70, 70, 70))
    if (end - start) * share >= 1:
        tip = start + max((end - start) * share, 2 * half)
        pen.rounded_rectangle((*full[:2], tip, full[3]), half, fill=color)


def _ring(width: int, height: int, radius: int, line_px: int) -> NDArray[np.uint8]:
    """Return the mask (height, width) of a line along the inside of a rounded rectangle."""
    ring = _rounded(width, height, radius)
    inner_w, inner_h = width - 2 * line_px, height - 2 * line_px
    if inner_w > 0 and inner_h > 0:
        inner = _rounded(inner_w, inner_h, max(radius - line_px, 0))
        ring[line_px : line_px + inner_h, line_px : line_px + inner_w] -= np.minimum(
            inner, ring[line_px : line_px + inner_h, line_px : line_px + inner_w]
        )
    return ring


def _dash(ring: NDArray[np.uint8], line_px: int, offset: int) -> NDArray[np.uint8]:
    """Cut gaps into a ring, alike from all four corners."""
    period = 6 * line_px
    gaps = []
    for length in ring.shape:
        from_corner = np.minimum(np.arange(length), np.arange(length)[::-1]) - offset
        gaps.append(from_corner % period > period * 0.6)
    edge = 2 * line_px + 2
    ring[gaps[0]] = np.where(_near_end(ring.shape[1], edge), 0, ring[gaps[0]])
    ring[:, gaps[1]] = np.where(_near_end(ring.shape[0], edge)[:, None], 0, ring[:, gaps[1]])
    return ring


def _near_end(length: int, edge: int) -> NDArray[np.bool_]:
    place = np.arange(length)
    return np.asarray((place < edge) | (place >= length - edge))


def _rounded(width: int, height: int, radius: int) -> NDArray[np.uint8]:
    """Return the mask (height, width) of a filled rectangle with smooth round corners."""
    mask = np.full((height, width), 255, np.uint8)
    r = min(radius, width // 2, height // 2)
    if r > 0:
        corner = _corner(r)
        mask[:r, :r] = corner
        mask[:r, -r:] = corner[:, ::-1]
        mask[-r:, :r] = corner[::-1]
        mask[-r:, -r:] = corner[::-1, ::-1]
    return mask


@lru_cache(maxsize=64)
def _corner(radius: int) -> NDArray[np.uint8]:
    """Return the top left corner (radius, radius), by the distance of each pixel's centre."""
    place = radius - 0.5 - np.arange(radius)
    inside = radius + 0.5 - np.hypot(place[:, None], place[None])
    return np.asarray(np.clip(inside, 0, 1) * 255, np.uint8)
