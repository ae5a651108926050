"""Sheets of pictures to look through: the most surely disputed, the copies, the faceless."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.data.duplicates import repeated
from mien.evaluation.audit import VERDICTS, Audit
from mien.types import EMOTIONS

__all__ = ["Tile", "contact_sheet", "sheets"]

_COLUMNS, _ROWS = 8, 6  # of a sheet
_SHOWN = _COLUMNS * _ROWS
_PICTURE_PX, _TILE_HW, _FONT_PX = 96, (134, 112), 11
_INK, _PAPER = "#22303c", "white"

#: Two captions and a picture, uint8 (48, 48).
Tile: TypeAlias = tuple[str, str, NDArray[np.uint8]]


def contact_sheet(tiles: Sequence[Tile]) -> Image.Image:
    """Return pictures (48, 48) in rows, enlarged, each with its two captions below."""
    height, width = _TILE_HW
    rows = max(-(-len(tiles) // _COLUMNS), 1)
    sheet = Image.new("RGB", (width * _COLUMNS, height * rows), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PX)
    margin = (width - _PICTURE_PX) // 2
    for index, (above, below, crop) in enumerate(tiles):
        left, top = index % _COLUMNS * width + margin, index // _COLUMNS * height + 4
        picture = Image.fromarray(crop).resize((_PICTURE_PX,) * 2, Image.Resampling.BICUBIC)
        sheet.paste(picture, (left, top))
        for line, text in enumerate((above, below)):
            place = (left - margin + 4, top + _PICTURE_PX + 2 + line * (_FONT_PX + 3))
            draw.text(place, text, _INK, font)
    return sheet


def sheets(audit: Audit) -> dict[str, tuple[str, list[Tile]]]:
    """Return the title and tiles of each sheet that has any, by its name."""
    data, found = audit.dataset, {}
    disputed = audit.disputed
    for column, label in enumerate(EMOTIONS):
        rows = disputed[data.emotion[disputed] == column]
        title = f"Labelled {label}: the {{}} most surely disputed of {len(rows)}"
        found[f"disputed-{label}"] = (
            title,
            [_tile(audit, row, f"{label} > {VERDICTS[audit.suggested[row]]}") for row in rows],
        )
    groups = repeated(audit.near)
    differ = [rows for rows in groups if len(np.unique(data.emotion[rows])) > 1]
    found["conflicts"] = (
        f"One picture, several labels: {{}} pictures of {len(differ)} groups",
        [
            _tile(audit, row, f"{number}: {EMOTIONS[data.emotion[row]]}")
            for number, rows in enumerate(differ, start=1)
            for row in rows.tolist()
        ],
    )
    blank = np.flatnonzero(audit.no_face)
    found["no-face"] = (
        f"Blank, or without a face by the votes: {{}} of {len(blank)}",
        [_tile(audit, row, EMOTIONS[data.emotion[row]]) for row in blank.tolist()],
    )
    if audit.not_found is not None:
        rows = np.flatnonzero(audit.not_found & ~audit.no_face)
        found["not-found"] = (
            f"No face found by the detector, but by the votes if there are any: {{}} of "
            f"{len(rows)}",
            [_tile(audit, row, EMOTIONS[data.emotion[row]]) for row in rows.tolist()],
        )
    return {
        name: (title.format(len(tiles[:_SHOWN])), tiles[:_SHOWN])
        for name, (title, tiles) in found.items()
        if tiles
    }


def _tile(audit: Audit, row: int, text: str) -> Tile:
    data = audit.dataset
    name = f"row {row + 1}" if data.names is None else Path(data.names[row]).name[:18]
    return text, name, data.crops[row, :, :, 0]
