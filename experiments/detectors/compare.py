"""Compare face detectors on scenes whose faces are known: recall, false alarms, time.

    python experiments/detectors/compare.py fer2013.csv.gz --backgrounds FOLDER

Without data, synthetic faces are pasted. All detectors see each scene in turn, so that the
times can be compared, as ratios. Only Training rows are used.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scenes import CONDITIONS, Frame, backgrounds, faceless, scenes

from mien import data
from mien.data.synthetic import draw_face
from mien.faces import CenterFace
from mien.faces.looks import default_detector
from mien.faces.yunet import YuNet
from mien.types import EMOTIONS, Face, Image

Detect = Callable[[Image], tuple[Face, ...]]

THRESHOLDS = {
    "centerface": (0.3, 0.4, 0.5),
    "yunet": (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75),
    "default": (0.0,),
}
SHIPPED = {"centerface": 0.4, "yunet": 0.6, "default": 0.0}
LOWEST = 0.3
# A face counts as found where a box lies within these of the true frame.
MAX_OFFSET = 0.3  # of the frame's side
SIZE_RATIO = (0.5, 1.6)  # longer side of the box to the frame's side; the box is 0.93 of it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--backgrounds", type=Path, help="a folder of pictures without faces")
    parser.add_argument("--scenes", type=int, default=100, help="scenes for each condition")
    parser.add_argument("--faceless", type=int, default=400, help="scenes without a face")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    faces = training_faces(arguments.data, arguments.seed)
    pictures = backgrounds(arguments.backgrounds)
    detectors: Mapping[str, Detect] = {
        "centerface": CenterFace(threads=1, threshold=LOWEST),
        **{
            f"yunet {face_px}": YuNet(threads=1, threshold=LOWEST, min_face_px=face_px)
            for face_px in (32, 24, 19, 16)
        },
        "default": default_detector(threads=1),  # yunet 24, with second looks, as it ships
    }
    scores, extra, seconds = measure(detectors, faces, pictures, arguments)
    print_recall(detectors, scores)
    print_thresholds(detectors, scores, extra)
    empty = arguments.faceless
    for name in detectors:
        faces_ms, empty_ms = (
            1e3 * np.median(part) for part in (seconds[name][:-empty], seconds[name][-empty:])
        )
        print(f"{name}: {faces_ms:.1f} ms a scene with a face, {empty_ms:.1f} ms without, median")


def training_faces(path: Path | None, seed: int) -> NDArray[np.uint8]:
    """Return Training pictures (N, 48, 48), or synthetic faces where there is no data."""
    if path is None:
        generator = np.random.default_rng(seed)
        drawn = [draw_face(index % len(EMOTIONS), generator) for index in range(500)]
        return np.stack(drawn)
    dataset = data.load(path)
    return dataset.crops[dataset.rows("Training"), :, :, 0]


def measure(
    detectors: Mapping[str, Detect],
    faces: NDArray[np.uint8],
    pictures: list[Image],
    arguments: argparse.Namespace,
) -> tuple[dict[str, dict[str, list[float]]], dict[str, list[float]], dict[str, list[float]]]:
    """Return the score of each true face (0: missed), by detector and condition; the scores
    of all false alarms in scenes without a face; and seconds a scene.
    """
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in detectors}
    extra: dict[str, list[float]] = {name: [] for name in detectors}
    seconds: dict[str, list[float]] = {name: [] for name in detectors}

    def run(name: str, image: Image) -> tuple[Face, ...]:
        start = time.perf_counter()
        found = detectors[name](image)
        seconds[name].append(time.perf_counter() - start)
        return found

    for number, (condition, what) in enumerate(CONDITIONS.items()):
        made = scenes(faces, pictures, what, arguments.scenes, arguments.seed + number)
        for scene in made:
            for name in detectors:
                found = run(name, scene.image)
                best = max((face.score for face in found if is_at(face, scene.frame)), default=0)
                scores[name].setdefault(condition, []).append(best)
    for image in faceless(pictures, arguments.faceless, arguments.seed):
        for name in detectors:
            extra[name] += [face.score for face in run(name, image)]
    return scores, extra, seconds


def is_at(face: Face, frame: Frame) -> bool:
    """Return whether a detected face is the one in the frame."""
    x, y, w, h = face.box
    offset = np.hypot(x + w / 2 - frame.x, y + h / 2 - frame.y) / frame.side
    return bool(offset < MAX_OFFSET and SIZE_RATIO[0] < max(w, h) / frame.side < SIZE_RATIO[1])


def print_recall(
    detectors: Mapping[str, Detect], scores: Mapping[str, Mapping[str, list[float]]]
) -> None:
    shown = {name: SHIPPED[name.split()[0]] for name in detectors}
    print(f"| found, % | {' | '.join(f'{name} > {shown[name]}' for name in detectors)} |")
    print("|---|" + "---:|" * len(detectors))
    for condition in CONDITIONS:
        cells = [
            f"{100 * np.mean(np.array(scores[name][condition]) > shown[name]):.0f}"
            for name in detectors
        ]
        print(f"| {condition} | {' | '.join(cells)} |")


def print_thresholds(
    detectors: Mapping[str, Detect],
    scores: Mapping[str, Mapping[str, list[float]]],
    extra: Mapping[str, list[float]],
) -> None:
    count = {name: len(next(iter(scores[name].values()))) for name in detectors}
    print("\n| detector | threshold | found, mean of conditions | false alarms, faceless |")
    print("|---|---:|---:|---:|")
    for name in detectors:
        for threshold in THRESHOLDS[name.split()[0]]:
            found = np.mean([np.array(each) > threshold for each in scores[name].values()])
            wrong = sum(score > threshold for score in extra[name])
            print(f"| {name} | {threshold} | {found:.1%} of {count[name]} each | {wrong} |")


if __name__ == "__main__":
    main()
