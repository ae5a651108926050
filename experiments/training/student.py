"""Train Glance from views that teachers have answered (``views.py``); resumable to the epoch.

    python experiments/training/student.py RUN --views VIEWS --start models/best_model.keras \
        --teacher vgg --teacher glance0 --opinion face --epochs 40 \
        --data fer2013.csv.gz --votes fer2013new.csv

``RUN`` then holds ``recipe.json``, ``log.csv`` (a row an epoch, on held-out rows, of the averaged
weights), ``state.pt`` (all that a continuation needs) and ``weights.npz`` (by Keras' names).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import cv2
import numpy as np
import torch
import torch.distributed as dist
from data import Rows, read
from nets import Glance, StandardCnn, from_keras, keras_arrays
from numpy.typing import NDArray
from pixels import Degrading, held_out_sets, seen, without_a_face
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torch.nn import functional
from views import matrices

HEADS = {"emotion": 7, "ferplus": 8, "second_opinion": 7}
_HEAD_WEIGHTS = {"emotion": 1.0, "ferplus": 0.5, "second_opinion": 0.3}
_LEAST = 1e-6

Targets = dict[str, NDArray[np.float32]]


class Teaching:
    """What teachers, voters and labels say of every row under every view there is."""

    def __init__(self, folder: Path, options: argparse.Namespace, fit: Rows, held: Rows) -> None:
        self.folder, self.options, self.fit = folder, options, fit
        self.views: list[int] = []
        self.opinion, self.opinions = np.empty((0, 7), np.float32), 0
        self.answers: list[Targets] = []
        self.prior = np.bincount(fit.emotion, minlength=7).astype(np.float32) / len(fit.emotion)
        self.ferplus_prior = (fit.ferplus * fit.ferplus_counts[:, None]).sum(axis=0)
        self.ferplus_prior /= self.ferplus_prior.sum()
        says = [self._logs("held_out", name)["emotion"] for name in options.teacher]
        says.append(np.log(np.maximum(held.voters, _LEAST)))
        self.powers = _powers(says, held.emotion)
        pooled = np.tensordot(self.powers, np.stack(says), axes=1)
        (pooled.argmax(axis=1) == held.emotion).mean()
        if not options.teacher:
            return
        no_votes = np.tensordot(_powers(says[:-1], held.emotion), np.stack(says[:-1]), axes=1)
        -log_softmax(no_votes, axis=1)[np.arange(len(held.emotion)), held.emotion].mean()
        (no_votes.argmax(axis=1) == held.emotion).mean()

    def _logs(self, view: str, name: str) -> Targets:
        with np.load(self.folder / f"{view}.{name}.npz") as arrays:
            return {h: log_softmax(arrays[h].astype(np.float32), axis=1) for h in arrays.files}

    def look_for_views(self) -> None:
        """Take up views that every teacher has answered since the last time."""
        self._read_opinion()
        names = self.options.teacher
        found = {int(path.name[:4]) for path in self.folder.glob("[0-9]*.npz")}
        for view in sorted(found) if names else range(self.options.maps):
            there = all((self.folder / f"{view:04}.{name}.npz").is_file() for name in names)
            if there and view not in self.views:
                self.views.append(view)
                self.answers.append(self._targets(f"{view:04}"))

    def _read_opinion(self) -> None:
        """Average the second opinion over the views that it has seen; one for all views."""
        name = self.options.opinion
        paths = sorted(self.folder.glob(f"[0-9]*.{name}.npz"))
        if len(paths) > self.opinions:
            says = [np.exp(self._logs(p.name[:4], name)["second_opinion"]) for p in paths]
            self.opinion, self.opinions = np.mean(says, axis=0, dtype=np.float32), len(says)

    def _targets(self, view: str) -> Targets:
        logs = [self._logs(view, name) for name in self.options.teacher]
        says = [*(each["emotion"] for each in logs), np.log(np.maximum(self.fit.voters, _LEAST))]
        pooled = softmax(np.tensordot(self.powers, np.stack(says), axes=1), axis=1)
        label = np.eye(7, dtype=np.float32)[self.fit.emotion]
        weight = self.options.teacher_weight
        emotion = weight * pooled + (1 - weight) * label
        emotion[self.fit.unreadable] = self.prior
        voters = self.fit.ferplus_counts[:, None] * self.fit.ferplus
        ferplus = [np.exp(each["ferplus"]) for each in logs if "ferplus" in each]
        said = np.mean(ferplus, axis=0) if ferplus else voters
        has_votes = self.fit.ferplus_counts[:, None] > 0
        ferplus_target = np.where(has_votes, weight * said + (1 - weight) * voters, said)
        return {
            "emotion": emotion.astype(np.float16),
            "ferplus": ferplus_target.astype(np.float16),
        }

    def of(
        self, rows: NDArray[np.int64], generator: np.random.Generator
    ) -> tuple[NDArray[np.float64], Targets]:
        """Return each row's map and targets under a view of its own."""
        chosen = generator.integers(0, len(self.views), len(rows))
        maps = np.empty((len(rows), 2, 3))
        targets = {h: np.empty((len(rows), c), np.float32) for h, c in HEADS.items()}
        if self.opinions:
            targets["second_opinion"][:] = self.opinion[rows]
        for number, view in enumerate(self.views):
            of_view = chosen == number
            maps[of_view] = self._maps(view)[rows[of_view]]
            for head in ("emotion", "ferplus"):
                targets[head][of_view] = self.answers[number][head][rows[of_view]]
        return maps, targets

    def _maps(self, view: int) -> NDArray[np.float64]:
        if not hasattr(self, "_cached"):
            self._cached: dict[int, NDArray[np.float64]] = {}
        if view not in self._cached:
            self._cached[view] = matrices(view, len(self.fit.crops))
        return self._cached[view]

    def of_no_face(self, count: int) -> Targets:
        opinion = self.opinion.mean(axis=0) if self.opinions else self.prior
        priors = {"emotion": self.prior, "ferplus": self.ferplus_prior, "second_opinion": opinion}
        return {head: np.repeat(prior[None], count, axis=0) for head, prior in priors.items()}


