"""Measure how detectors' landmarks and boxes lie in FER2013's frame, and how well faces are framed.

    python experiments/detectors/measure_framing.py fer2013.csv.gz --photos FOLDER

1. Templates: medians over Training rows pasted into scenes, in sides of the true frame.
2. Whole heads: each face of the photos is framed and cut out; the cut is made to look like a
   picture of FER2013 (48 pixels, grey), enlarged to 128 pixels and framed again.
3. Error of side and centre against the true frame, on rows held out of training.
4. Accuracy of the network on the crops that follow, against the pictures themselves.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from compare import is_at
from numpy.typing import NDArray
from scenes import Condition, Scene, backgrounds, scenes

from mien import data
from mien.card import Framing
from mien.faces import CenterFace, Detector
from mien.faces.template import CENTERFACE, YUNET, FaceTemplate, Square, frame
from mien.faces.yunet import YuNet
from mien.images import read
from mien.runtime import open_session
from mien.types import Face, Image, Point

ENLARGED_PX = 128
OLD = Framing(1.07, -0.02)  # of the box, as every face was framed before


class Detected(NamedTuple):
    """A scene and the face that was found in it."""

    scene: Scene
    face: Face


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--photos", type=Path, nargs="*", default=[], help="files or folders")
    parser.add_argument("--fit", type=int, default=1000, help="rows to measure templates on")
    parser.add_argument("--held", type=int, default=1000, help="held-out rows to measure errors on")
    arguments = parser.parse_args()

    dataset = data.load(arguments.data)
    fit, held = data.hold_out(dataset, 0.05, seed=1)
    pictures = backgrounds(arguments.backgrounds)
    detectors: dict[str, tuple[Detector, FaceTemplate]] = {
        "centerface": (CenterFace(threads=1), CENTERFACE),
        "yunet": (YuNet(threads=1), YUNET),
    }
    level = Condition(sides=(56, 200), rolls=(0, 0))
    made = list(scenes(dataset.crops[fit, :, :, 0], pictures, level, arguments.fit, seed=2))
    for name, (detector, _) in detectors.items():
        print_template(name, list(detected(detector, made)))
    photos = [read(path) for path in files(arguments.photos)]
    for name, (detector, template) in detectors.items():
        print_whole_heads(name, detector, template, photos)
    turned = Condition(sides=(56, 200), rolls=(0, 20))
    made = list(scenes(dataset.crops[held, :, :, 0], pictures, turned, arguments.held, seed=3))
    for name, (detector, template) in detectors.items():
        found = list(detected(detector, made))
        print_errors(name, found, template)
        print_accuracy(name, found, template, dataset.take(held))


def files(paths: Sequence[Path]) -> list[Path]:
    return [
        each for path in paths for each in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]


def detected(detector: Detector, made: Sequence[Scene]) -> Iterator[Detected]:
    """Yield the scenes whose face was found, with it."""
    for scene in made:
        at = [face for face in detector(scene.image) if is_at(face, scene.frame)]
        if at:
            yield Detected(scene, at[0])


def within(points: NDArray[np.float64], square: Square) -> NDArray[np.float64]:
    """Return points (N, 2) in sides of a square from its centre, along its rows and columns."""
    offset = (points - np.array(square.centre)) / square.side
    cosine, sine = math.cos(square.roll), math.sin(square.roll)
    return offset @ np.array([[cosine, -sine], [sine, cosine]])


def true_square(scene: Scene) -> Square:
    x, y, side, roll = scene.frame
    return Square(Point(x, y), side, math.radians(roll))


def print_template(name: str, found: Sequence[Detected]) -> None:
    landmarks, boxes = [], []
    for scene, face in found:
        square, box = true_square(scene), face.box
        landmarks.append(within(np.array(face.landmarks), square))
        middle = within(np.array([[box.x + box.w / 2, box.y + box.h / 2]]), square)[0]
        longer = max(box.w, box.h) / square.side
        boxes.append([1 / longer, -middle[1] / longer])
    print(f"\n{name}: {len(found)} level Training pictures; landmarks from the frame's centre:")
    print(f"    {np.median(landmarks, axis=0).round(3).tolist()}")
    scale, shift = np.median(boxes, axis=0)
    print(f"    box_scale {scale:.3f}, box_shift_y {shift:+.3f}")


def print_whole_heads(
    name: str, detector: Detector, template: FaceTemplate, photos: Sequence[Image]
) -> None:
    """Print side and centre of the second square in sides of the first, which is the picture."""
    again = []
    for photo in photos:
        for face in detector(photo):
            picture = like_fer2013(cut(photo, frame(face, template)))
            for second in detector(picture)[:1]:
                square = frame(second, template)
                offset = np.array(square.centre) / ENLARGED_PX - 0.5
                again.append([square.side / ENLARGED_PX, *offset])
    if again:
        side, right, down = np.median(again, axis=0)
        print(
            f"{name}: {len(again)} whole heads framed twice: the second side is {side:.3f} of the "
            f"first, its centre {right:+.3f} right and {down:+.3f} down"
        )


def like_fer2013(crop: NDArray[np.uint8]) -> Image:
    """Enlarge a grey crop of 48 pixels, and return it as an image."""
    size = (ENLARGED_PX, ENLARGED_PX)
    return np.repeat(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC)[..., None], 3, axis=2)


def cut(image: Image, square: Square, side_px: int = 48) -> NDArray[np.uint8]:
    """Return the square in grey, each pixel the mean of those under it."""
    finer = side_px * max(1, min(8, math.ceil(square.side / side_px)))
    step = square.side / finer
    right = np.array([math.cos(square.roll), math.sin(square.roll)]) * step
    down = np.array([-right[1], right[0]])
    corner = np.array(square.centre) - (right + down) * (finer - 1) / 2 - 0.5
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    matrix = np.column_stack([right, down, corner])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(
        grey, matrix, (finer, finer), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(sampled, (side_px, side_px), interpolation=cv2.INTER_AREA)


def rules(face: Face, template: FaceTemplate) -> dict[str, Square]:
    """Return the face's square by each rule that is compared."""
    boxes, marks = (
        FaceTemplate(template.landmarks, template.box_scale, template.box_shift_y, weight)
        for weight in (0.0, 1.0)
    )
    return {
        "box": frame(face, boxes),
        "landmarks": frame(face, marks),
        "as shipped": frame(face, template),
        "old": old_square(face),
    }


