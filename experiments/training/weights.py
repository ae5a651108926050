"""Networks by name, and what they begin with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from experiments.training.face_resnet import FaceResNet
from experiments.training.nets import Glance, StandardCnn, from_keras
from experiments.training.recipe import read_recipe
from experiments.training.teaching import HEADS
from numpy.typing import NDArray

__all__ = ["begin_with", "build", "restored"]


def build(name: str, dropout: float) -> torch.nn.Module:
    """Return a network with fresh weights."""
    if name == "glance":
        return Glance(HEADS, dropout=dropout)
    if name == "standard_cnn":
        return StandardCnn()
    return FaceResNet({"emotion": 7, "ferplus": 8}, dropout=dropout)


def restored(path: Path) -> torch.nn.Module:
    """Return the averaged network of a run's ``state.pt``."""
    recipe = read_recipe(path.parent / "recipe.yaml")
    network = build(recipe.network, recipe.dropout)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["averaged"])
    return network.eval()


def begin_with(network: torch.nn.Module, start: Path, faces: NDArray[np.uint8]) -> None:
    """Take over weights: of a ``.keras`` file, a run, or the folder of the npm package."""
    if start.is_dir():
        network.begin_with(start, faces[:384])
    elif start.suffix != ".keras":
        state = torch.load(start, map_location="cpu", weights_only=True)
        network.load_state_dict(state["averaged"])
    else:
        fresh = [p.clone() for p in _opinion(network)]
        from_keras(network, start)
        with torch.no_grad():  # an opinion is somewhat like the label, and less certain
            own = network.layers["emotion_logits"].parameters()
            for new, before, label in zip(_opinion(network), fresh, own, strict=False):
                if torch.equal(new, before):  # the file has none
                    new.copy_(label / 2)


def _opinion(network: torch.nn.Module) -> list[torch.nn.Parameter]:
    name = "second_opinion_logits"
    return list(network.layers[name].parameters()) if name in network.layers else []
