"""Measure how the default detector's box lies in FER2013's frame, for the model card.

    python scripts/measure_crop_geometry.py fer2013.csv.gz

Training images are enlarged and laid on a grey canvas, so that the box can leave the frame
as it can in a photograph. From the median box follow the two numbers with which
``mien.faces.crop_faces`` frames a face as FER2013 does. They are printed with their spread,
and the frame they give is held against the true one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import data
from mien.card import Framing
from mien.faces import CenterFace, crop_faces
from mien.types import Face, Image

CANVAS_PX = 256
FRAMES_PX = (72, 224)  # a picture's side on the canvas
GREY = 127


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="fer2013.csv, fer2013.csv.gz or its folder")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="write crops under their originals here")
    arguments = parser.parse_args()

    generator = np.random.default_rng(arguments.seed)
    dataset = data.load(arguments.data)
    rows = generator.permutation(dataset.rows("Training"))[: arguments.images]
    originals = dataset.crops[rows, :, :, 0]
    canvases, frames = lay_out(originals, generator)
    detector = CenterFace(min_face_px=16, threads=1)
    faces = [detector(canvas)[:1] for canvas in canvases]
    seen = np.array([bool(found) for found in faces])
    print(f"found in {seen.mean():.1%} of {len(rows)} training images")

    boxes = np.array([found[0].box for found in faces if found], float)
    geometry = measure(boxes, frames[seen])
    print(f"scale {geometry.scale:.3f}, shift_y {geometry.shift_y:+.3f}")

    crops = crop_all(canvases[seen], [found[0] for found in faces if found], geometry)
    print(f"correlation with the originals: median {np.median(match(crops, originals[seen])):.3f}")
    if arguments.sheet:
        write_sheet(arguments.sheet, originals[seen], crops)


def lay_out(
    originals: NDArray[np.uint8], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return RGB canvases (N, 256, 256, 3) and where each picture lies on its own, (N, 4) xywh.

    Sizes and places are random, so that the detector's grid does not favour one.
    """
    sides = generator.integers(*FRAMES_PX, len(originals))
    corners = generator.integers(8, CANVAS_PX - sides[:, None] - 8, (len(originals), 2))
    canvases = np.full((len(originals), CANVAS_PX, CANVAS_PX, 3), GREY, np.uint8)
    for canvas, original, side, (x, y) in zip(canvases, originals, sides, corners, strict=True):
        enlarged = cv2.resize(original, (side, side), interpolation=cv2.INTER_CUBIC)
        canvas[y : y + side, x : x + side] = enlarged[..., None]
    return canvases, np.column_stack([corners, sides, sides])


def measure(boxes_xywh: NDArray[np.float64], frames_xywh: NDArray[np.int64]) -> Framing:
    """Return the medians of what each box says; print their spread."""
    sides = boxes_xywh[:, 2:].max(axis=1)
    scales = frames_xywh[:, 2] / sides
    centres, targets = (each[:, :2] + each[:, 2:] / 2 for each in (boxes_xywh, frames_xywh))
    shifts = (targets - centres) / sides[:, None]
    for name, values in (("scale", scales), ("shift_x", shifts[:, 0]), ("shift_y", shifts[:, 1])):
        low, middle, high = np.percentile(values, (25, 50, 75))
        print(f"{name}: median {middle:+.3f}, half of them {low:+.3f} to {high:+.3f}")
    return Framing(float(np.median(scales)), float(np.median(shifts[:, 1])))


def crop_all(
    canvases: NDArray[np.uint8], faces: list[Face], geometry: Framing
) -> NDArray[np.uint8]:
    """Return the first face of each canvas, (N, 48, 48)."""
    images: list[Image] = list(canvases)
    return np.concatenate(
        [
            crop_faces(image, [face], geometry)[..., 0]
            for image, face in zip(images, faces, strict=True)
        ]
    )


def match(crops: NDArray[np.uint8], originals: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return each crop's correlation with its original."""
    return np.array(
        [
            np.corrcoef(crop.ravel(), original.ravel())[0, 1]
            for crop, original in zip(crops, originals, strict=True)
        ]
    )


def write_sheet(path: Path, originals: NDArray[np.uint8], crops: NDArray[np.uint8]) -> None:
    """Write 6 rows of 24 pairs: originals above, crops below."""
    pairs = np.concatenate([originals, crops], axis=1)[: 6 * 24]
    sheet = np.concatenate([np.concatenate(pairs[i : i + 24], axis=1) for i in range(0, 144, 24)])
    cv2.imwrite(str(path), cv2.resize(sheet, None, fx=1.5, fy=1.5))


if __name__ == "__main__":
    main()
