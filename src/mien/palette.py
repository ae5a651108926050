"""One color for each expression, and the ink that reads on it: photos, plots and pages."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

import numpy as np

__all__ = ["DARK", "EXPRESSION_COLORS", "LIGHT", "color_of", "colors_of", "ink_on", "rgb"]

#: sRGB by label. Any two are distinguishable with full colour vision and with protanopia,
#: deuteranopia and tritanopia (11 and more in OKLab times 100, colour blindness simulated after
#: Machado et al. 2009), and each contrasts with white and with #121212 (2.25 and more). The
#: palettes of Okabe and Ito and of Petroff are not used: no eight of their colours reach both.
#: Found by search for the largest least distance, within the hues that people expect of the
#: expressions; tests/test_palette.py measures it.
EXPRESSION_COLORS: dict[str, str] = {
    "angry": "#9f1b03",
    "disgust": "#14924d",
    "fear": "#9d67bd",
    "happy": "#d5a418",
    "neutral": "#a0a0a0",
    "sad": "#324ca3",
    "surprise": "#2db6f5",
    "contempt": "#6b435d",
}

#: The inks: near-black and white.
DARK, LIGHT = "#121212", "#ffffff"

# FER+ names the same expressions by nouns.
_SAME = {"anger": "angry", "happiness": "happy", "sadness": "sad"}

# The order in which labels without a color of their own get one, so that the first few lie
# far apart. Neutral's grey is last: it looks like no answer.
_ORDER = ("surprise", "happy", "contempt", "disgust", "fear", "angry", "sad", "neutral")


def colors_of(labels: Iterable[str]) -> dict[str, str]:
    """Return the color of each label, as ``#rrggbb``, for labels that are shown together.

    A known expression has its own color, FER+'s nouns ("happiness") included. Other labels
    get, in their order, those that no known label uses, and all of them again after that.
    """
    known = {label: _known(label) for label in labels}
    used = {color for color in known.values() if color}
    every = [EXPRESSION_COLORS[name] for name in _ORDER]
    free = cycle([color for color in every if color not in used] or every)
    return {label: color or next(free) for label, color in known.items()}


def color_of(label: str) -> str:
    """Return the color of a known expression, neutral's for another label.

    Where several labels are shown together, :func:`colors_of` tells unknown ones apart.
    """
    return _known(label) or EXPRESSION_COLORS["neutral"]


def ink_on(color: str) -> str:
    """Return :data:`DARK` or :data:`LIGHT`, whichever reads better (WCAG 2 luminance)."""
    parts = np.array(rgb(color)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return DARK if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else LIGHT


def rgb(color: str) -> tuple[int, int, int]:
    """Return ``#rrggbb`` as three numbers from 0 to 255."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _known(label: str) -> str | None:
    return EXPRESSION_COLORS.get(_SAME.get(label, label))
