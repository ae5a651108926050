"""Networks in plain PyTorch whose layers carry the names that they have in Keras.

Weights move between the two by name (:func:`from_keras`, :func:`keras_arrays`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

__all__ = ["Glance", "StandardCnn", "folded", "from_keras", "keras_arrays"]


class Conv(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's "same": the odd pixel at the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, bias=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = max((-(-maps.shape[2] // stride) - 1) * stride + kernel - maps.shape[2], 0)
        before, after = total // 2, total - total // 2
        if before != after:
            maps, before = functional.pad(maps, (before, after, before, after)), 0
        return functional.conv2d(maps, self.weight, self.bias, self.stride, before)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


class Glance(nn.Module):
    """``glance_53m`` of ``mien.train.nets.glance``: a residual network that shrinks evenly."""

    def __init__(
        self,
        heads: dict[str, int],
        widths: tuple[int, ...] = (32, 64, 128, 256),
        depths: tuple[int, ...] = (0, 2, 2, 1),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleDict(
            {"stem_conv": Conv(1, widths[0], 4, 2), "stem_norm": _norm(widths[0])}
        )
        self.blocks: list[tuple[str, int]] = []
        inputs = widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
            for block in range(1, depth + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                name = f"stage{stage}_block{block}"
                self._add_block(name, inputs, width, stride)
                self.blocks.append((name, stride))
                inputs = width
        for head, classes in heads.items():
            self.layers[f"{head}_logits"] = nn.Linear(inputs, classes)
        self.heads = tuple(heads)

    def _add_block(self, name: str, inputs: int, width: int, stride: int) -> None:
        self.layers[f"{name}_conv1"] = Conv(inputs, width, 4 if stride > 1 else 3, stride)
        self.layers[f"{name}_norm1"] = _norm(width)
        self.layers[f"{name}_conv2"] = Conv(width, width, 3)
        self.layers[f"{name}_norm2"] = _norm(width)
        if stride > 1 or inputs != width:
            self.layers[f"{name}_shortcut_conv"] = Conv(inputs, width, 1)
            self.layers[f"{name}_shortcut_norm"] = _norm(width)

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """Return the trunk's features (N, F) of raw crops (N, 1, H, W), 0-255."""
        at = self.layers
        maps = functional.relu(at["stem_norm"](at["stem_conv"](crops / 64 - 2)))
        for name, stride in self.blocks:
            way = at[f"{name}_norm1"](at[f"{name}_conv1"](maps))
            way = at[f"{name}_norm2"](at[f"{name}_conv2"](functional.relu(way)))
            if f"{name}_shortcut_conv" in at:
                around = functional.avg_pool2d(maps, 2) if stride > 1 else maps
                maps = at[f"{name}_shortcut_norm"](at[f"{name}_shortcut_conv"](around))
            maps = functional.relu(way + maps)
        return maps.mean((2, 3))

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        features = functional.dropout(self.features(crops), self.dropout, self.training)
        return {head: self.layers[f"{head}_logits"](features) for head in self.heads}


class StandardCnn(nn.Module):
    """``standard_cnn`` of ``mien.train.nets``: four VGG-like blocks, no dropout."""

    heads = ("emotion",)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        inputs = 1
        for stage, width in enumerate((64, 128, 256, 512), 1):
            for number in (1, 2):
                self.layers[f"conv{stage}_{number}"] = Conv(inputs, width, 3)
                self.layers[f"norm{stage}_{number}"] = _norm(width)
                inputs = width
        self.layers["dense1"] = nn.Linear(512, 1024)
        self.layers["dense2"] = nn.Linear(1024, 256)
        self.layers["emotion_logits"] = nn.Linear(256, 7)

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        at, maps = self.layers, crops / 255
        for stage in range(1, 5):
            for number in (1, 2):
                maps = at[f"conv{stage}_{number}"](maps)
                maps = functional.relu(at[f"norm{stage}_{number}"](maps))
            maps = functional.max_pool2d(maps, 2)
        maps = functional.relu(at["dense1"](maps.mean((2, 3))))
        return {"emotion": at["emotion_logits"](functional.relu(at["dense2"](maps)))}


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """Fold every normalisation into the convolution before it, in place; for asking only."""
    for name, layer in network.layers.items():
        if not isinstance(layer, nn.Conv2d):
            continue
        after = name.replace("conv", "norm")
        norm = network.layers[after]
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        layer.weight.mul_(gain.view(-1, 1, 1, 1))
        layer.bias = nn.Parameter(norm.bias - norm.running_mean * gain)
        network.layers[after] = nn.Identity()
    return network.eval()


def from_keras(network: nn.Module, path: Path) -> float:
    """Take over the weights of a ``.keras`` file; heads that only one of them has stay as they are.

    Returns:
        The temperature on its card, for the head ``emotion``.
    """
    from mien.train.session import KerasSession, load_network

    session = KerasSession(*load_network(path))
    found, layers = session.weights(), network.layers
    if 2 * len(set(found) & set(layers)) < len(
        found
    ):  # layers without a name of their own: by their order
        found = dict(zip(layers, found.values(), strict=True))
    for name, arrays in found.items():
        if name in layers:
            put(layers[name], arrays)
    return float(session.card.head("emotion").calibration.temperature)


def put(layer: nn.Module, arrays: list[np.ndarray]) -> None:
    """Set a layer's weights from arrays in Keras' order and shapes."""
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    with torch.no_grad():
        if isinstance(layer, nn.Conv2d):
            layer.weight.copy_(tensors[0].permute(3, 2, 0, 1))
        elif isinstance(layer, nn.Linear):
            layer.weight.copy_(tensors[0].t())
            layer.bias.copy_(tensors[1])
        else:
            layer.weight.copy_(tensors[0])
            layer.bias.copy_(tensors[1])
            layer.running_mean.copy_(tensors[2])
            layer.running_var.copy_(tensors[3])


def keras_arrays(network: nn.Module) -> dict[str, list[np.ndarray]]:
    """Return every layer's weights by name, in Keras' order and shapes."""
    arrays = {}
    for name, layer in network.layers.items():
        if isinstance(layer, nn.Conv2d):
            tensors = [layer.weight.permute(2, 3, 1, 0)]
        elif isinstance(layer, nn.Linear):
            tensors = [layer.weight.t(), layer.bias]
        else:
            tensors = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        arrays[name] = [tensor.detach().float().cpu().numpy().copy() for tensor in tensors]
    return arrays
