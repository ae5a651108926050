"""Everything at once where a GPU is at hand: teachers, then the student, then one compact file.

    python -m experiments.training.gpu OUT --data fer2013.csv.gz --votes fer2013new.csv \
        --models models --package node_modules/@vladmandic/face-api/model --device cuda

trains each of :data:`TEACHERS` from the weights that there are, asks all of them about the same
views, and trains Glance from their answers. ``OUT/glance.npz`` holds the student's weights in
float16 by Keras' names; ``ship.py`` takes the folder of its run. Every stage is resumable: the
same command goes on where the last one was stopped. ``--tiny`` runs all of it in seconds on a
few rows, to try it before a machine is lent.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from experiments.training import views
from experiments.training.data import Rows, read
from experiments.training.recipe import Degrading, Recipe
from experiments.training.student import Place, train

__all__ = ["TEACHERS", "compact", "everything"]

_CLEAN = Degrading(fraction=0, unreadable=0, erasing=0.2)

#: Teachers by name; each learns from labels and voters alone, so that they differ.
TEACHERS = {
    "vgg": Recipe(network="standard_cnn", epochs=40, rate=0.04, batch=256, degrading=_CLEAN),
    "dlib": Recipe(network="face_resnet", epochs=40, rate=0.05, batch=256, degrading=_CLEAN),
}
STUDENT = Recipe(
    teachers=(*TEACHERS, "glance0"), opinion="face", epochs=80, rate=0.08, batch=256, ema=0.996
)
VIEWS = 12
_TINY_ROWS = 64


def everything(
    out: Path, models: Path, package: Path, fit: Rows, held_out: Rows, device: str, *, tiny: bool
) -> Path:
    """Run every stage that is not finished; return the compact file."""
    folder, begin = out / "views", time.monotonic()
    starts = {"vgg": models / "standard_cnn" / "best_model.keras", "dlib": package}
    small = {"epochs": 2, "batch": 16, "rate": 1e-3} if tiny else {}
    for name, recipe in TEACHERS.items():
        recipe = recipe.model_copy(update=small)
        train(recipe, Place(out / name, folder, device), starts[name], fit, held_out)
        print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    specs = [f"{name}={out / name / 'state.pt'}" for name in TEACHERS]
    specs += [f"glance0={models / 'best_model.keras'}", f"face={package}"]
    teachers = [views.open_teacher(spec, device) for spec in specs]
    views.answer(folder, teachers, fit, held_out, range(1 if tiny else VIEWS), device)
    print(f"views: {time.monotonic() - begin:.0f} s", flush=True)
    place = Place(out / "student", folder, device)
    start = models / "best_model.keras"
    train(STUDENT.model_copy(update=small), place, start, fit, held_out)
    print(f"student: {time.monotonic() - begin:.0f} s", flush=True)
    return compact(place.run / "weights.npz", out / "glance.npz")


def compact(weights: Path, target: Path) -> Path:
    """Write the weights in half the bits."""
    with np.load(weights) as arrays:
        half = {name: arrays[name].astype(np.float16) for name in arrays.files}
    np.savez_compressed(target, **half)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--package", type=Path, required=True, help="the npm package's models")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tiny", action="store_true", help="a few rows and two epochs")
    options = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "torch")  # for the .keras files
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    fit, held_out = read(options.data, options.votes)
    if options.tiny:
        fit, held_out = fit.take(np.arange(_TINY_ROWS)), held_out.take(np.arange(_TINY_ROWS))
    path = everything(
        options.out,
        options.models,
        options.package,
        fit,
        held_out,
        options.device,
        tiny=options.tiny,
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
