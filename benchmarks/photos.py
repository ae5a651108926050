"""Make photos with one face each, to time the whole way from a file to readings.

    python benchmarks/photos.py photos/                                  # 8 of 640 x 480
    python benchmarks/photos.py large/ --size 4032x3024 --count 4
    python benchmarks/photos.py many/ --count 1000

The portrait in ``examples/`` stands at a different place in each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

PORTRAIT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
GREY = (110, 110, 110)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="640x480", help="width x height in pixels")
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))

    options.folder.mkdir(parents=True, exist_ok=True)
    with Image.open(PORTRAIT) as picture:
        side = min(width, height)
        portrait = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    for number in range(options.count):
        photo = Image.new("RGB", (width, height), GREY)
        place = number / max(options.count - 1, 1)
        photo.paste(portrait, (round((width - side) * place), round((height - side) * place)))
        photo.save(options.folder / f"{number:04}.jpg", quality=92)


if __name__ == "__main__":
    main()