def _powers(says: list[NDArray[np.float32]], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the powers of a logarithmic opinion pool that are best on the rows held out."""
    logs = np.stack(says)

    def loss(powers: NDArray[np.float64]) -> float:
        product = log_softmax(np.tensordot(powers, logs, axes=1), axis=1)
        return float(-product[np.arange(len(truth)), truth].mean())

    start = np.full(len(says), 1 / len(says))
    return np.asarray(minimize(loss, start, bounds=[(0, 2)] * len(says)).x)


class Averaged:
    """The running mean of a network's weights and statistics, in a copy of it."""

    def __init__(self, network: torch.nn.Module, copy: torch.nn.Module, decay: float) -> None:
        self.network, self.copy, self.decay, self.steps = network, copy, decay, 0
        copy.load_state_dict(network.state_dict())
        copy.eval()

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        pairs = zip(
            self.copy.state_dict().values(), self.network.state_dict().values(), strict=True
        )
        mine, theirs = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(list(mine), list(theirs), 1 - decay)


def rate_at(position: float, epochs: int, peak: float) -> float:
    """Return the learning rate: one epoch of warm-up, then a cosine to zero."""
    if position < 1:
        return peak * max(position, 0.02)
    return peak * (1 + math.cos(math.pi * (position - 1) / (epochs - 1))) / 2


def measured(
    network: torch.nn.Module,
    sets: dict[str, NDArray[np.uint8]],
    truth: NDArray[np.int64],
    device: str,
) -> dict[str, float]:
    """Return the figures of a log's row, of the head ``emotion``."""
    row: dict[str, float] = {}
    logits = {name: ask_float(network, crops, device) for name, crops in sets.items()}
    probabilities = {name: softmax(values, axis=1) for name, values in logits.items()}
    # Readings are uncertain below the top probability that 80 % of plain rows reach.
    threshold = float(np.quantile(probabilities["plain"].max(axis=1), 0.2))
    for name, values in probabilities.items():
        answered = values.max(axis=1) >= threshold
        if name == "no_face":
            row["no_face_answered"] = float(answered.mean())
            continue
        right = values.argmax(axis=1) == truth[:: 1 if name == "plain" else 2]
        row[f"{name}_accuracy"] = float(right.mean())
        row[f"{name}_wrong_answered"] = float((answered & ~right).mean())
    plain, rows = logits["plain"], np.arange(len(truth))
    row["plain_loss"] = float(-log_softmax(plain, axis=1)[rows, truth].mean())
    row["plain_macro_f1"] = macro_f1(plain.argmax(axis=1), truth)
    return row


def ask_float(
    network: torch.nn.Module, crops: NDArray[np.uint8], device: str
) -> NDArray[np.float32]:
    parts = []
    with torch.no_grad(), torch.autocast(device.split(":")[0], torch.bfloat16):
        for start in range(0, len(crops), 128):
            batch = torch.from_numpy(crops[start : start + 128]).to(device)[:, None].float()
            parts.append(network(batch)["emotion"].float().cpu().numpy())
    return np.concatenate(parts)


def macro_f1(read_as: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    cells = np.zeros((7, 7))
    np.add.at(cells, (truth, read_as), 1)
    hits = np.diag(cells)
    return float((2 * hits / np.maximum(cells.sum(axis=0) + cells.sum(axis=1), 1)).mean())


def train(options: argparse.Namespace) -> None:
    torch.manual_seed(1)
    fit, held = read(options.data, options.votes)
    sets = held_out_sets(held.crops)
    teaching = Teaching(options.views / "views", options, fit, held)
    device = options.device

    def built() -> torch.nn.Module:
        net = build(options.network, options.dropout)
        return net.to(device, memory_format=torch.channels_last)

    network = built()
    if options.start:
        _begin_with(network, options.start, fit.crops)
    averaged = Averaged(network, built(), options.ema)
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": options.decay}, {"params": others}]
    optimiser = torch.optim.SGD(groups, options.rate, momentum=0.9, nesterov=True, foreach=True)
    options.run.mkdir(parents=True, exist_ok=True)
    state_path, log_path = options.run / "state.pt", options.run / "log.csv"
    log: list[dict[str, float]] = []
    if state_path.is_file():
        state = torch.load(state_path, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        averaged.copy.load_state_dict(state["averaged"])
        averaged.steps = state["steps"]
        optimiser.load_state_dict(state["optimiser"])
        log = state["log"]
    if options.workers > 1:
        meeting = (options.run / "meeting").absolute()
        dist.init_process_group(
            "gloo", f"file://{meeting}", rank=options.rank, world_size=options.workers
        )
    recipe = {key: str(v) if isinstance(v, Path) else v for key, v in vars(options).items()}
    (options.run / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
    how = Degrading(options.degraded, options.twice, options.erasing, options.unreadable)
    for epoch in range(len(log), options.epochs):
        teaching.look_for_views()
        while not teaching.views:
            time.sleep(5)
            teaching.look_for_views()
        log.append(one_epoch(epoch, options, network, averaged, optimiser, teaching, how))
        if options.rank:
            continue
        log[-1] |= measured(averaged.copy, sets, held.emotion, device)
        state = {
            "network": network.state_dict(),
            "averaged": averaged.copy.state_dict(),
            "steps": averaged.steps,
            "optimiser": optimiser.state_dict(),
            "log": log,
        }
        torch.save(state, state_path.with_suffix(".tmp"))
        os.replace(state_path.with_suffix(".tmp"), state_path)
        with log_path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(log[-1]))
            writer.writeheader()
            writer.writerows(log)
    if options.network == "face_resnet" or options.rank:
        return
    arrays = keras_arrays(averaged.copy)
    np.savez(
        options.run / "weights.npz",
        **{f"{name}/{number}": a for name, each in arrays.items() for number, a in enumerate(each)},
    )


def build(name: str, dropout: float) -> torch.nn.Module:
    """Return a network with fresh weights."""
    from face_resnet import FaceResNet

    if name == "glance":
        return Glance(HEADS, dropout=dropout)
    if name == "standard_cnn":
        return StandardCnn()
    return FaceResNet({"emotion": 7, "ferplus": 8}, dropout=dropout)


def restored(path: Path) -> torch.nn.Module:
    """Return the averaged network of a run's ``state.pt``."""
    recipe = json.loads((path.parent / "recipe.json").read_text(encoding="utf-8"))
    network = build(recipe["network"], recipe["dropout"])
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["averaged"])
    return network.eval()


def _begin_with(network: torch.nn.Module, start: Path, faces: NDArray[np.uint8]) -> None:
    """Take over weights: of a ``.keras`` file, a run, or the folder of the npm package."""
    if start.is_dir():
        network.begin_with(start, faces[:384])
    elif start.suffix != ".keras":
        state = torch.load(start, map_location="cpu", weights_only=True)
        network.load_state_dict(state["averaged"])
    else:
        from_keras(network, start)
        if "second_opinion_logits" in network.layers:  # it begins with that of the labels
            own, new = (network.layers[f"{h}_logits"] for h in ("emotion", "second_opinion"))
            with torch.no_grad():
                new.weight.copy_(own.weight / 2)
                new.bias.copy_(own.bias / 2)


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


def one_epoch(
    epoch: int,
    options: argparse.Namespace,
    network: Glance,
    averaged: Averaged,
    optimiser: torch.optim.Optimizer,
    teaching: Teaching,
    how: Degrading,
) -> dict[str, float]:
    begin, used = time.monotonic(), time.process_time()
    torch.manual_seed(1000 + epoch)
    generator = np.random.default_rng([options.seed, epoch])
    fit, size = teaching.fit, options.batch
    order = generator.permutation(len(fit.crops))[options.rank :: options.workers]
    steps = len(fit.crops) // options.workers // size
    generator = np.random.default_rng([options.seed, epoch, options.rank])
    losses = []
    network.train()
    extra = round(how.unreadable * size)
    for step in range(steps):
        rate = rate_at(epoch + step / steps, options.epochs, options.rate)
        for group in optimiser.param_groups:
            group["lr"] = rate
        rows = order[step * size : (step + 1) * size]
        maps, targets = teaching.of(rows, generator)
        crops = seen(fit.crops[rows], maps, how, generator)
        if extra:
            nothing = without_a_face(extra, fit.crops, generator)
            crops = np.concatenate([crops, nothing])
            none = teaching.of_no_face(extra)
            targets = {head: np.concatenate([targets[head], none[head]]) for head in targets}
        batch = torch.from_numpy(crops).to(options.device)[:, None].float()
        with torch.autocast(options.device.split(":")[0], torch.bfloat16):
            logits = network(batch)
        loss = torch.zeros((), device=options.device)
        for head in logits:
            if head == "second_opinion" and not teaching.opinions:
                continue
            target = targets[head]
            wanted = torch.from_numpy(target).to(options.device)
            loss = loss + _HEAD_WEIGHTS[head] * functional.cross_entropy(
                logits[head].float(), wanted
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if options.workers > 1:
            share_gradients(network, options.workers)
        optimiser.step()
        averaged.update()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise SystemExit(f"the loss is {losses[-1]} in epoch {epoch + 1}: lower --rate")
    return {
        "epoch": epoch + 1,
        "rate": rate,
        "views": len(teaching.views),
        "loss": float(np.mean(losses)),
        "seconds": time.monotonic() - begin,
        "processor_seconds": time.process_time() - used,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--views", type=Path, required=True, help="the folder of views.py")
    parser.add_argument(
        "--network", default="glance", choices=("glance", "standard_cnn", "face_resnet")
    )
    parser.add_argument(
        "--teacher", action="append", default=[], help="a name in it; none asks the voters alone"
    )
    parser.add_argument(
        "--maps", type=int, default=0, help="views without teachers, if there are none"
    )
    parser.add_argument("--opinion", default="face", help="the name of the second opinion in it")
    parser.add_argument("--start", type=Path, help="a .keras file, or the state.pt of a run")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=0.04)
    parser.add_argument("--decay", type=float, default=5e-4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--teacher-weight", type=float, default=0.75)
    parser.add_argument("--degraded", type=float, default=0.35)
    parser.add_argument("--twice", type=float, default=0.25)
    parser.add_argument("--erasing", type=float, default=0.15)
    parser.add_argument("--unreadable", type=float, default=0.04)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that share each step")
    parser.add_argument("--rank", type=int, default=0, help="which of them this one is")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    train(options)


if __name__ == "__main__":
    main()
