"""Scenes whose faces are known: faces pasted into pictures that have none.

A face is a FER2013 Training picture (or a synthetic one), and so its frame, the square that the
network was trained on, is known exactly: centre, side and roll. Pixels of FER2013 never leave
this program.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mien.images import read
from mien.types import Image

__all__ = [
    "CONDITIONS",
    "Frame",
    "Scene",
    "backgrounds",
    "faceless",
    "place",
    "scenes",
    "without_faces",
]

SCENE_HW = (480, 640)
Grey = NDArray[np.uint8]
Generator = np.random.Generator


class Frame(NamedTuple):
    """A square in a scene: centre x and y, side, in pixels, and roll in degrees, clockwise."""

    x: float
    y: float
    side: float
    roll: float


@dataclass(frozen=True)
class Scene:
    """An RGB image, the frame of its one face, and the row of the face."""

    image: Image
    frame: Frame
    row: int


@dataclass(frozen=True)
class Condition:
    """What is done to a scene.

    Attributes:
        sides: smallest and largest side of the face's frame in pixels.
        rolls: smallest and largest roll in degrees, to either side.
        outside: fraction of the frame's side beyond the border of the scene.
        alter: changes the finished scene.
    """

    sides: tuple[float, float] = (56, 160)
    rolls: tuple[float, float] = (0, 12)
    outside: float = 0.0
    alter: Callable[[Scene, Generator], Image] = lambda scene, _: scene.image


def backgrounds(folder: Path | None) -> list[Image]:
    """Return pictures without faces: those of scikit-learn, made ones, and a folder's own."""
    from sklearn.datasets import load_sample_images

    found = [np.ascontiguousarray(image) for image in load_sample_images().images]
    generator = np.random.default_rng(0)
    found += [_clouds(generator, exponent) for exponent in (0.8, 1.2, 1.6, 2.0)]
    found += [_shapes(generator) for _ in range(4)]
    if folder:
        found += [read(path) for path in sorted(folder.iterdir())]
    return found


