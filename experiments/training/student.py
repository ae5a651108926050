"""Train a network from views that teachers have answered (``views.py``); resumable to the epoch.

    python -m experiments.training.student RUN --recipe recipe.yaml --views VIEWS \
        --start models/best_model.keras --data fer2013.csv.gz --votes fer2013new.csv

``RUN`` then holds ``recipe.yaml``, ``log.csv`` (a row an epoch, of the averaged weights on
held-out rows), ``state.pt`` (all that a continuation needs) and, when it is finished,
``weights.npz`` (by Keras' names). The same command continues a run that was stopped. With
``workers: 2`` start it twice, with ``--rank 0`` and ``--rank 1``: each takes half of the rows,
and every step is by the mean of their gradients.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed as dist
import yaml
from experiments.training.data import Rows, read
from experiments.training.figures import held_out_sets, measured
from experiments.training.nets import keras_arrays
from experiments.training.pixels import seen, without_a_face
from experiments.training.recipe import Recipe, read_recipe
from experiments.training.teaching import Targets, Teaching
from experiments.training.weights import begin_with, build
from torch.nn import functional

from mien.errors import ConfigError, TrainingError

__all__ = ["Run", "rate_at", "train"]

_HEAD_WEIGHTS = {"emotion": 1.0, "ferplus": 0.5, "second_opinion": 0.3}


@dataclass(frozen=True)
class Place:
    """Where a run lives and what it is one of: its folder, device and number of worker."""

    run: Path
    views: Path
    device: str = "cpu"
    rank: int = 0


class Averaged:
    """The running mean of a network's weights and statistics, in a copy of it."""

    def __init__(self, network: torch.nn.Module, copy: torch.nn.Module, decay: float) -> None:
        self.network, self.copy, self.decay, self.steps = network, copy.eval(), decay, 0
        copy.load_state_dict(network.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Move on by a step; faster at the start."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        states = (each.state_dict().values() for each in (self.copy, self.network))
        pairs = [(a, b) for a, b in zip(*states, strict=True) if a.is_floating_point()]
        mine, theirs = zip(*pairs, strict=True)
        torch._foreach_lerp_(list(mine), list(theirs), 1 - decay)


class Run:
    """The state of one run: network, averaged weights, optimiser and log."""

    def __init__(self, recipe: Recipe, place: Place, start: Path | None, faces: Rows) -> None:
        self.recipe, self.place = recipe, place
        torch.manual_seed(recipe.seed)
        self.network = self._built()
        if start is not None:
            begin_with(self.network, start, faces.crops)
        self.averaged = Averaged(self.network, self._built(), recipe.ema)
        parameters = list(self.network.parameters())
        kernels = {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.decay}
        others = {"params": [p for p in parameters if p.ndim <= 1]}
        self.optimiser = torch.optim.SGD(
            [kernels, others], recipe.rate, momentum=0.9, nesterov=True, foreach=True
        )
        self.log: list[dict[str, float]] = []

    def _built(self) -> torch.nn.Module:
        network = build(self.recipe.network, self.recipe.dropout)
        return network.to(self.place.device, memory_format=torch.channels_last)

    def open(self) -> None:
        """Begin in the run's folder, or continue what is in it.

        Raises:
            ConfigError: the folder holds a run by another recipe.
        """
        folder = self.place.run
        folder.mkdir(parents=True, exist_ok=True)
        stored = folder / "recipe.yaml"
        if stored.is_file() and read_recipe(stored) != self.recipe:
            raise ConfigError(f"{stored} is another recipe: choose another folder for this run")
        if self.place.rank == 0:
            text = yaml.safe_dump(self.recipe.model_dump(mode="json"), sort_keys=False)
            stored.write_text(text, encoding="utf-8")
        path = folder / "state.pt"
        if path.is_file():
            state = torch.load(path, map_location=self.place.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.averaged.copy.load_state_dict(state["averaged"])
            self.averaged.steps = state["steps"]
            self.optimiser.load_state_dict(state["optimiser"])
            self.log = state["log"]

    def save(self) -> None:
        """Write everything that a continuation needs, whole or not at all, and the log."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.copy.state_dict(),
            "steps": self.averaged.steps,
            "optimiser": self.optimiser.state_dict(),
            "log": self.log,
        }
        path = self.place.run / "state.pt"
        torch.save(state, path.with_suffix(".tmp"))
        os.replace(path.with_suffix(".tmp"), path)
        with (self.place.run / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.log[0]))
            writer.writeheader()
            writer.writerows(
                {key: f"{value:.5g}" for key, value in row.items()} for row in self.log
            )

    def finish(self) -> None:
        """Write the averaged weights by Keras' names; a pretrained trunk has none."""
        if self.recipe.network != "face_resnet":
            arrays = {
                f"{name}/{number}": array
                for name, each in keras_arrays(self.averaged.copy).items()
                for number, array in enumerate(each)
            }
            np.savez(self.place.run / "weights.npz", **arrays)

    def one_epoch(self, epoch: int, teaching: Teaching) -> dict[str, float]:
        """Train for an epoch; return the first part of the log's row."""
        recipe, place = self.recipe, self.place
        begin, used = time.monotonic(), time.process_time()
        torch.manual_seed(1000 * recipe.seed + epoch)
        fit = teaching.fit
        order = np.random.default_rng([recipe.seed, epoch]).permutation(len(fit.crops))
        order = order[place.rank :: recipe.workers]
        generator = np.random.default_rng([recipe.seed, epoch, place.rank])
        steps = len(fit.crops) // recipe.workers // recipe.batch
        losses, rate = [], 0.0
        self.network.train()
        for step in range(steps):
            rate = rate_at(epoch + step / steps, recipe.epochs, recipe.rate)
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            maps, targets = teaching.of(rows, generator)
            crops = seen(fit.crops[rows], maps, recipe.degrading, generator)
            if extra := round(recipe.degrading.unreadable * recipe.batch):
                crops = np.concatenate([crops, without_a_face(extra, fit.crops, generator)])
                nothing = teaching.of_no_face(extra)
                targets = {h: np.concatenate([targets[h], nothing[h]]) for h in targets}
            losses.append(self._step(crops, targets, rate))
            if not math.isfinite(losses[-1]):
                raise TrainingError(f"the loss is {losses[-1]} in epoch {epoch + 1}: lower rate")
        return {
            "epoch": epoch + 1,
            "rate": rate,
            "views": len(teaching.views),
            "loss": float(np.mean(losses)),
            "seconds": time.monotonic() - begin,
            "processor_seconds": time.process_time() - used,
        }

    def _step(self, crops: np.ndarray, targets: Targets, rate: float) -> float:
        device = self.place.device
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = torch.from_numpy(crops).to(device)[:, None].float()
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            logits = self.network(batch)
        loss = torch.zeros((), device=device)
        for head in logits.keys() & targets.keys():
            wanted = torch.from_numpy(targets[head]).to(device)
            entropy = functional.cross_entropy(logits[head].float(), wanted)
            loss = loss + _HEAD_WEIGHTS[head] * entropy
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.workers > 1:
            share_gradients(self.network, self.recipe.workers)
        self.optimiser.step()
        self.averaged.update()
        return float(loss.detach())


def share_gradients(network: torch.nn.Module, workers: int) -> None:
    """Give every worker the mean of all workers' gradients."""
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= workers
    begin = 0
    for gradient in gradients:
        gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
        begin += gradient.numel()


def rate_at(position: float, epochs: int, peak: float) -> float:
    """Return the learning rate: one epoch of warm-up, then a cosine to zero."""
    if position < 1:
        return peak * max(position, 0.02)
    return peak * (1 + math.cos(math.pi * (position - 1) / (epochs - 1))) / 2


def train(recipe: Recipe, place: Place, start: Path | None, fit: Rows, held_out: Rows) -> None:
    """Train from the beginning or from where the run in ``place`` was stopped.

    Raises:
        ConfigError: the folder holds another run, or a teacher was not asked.
        TrainingError: the loss is no longer a number.
    """
    teaching = Teaching(place.views, recipe, fit, held_out)
    run = Run(recipe, place, start, fit)
    run.open()
    if recipe.workers > 1:
        meeting = f"file://{(place.run / 'meeting').absolute()}"
        dist.init_process_group("gloo", meeting, rank=place.rank, world_size=recipe.workers)
    sets = held_out_sets(held_out.crops)
    for epoch in range(len(run.log), recipe.epochs):
        teaching.look_for_views()
        while not teaching.views:
            time.sleep(5)
            teaching.look_for_views()
        run.log.append(run.one_epoch(epoch, teaching))
        if place.rank == 0:
            run.log[-1] |= measured(run.averaged.copy, sets, held_out.emotion, place.device)
            run.save()
            print(" ".join(f"{k} {v:.4g}" for k, v in run.log[-1].items()), flush=True)
    if place.rank == 0:
        run.finish()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--views", type=Path, required=True, help="the folder of views.py")
    parser.add_argument("--start", type=Path, help="a .keras file, the state.pt of a run")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rank", type=int, default=0, help="which of the recipe's workers")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "torch")  # for the .keras files
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    place = Place(options.run, options.views, options.device, options.rank)
    train(read_recipe(options.recipe), place, options.start, *read(options.data, options.votes))


if __name__ == "__main__":
    main()