def old_square(face: Face) -> Square:
    unknown = FaceTemplate(box_scale=OLD.scale, box_shift_y=OLD.shift_y)
    level = frame(face, unknown)
    return Square(level.centre, level.side, frame(face, CENTERFACE).roll)


def print_errors(name: str, found: Sequence[Detected], template: FaceTemplate) -> None:
    print(
        f"\n| {name}, {len(found)} held-out pictures | side, median | error of side | of centre |"
    )
    print("|---|---:|---:|---:|")
    for rule in rules(found[0].face, template):
        pairs = [(rules(face, template)[rule], true_square(scene)) for scene, face in found]
        ratio = np.array([square.side / true.side for square, true in pairs])
        offset = [math.dist(square.centre, true.centre) / true.side for square, true in pairs]
        spread = np.percentile(np.abs(np.log(ratio)), (50, 90))
        far = np.percentile(offset, (50, 90))
        print(
            f"| {rule} | {np.median(ratio):.3f} | {spread[0]:.1%} (90 %: {spread[1]:.1%}) "
            f"| {far[0]:.1%} (90 %: {far[1]:.1%}) |"
        )


def print_accuracy(
    name: str, found: Sequence[Detected], template: FaceTemplate, held: data.Dataset
) -> None:
    """Print how many of the found faces the network reads right, by how they were cut out."""
    session = open_session(threads=1)
    rows = np.array([scene.row for scene, _ in found])
    truth = held.emotion[rows]

    def right(crops: NDArray[np.uint8]) -> float:
        return float(np.mean(session(crops[..., None])["emotion"].argmax(axis=1) == truth))

    print(f"{name}: the network reads {right(held.crops[rows, :, :, 0]):.1%} of the pictures right")
    true = [cut(scene.image, true_square(scene)) for scene, _ in found]
    print(f"    {right(np.stack(true)):.1%} cut out by their true frame")
    for rule in rules(found[0].face, template):
        crops = [cut(scene.image, rules(face, template)[rule]) for scene, face in found]
        print(f"    {right(np.stack(crops)):.1%} by {rule}")


if __name__ == "__main__":
    main()
