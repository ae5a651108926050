"""Make the live page's sample photos from the portrait: python tools/make_samples.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

ASSETS = Path(__file__).resolve().parent.parent / "src/mien"
PORTRAIT = ASSETS / "assets" / "astronaut.jpg"
TARGET = ASSETS / "service" / "static" / "samples"
MOUTH = (186, 136, 266, 172)  # left, top, right, bottom in the portrait
HEAD = (126, 10, 326, 210)
CLOTH = (86, 104, 128)


def covered(portrait: Image.Image) -> Image.Image:
    """Hide the mouth behind a band, so that there is little left to read."""
    drawn = portrait.copy()
    ImageDraw.Draw(drawn).rounded_rectangle(MOUTH, 16, fill=CLOTH)
    return drawn


def crowd(portrait: Image.Image) -> Image.Image:
    """Put twelve versions of the head side by side: mirrored, turned, brighter, covered."""
    rng = np.random.default_rng(1)
    canvas = Image.new("RGB", (1000, 760), (58, 62, 70))
    for number in range(12):
        head = (covered(portrait) if number % 4 == 2 else portrait).crop(HEAD)
        head = ImageOps.mirror(head) if number % 3 == 1 else head
        side = int(rng.integers(150, 231))
        head = head.rotate(float(rng.uniform(-9, 9)), Image.Resampling.BICUBIC).crop(
            (14, 14, 186, 186)
        )
        head = ImageEnhance.Brightness(head.resize((side, side))).enhance(
            float(rng.uniform(0.65, 1.15))
        )
        left, top = number % 4 * 245 + 15, number // 4 * 248 + 10
        canvas.paste(head, (left + (230 - side) // 2, top + (230 - side) // 2))
    return canvas


def main() -> None:
    """Write both."""
    portrait = Image.open(PORTRAIT).convert("RGB")
    TARGET.mkdir(exist_ok=True)
    covered(portrait).save(TARGET / "covered.jpg", quality=85)
    crowd(portrait).save(TARGET / "crowd.jpg", quality=82)


if __name__ == "__main__":
    main()
