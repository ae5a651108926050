from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.palette import EXPRESSION_COLORS, color_of, colors_of, ink_on
from mien.types import EMOTIONS

# Colour vision, as matrices on linear sRGB. Source: Machado, Oliveira and Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, severity 1.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def linear(colour: str) -> NDArray[np.float64]:
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Source: Ottosson, "A perceptual color space for image processing", 2020."""
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(to_lab @ np.cbrt(to_cones @ np.clip(rgb, 0, 1)))


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    dark, light = sorted(float(linear(each) @ (0.2126, 0.7152, 0.0722)) for each in (one, other))
    return (light + 0.05) / (dark + 0.05)


class TestPalette:
    def test_every_emotion_has_a_colour_and_contempt_too(self) -> None:
        assert set(EXPRESSION_COLORS) == {*EMOTIONS, "contempt"}

    @pytest.mark.parametrize("vision", VISION)
    def test_any_two_colours_are_told_apart(self, vision: str) -> None:
        seen = {name: oklab(VISION[vision] @ linear(c)) for name, c in EXPRESSION_COLORS.items()}
        for one, other in combinations(seen, 2):
            assert 100 * np.linalg.norm(seen[one] - seen[other]) >= 11, (one, other)

    @pytest.mark.parametrize("ground", ["#ffffff", "#121212"])
    @pytest.mark.parametrize("emotion", EXPRESSION_COLORS)
    def test_colours_show_on_light_and_dark(self, emotion: str, ground: str) -> None:
        assert contrast(EXPRESSION_COLORS[emotion], ground) >= 2.25

    @pytest.mark.parametrize("emotion", EXPRESSION_COLORS)
    def test_letters_on_a_colour_are_read(self, emotion: str) -> None:
        ink = ink_on(EXPRESSION_COLORS[emotion])
        assert contrast(EXPRESSION_COLORS[emotion], ink) >= 4.3

    @pytest.mark.parametrize(
        ("label", "same"),
        [
            ("", "neutral"),
            ("bored", "neutral"),
            ("sad", "sad"),
            ("anger", "angry"),
            ("happiness", "happy"),
            ("sadness", "sad"),
        ],
    )
    def test_other_words_have_colours_too(self, label: str, same: str) -> None:
        assert color_of(label) == EXPRESSION_COLORS[same]

    @pytest.mark.parametrize(
        "labels",
        [
            (),
            ("calm",),
            ("calm", "tense", "bored"),
            ("happy", "calm", "tense", "bored", "proud"),
            tuple("abcdefgh"),
        ],
    )
    def test_unknown_labels_have_different_colors(self, labels: tuple[str, ...]) -> None:
        colors = colors_of(labels)

        assert tuple(colors) == labels
        assert len(set(colors.values())) == len(labels)
        assert set(colors.values()) <= set(EXPRESSION_COLORS.values())

    def test_more_labels_than_colors_begin_again(self) -> None:
        colors = list(colors_of(f"label {number}" for number in range(20)).values())

        assert colors[:8] == colors[8:16]

    def test_known_labels_keep_their_color_among_unknown_ones(self) -> None:
        colors = colors_of(("calm", "surprise", "happiness"))

        assert colors["surprise"] == EXPRESSION_COLORS["surprise"]
        assert colors["happiness"] == EXPRESSION_COLORS["happy"]
        assert colors["calm"] not in (colors["surprise"], colors["happiness"])