def without_faces(pictures: Sequence[Image], generator: Generator) -> Image:
    """Return a random part of a random picture, mirrored or not, at the size of a scene."""
    picture = pictures[generator.integers(len(pictures))]
    height, width = picture.shape[:2]
    part_h = min(height, width * SCENE_HW[0] / SCENE_HW[1]) * generator.uniform(0.6, 1)
    part_w = part_h * SCENE_HW[1] / SCENE_HW[0]
    top, left = (int(generator.uniform(0, a - b)) for a, b in ((height, part_h), (width, part_w)))
    part = picture[top : top + int(part_h), left : left + int(part_w)]
    resized = cv2.resize(part, SCENE_HW[::-1], interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(resized[:, :: generator.choice((-1, 1))])


def place(face: Grey, background: Image, frame: Frame, generator: Generator) -> Image:
    """Paste a grey face into a picture, tinted as skin may be, with soft edges."""
    side = max(2, round(frame.side))
    enlarged = cv2.resize(
        face, (side, side), interpolation=cv2.INTER_AREA if side < 48 else cv2.INTER_CUBIC
    )
    angle = math.radians(frame.roll)
    step = np.array([math.cos(angle), math.sin(angle)]) * frame.side / side
    down = np.array([-step[1], step[0]])
    corner = np.array([frame.x, frame.y]) - (step + down) * (side - 1) / 2 - 0.5
    matrix = np.column_stack([step, down, corner])
    across = np.abs(np.linspace(-1, 1, side))
    distance = (across[:, None] ** 5 + across**5) ** 0.2
    mask = np.clip((1 - distance) / 0.12, 0, 1).astype(np.float32)
    size = background.shape[1::-1]
    pasted = cv2.warpAffine(
        enlarged, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    weight = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    tint = np.array([1.0, 1.0, 1.0]) + generator.uniform(0, 1) * np.array([0.08, -0.05, -0.15])
    coloured = np.clip(pasted[..., None] * tint, 0, 255)
    mixed = background * (1 - weight) + coloured * weight
    return np.asarray(np.rint(mixed), np.uint8)


def scenes(
    faces: Grey, pictures: Sequence[Image], condition: Condition, count: int, seed: int
) -> Iterator[Scene]:
    """Yield scenes with one face each.

    Args:
        faces: uint8 (N, 48, 48).
    """
    generator = np.random.default_rng(seed)
    for row in generator.choice(len(faces), count, replace=count > len(faces)).tolist():
        low, high = condition.sides
        side = math.exp(generator.uniform(math.log(low), math.log(high)))
        roll = generator.uniform(*condition.rolls) * generator.choice((-1, 1))
        frame = Frame(*_centre(side, condition.outside, generator), side, roll)
        background = without_faces(pictures, generator)
        scene = Scene(place(faces[row], background, frame, generator), frame, row)
        yield replace(scene, image=condition.alter(scene, generator))


def _centre(side: float, outside: float, generator: Generator) -> tuple[float, float]:
    """Return a random place within the scene, or as far beyond one of its borders."""
    height, width = SCENE_HW
    margin = min(side / 2, height / 2 - 1)
    x, y = generator.uniform(margin, width - margin), generator.uniform(margin, height - margin)
    if outside == 0:
        return x, y
    beyond = side * (0.5 - outside)
    ends = [(beyond, y), (width - beyond, y), (x, beyond), (x, height - beyond)]
    place_x, place_y = ends[generator.integers(4)]
    return place_x, place_y


def faceless(pictures: Sequence[Image], count: int, seed: int) -> Iterator[Image]:
    """Yield scenes without a face."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield without_faces(pictures, generator)


def _light(gain: float) -> Callable[[Scene, Generator], Image]:
    return lambda scene, _: np.clip(np.rint(scene.image * float(gain)), 0, 255).astype(np.uint8)


def _haze(scene: Scene, _: Generator) -> Image:
    return np.rint(150 + (scene.image - 150.0) * 0.15).astype(np.uint8)


def _noise(deviation: float) -> Callable[[Scene, Generator], Image]:
    def alter(scene: Scene, generator: Generator) -> Image:
        noise = generator.normal(0, deviation, scene.image.shape)
        return np.clip(np.rint(scene.image + noise), 0, 255).astype(np.uint8)

    return alter


def _blur(fraction: float) -> Callable[[Scene, Generator], Image]:
    return lambda scene, _: cv2.GaussianBlur(scene.image, None, scene.frame.side * fraction)


def _jpeg(scene: Scene, _: Generator) -> Image:
    data = io.BytesIO()
    Pillow.fromarray(scene.image).save(data, "JPEG", quality=5)
    return np.asarray(Pillow.open(data))


def _cover(rows: tuple[float, float], columns: tuple[float, float]) -> Any:
    """Return what paints over a part of the frame, in fractions of it, as a cloth would."""

    def alter(scene: Scene, generator: Generator) -> Image:
        x, y, side, roll = scene.frame
        angle = math.radians(roll)
        right = np.array([math.cos(angle), math.sin(angle)]) * side
        down = np.array([-right[1], right[0]])
        (top, bottom), (left, far) = rows, columns
        corners = [
            np.array([x, y]) + right * (u - 0.5) + down * (v - 0.5)
            for u, v in ((left, top), (far, top), (far, bottom), (left, bottom))
        ]
        colour = generator.integers(0, 256, 3).tolist()
        image = scene.image.copy()
        cv2.fillPoly(image, [np.rint(corners).astype(np.int32)], colour, cv2.LINE_AA)
        return image

    return alter


#: What the bench measures, by name.
CONDITIONS: dict[str, Condition] = {
    **{f"side {side}": Condition(sides=(side, side)) for side in (12, 16, 20, 24, 28, 32)},
    **{f"side {side}": Condition(sides=(side, side)) for side in (48, 96, 200, 300, 400)},
    **{f"roll {roll}": Condition(rolls=(roll, roll)) for roll in (0, 15, 30, 45, 60)},
    **{f"roll {roll}": Condition(rolls=(roll, roll)) for roll in (90, 120, 150, 180)},
    **{f"light {gain}": Condition(alter=_light(gain)) for gain in (0.3, 0.1, 0.06, 0.03, 3)},
    "haze": Condition(alter=_haze),
    **{f"noise {deviation}": Condition(alter=_noise(deviation)) for deviation in (20, 40, 80)},
    "blur 1/24": Condition(alter=_blur(1 / 24)),
    "blur 1/12": Condition(alter=_blur(1 / 12)),
    "JPEG 5": Condition(alter=_jpeg),
    "outside 0.2": Condition(outside=0.2),
    "outside 0.35": Condition(outside=0.35),
    "mouth covered": Condition(alter=_cover((0.6, 1), (0, 1))),
    "eyes covered": Condition(alter=_cover((0.25, 0.48), (0, 1))),
    "half covered": Condition(alter=_cover((0, 1), (0.5, 1))),
}


def _clouds(generator: Generator, exponent: float) -> Image:
    """Return coloured noise whose amplitude falls with frequency, as in photographs."""
    height, width = SCENE_HW
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = 1
    planes = []
    for _ in range(3):
        white = np.fft.rfft2(generator.normal(size=SCENE_HW))
        plane = np.fft.irfft2(white / frequency**exponent, SCENE_HW)
        planes.append(128 + 55 * plane / plane.std())
    return np.clip(np.rint(np.stack(planes, axis=-1)), 0, 255).astype(np.uint8)


def _shapes(generator: Generator) -> Image:
    image = np.full((*SCENE_HW, 3), generator.integers(0, 256, 3), np.uint8)
    for _ in range(60):
        centre = (int(generator.integers(640)), int(generator.integers(480)))
        axes = (int(generator.integers(5, 90)), int(generator.integers(5, 90)))
        colour = generator.integers(0, 256, 3).tolist()
        turn = float(generator.uniform(0, 180))
        if generator.integers(2):
            cv2.ellipse(image, centre, axes, turn, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, centre, (centre[0] + axes[0], centre[1] + axes[1]), colour, -1)
    return cv2.GaussianBlur(image, None, 0.8)
