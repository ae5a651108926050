"""Views: how each training crop is framed, and what teachers say of it so framed.

A view is an affine map for every training row, drawn by its number alone. Teachers look at the
undegraded view, each mirrored at random and moved by up to a pixel; the student then sees the
same view under light, blur, noise and cover that no teacher has to see through. What it learns
is the mean of what the teachers say of all faces that look the same to it, so that it grows
unsure where evidence fades.

    python -m experiments.training.views VIEWS --teacher NAME=FILE ... --count 12 \
        --data fer2013.csv.gz --votes fer2013new.csv

writes ``VIEWS/0003.NAME.npz``, per head float16 (N, C) logits divided by the teacher's temperature,
and ``VIEWS/held_out.NAME.npz`` for the plain crops held out. Several processes may write
different teachers' files, and students read what there is.

Source:
    Beyer et al., "Knowledge Distillation: A Good Teacher Is Patient and Consistent", CVPR 2022.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from experiments.training.data import Rows, read
from numpy.typing import NDArray
from scipy.special import log_softmax

__all__ = ["answer", "ask", "beside", "compose", "matrices", "open_teacher", "warp"]

#: Name, network, and the temperature that its logits are divided by.
Teacher = tuple[str, torch.nn.Module, float]

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


def open_teacher(spec: str, device: str) -> Teacher:
    """Return name, network and temperature of ``NAME=FILE``.

    ``FILE`` is a ``.keras`` file of this project, the ``state.pt`` of a run, or the
    folder of the npm package's models.
    """
    from experiments.training.face_api import FaceExpressionNet
    from experiments.training.nets import Glance, StandardCnn, folded, from_keras

    name, _, file = spec.partition("=")
    path = Path(file)
    temperature = 1.0
    if path.is_dir():
        network: torch.nn.Module = FaceExpressionNet(path)
        temperature = FaceExpressionNet.temperature
    elif path.suffix == ".keras":
        network = StandardCnn() if "standard" in str(path) else Glance({"emotion": 7, "ferplus": 8})
        temperature = from_keras(network, path)
    else:
        from experiments.training.weights import restored

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


def answer(
    folder: Path,
    teachers: Sequence[Teacher],
    fit: Rows,
    held_out: Rows,
    numbers: Iterable[int],
    device: str,
) -> None:
    """Write every answer that is not there yet, and print each teacher's worth alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, network, temperature in teachers:
        path = folder / f"held_out.{name}.npz"
        if not path.is_file():
            answers = ask(network, held_out.crops, device)
            save(path, answers, temperature)
            for head, logits in answers.items():
                if logits.shape[1] == 7:
                    print(f"{name} {head}: {_worth(logits / temperature, held_out.emotion)}")
    for view in numbers:
        maps = matrices(view, len(fit.crops))
        for number, (name, network, temperature) in enumerate(teachers):
            path = folder / f"{view:04}.{name}.npz"
            if path.is_file():
                continue
            begin = time.monotonic()
            generator = np.random.default_rng([11, view, number])
            crops = warp(fit.crops, compose(maps, beside(generator, len(maps))))
            save(path, ask(network, crops, device), temperature)
            print(f"view {view} {name} {time.monotonic() - begin:.0f} s", flush=True)


def _worth(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> str:
    right = (logits.argmax(axis=1) == truth).mean()
    loss = -log_softmax(logits, axis=1)[np.arange(len(truth)), truth].mean()
    return f"held out {right:.1%}, loss {loss:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("views", type=Path, help="the folder that they are written to")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--teacher", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "torch")  # for the .keras files
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)

    fit, held_out = read(options.data, options.votes)
    teachers = [open_teacher(spec, options.device) for spec in options.teacher]
    numbers = range(options.first, options.first + options.count)
    answer(options.views, teachers, fit, held_out, numbers, options.device)


if __name__ == "__main__":
    main()
