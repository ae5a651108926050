"""Views: how each training crop is framed, and what teachers say of it so framed.

A view is an affine map for every training row, drawn by its number alone. Teachers look at the
undegraded view, each mirrored at random and moved by up to a pixel; the student then sees the
same view under light, blur, noise and cover that no teacher has to see through. What it learns
is the mean of what the teachers say of all faces that look the same to it, so that it grows
unsure where evidence fades.

    python experiments/training/views.py RUN --teacher NAME=FILE ... --count 12

writes ``RUN/views/0003.NAME.npy``, float16 (N, C) logits divided by the teacher's temperature,
and ``RUN/views/held_out.NAME.npy`` for the plain crops held out. Several processes may write
different teachers' files, and students read what there is.

Source:
    Beyer et al., "Knowledge Distillation: A Good Teacher Is Patient and Consistent", CVPR 2022.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["compose", "matrices", "warp"]

_BATCH = 128


def matrices(view: int, count: int, side: int = 48) -> NDArray[np.float64]:
    """Return the maps (count, 2, 3) from a view's pixels to the crop's, drawn by its number.

    The ranges are those of the recipe ``glance-steady``.
    """
    generator = np.random.default_rng([7, view])
    return _drawn(
        generator, count, side, degrees=15, shift=0.08, shear=0.1, zoom=0.15, mirrored=0.5
    )


def _drawn(
    generator: np.random.Generator,
    count: int,
    side: int,
    *,
    degrees: float,
    shift: float,
    shear: float,
    zoom: float,
    mirrored: float,
) -> NDArray[np.float64]:
    angle = np.deg2rad(generator.uniform(-degrees, degrees, count))
    sheared = generator.uniform(-shear, shear, count)
    scale = np.exp(generator.uniform(-zoom, zoom, count))
    flip = np.where(generator.random(count) < mirrored, -1.0, 1.0)
    moved = generator.uniform(-shift, shift, (count, 2)) * side
    maps = np.empty((count, 2, 3))
    maps[:, 0, 0] = np.cos(angle) / scale * flip
    maps[:, 0, 1] = (sheared * np.cos(angle) - np.sin(angle)) / scale
    maps[:, 1, 0] = np.sin(angle) / scale * flip
    maps[:, 1, 1] = (sheared * np.sin(angle) + np.cos(angle)) / scale
    middle = (side - 1) / 2
    maps[:, :, 2] = middle + moved - maps[:, :, :2].sum(axis=2) * middle
    return maps


def beside(generator: np.random.Generator, count: int, side: int = 48) -> NDArray[np.float64]:
    """Return maps that mirror every other view and move it by up to a pixel."""
    return _drawn(generator, count, side, degrees=0, shift=1 / side, shear=0, zoom=0, mirrored=0.5)


def compose(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the maps (N, 2, 3) that go first by ``inner``, then by ``outer``."""
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return np.concatenate([linear, shift], axis=2)


def warp(crops: NDArray[np.uint8], maps: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return crops (N, H, W) as their maps frame them; borders are mirrored."""
    warped = np.empty_like(crops)
    size = crops.shape[2], crops.shape[1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for target, crop, matrix in zip(warped, crops, maps, strict=True):
        cv2.warpAffine(
            crop, matrix, size, dst=target, flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )
    return warped


def open_teacher(spec: str, device: str) -> tuple[str, torch.nn.Module, float]:
    """Return name, network and temperature of ``NAME=FILE``.

    ``FILE`` is a ``.keras`` file of this project, the ``state.pt`` of a run of ``student.py``, or the
    folder of the npm package's models.
    """
    from face_api import FaceExpressionNet
    from nets import Glance, StandardCnn, folded, from_keras

    name, _, file = spec.partition("=")
    path = Path(file)
    temperature = 1.0
    if path.is_dir():
        network: torch.nn.Module = FaceExpressionNet(path)
        temperature = 6.0
    elif path.suffix == ".keras":
        network = StandardCnn() if "standard" in str(path) else Glance({"emotion": 7, "ferplus": 8})
        temperature = from_keras(network, path)
    else:
        from student import restored

        network = restored(path)
    if isinstance(network, Glance | StandardCnn):
        network = folded(network)
    network = network.eval().to(device, torch.bfloat16, memory_format=torch.channels_last)
    return name, network, temperature


@torch.no_grad()
def ask(
    network: torch.nn.Module, crops: NDArray[np.uint8], device: str
) -> dict[str, NDArray[np.float32]]:
    """Return logits per head of crops (N, H, W)."""
    found: dict[str, list[NDArray[np.float32]]] = {}
    for start in range(0, len(crops), _BATCH):
        batch = torch.from_numpy(crops[start : start + _BATCH]).to(device)[:, None]
        for head, logits in network(batch.bfloat16()).items():
            found.setdefault(head, []).append(logits.float().cpu().numpy())
    return {head: np.concatenate(parts) for head, parts in found.items()}


def save(path: Path, answers: dict[str, NDArray[np.float32]], temperature: float) -> None:
    """Write answers whole or not at all, divided by the temperature."""
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary, **{head: (a / temperature).astype(np.float16) for head, a in answers.items()}
    )
    temporary.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--teacher", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)

    from data import read

    fit, held_out = read(options.data, options.votes)
    folder = options.run / "views"
    folder.mkdir(parents=True, exist_ok=True)
    teachers = [open_teacher(spec, options.device) for spec in options.teacher]
    for name, network, temperature in teachers:
        path = folder / f"held_out.{name}.npz"
        if not path.is_file():
            answers = ask(network, held_out.crops, options.device)
            save(path, answers, temperature)
            for logits in answers.values():
                if logits.shape[1] == 7:
                    (logits.argmax(1) == held_out.emotion).mean()
                    scaled = torch.from_numpy(logits / temperature)
                    truth = torch.from_numpy(held_out.emotion)
                    torch.nn.functional.cross_entropy(scaled, truth).item()
    for view in range(options.first, options.first + options.count):
        maps = matrices(view, len(fit.crops))
        for number, (name, network, temperature) in enumerate(teachers):
            path = folder / f"{view:04}.{name}.npz"
            if path.is_file():
                continue
            time.monotonic()
            generator = np.random.default_rng([11, view, number])
            crops = warp(fit.crops, compose(maps, beside(generator, len(maps))))
            save(path, ask(network, crops, options.device), temperature)


if __name__ == "__main__":
    main()
