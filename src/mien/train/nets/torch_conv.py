"""A convolution for torch whose kernel's gradient is quick where maps are small.

oneDNN finds the gradient of a kernel row by row of the map, and in bfloat16 a row of three or
six pixels leaves most of a processor's matrix unit idle. Here it is one product of the map's
windows with the gradient of the output (``benchmarks/train_step.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

__all__ = ["SMALL_PX", "convolve"]

#: Side, in pixels, of the largest output for which copying every window pays.
SMALL_PX = 6


def convolve(
    maps: torch.Tensor,
    kernel: torch.Tensor,
    strides: tuple[int, int],
    padding: tuple[int, int],
    groups: int,
) -> torch.Tensor:
    """Convolve float (N, C, H, W) by a kernel (F, C / groups, h, w) without bias.

    Returns:
        (N, F, H', W'); in bfloat16 on a processor if autocast says so.
    """
    quick = (
        torch.is_autocast_enabled("cpu")
        and maps.device.type == "cpu"
        and groups == 1
        and kernel.shape[2] > 1
        and max(maps.shape[2] // strides[0], maps.shape[3] // strides[1]) <= SMALL_PX
    )
    if quick:
        convolved: torch.Tensor = _SmallMaps.apply(maps, kernel, strides, padding)
        return convolved
    return functional.conv2d(maps, kernel, None, strides, padding, groups=groups)


class _SmallMaps(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.bfloat16)  # type: ignore[misc]
    def forward(
        ctx: Any,
        maps: torch.Tensor,
        kernel: torch.Tensor,
        strides: tuple[int, int],
        padding: tuple[int, int],
    ) -> torch.Tensor:
        ctx.save_for_backward(maps, kernel)
        ctx.strides, ctx.padding = strides, padding
        return functional.conv2d(maps, kernel, None, strides, padding)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")  # type: ignore[misc]
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        maps, kernel = ctx.saved_tensors
        to_maps = torch.ops.aten.convolution_backward(
            *(gradient, maps, kernel, None, ctx.strides, ctx.padding),
            *((1, 1), False, (0, 0), 1, (True, False, False)),
        )[0]
        return to_maps, _to_kernel(maps, gradient, kernel, ctx.strides, ctx.padding), None, None


def _to_kernel(
    maps: torch.Tensor,
    gradient: torch.Tensor,
    kernel: torch.Tensor,
    strides: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """Return the kernel's gradient: windows of the map, laid out in rows, times the output's."""
    filters, channels, *size = kernel.shape
    rows, columns = gradient.shape[2:]
    framed = functional.pad(
        maps.movedim(1, -1), (0, 0, padding[1], padding[1], padding[0], padding[0])
    )
    shifted = [
        framed[:, top : top + rows * strides[0] : strides[0]][
            :, :, left : left + columns * strides[1] : strides[1]
        ]
        for top in range(size[0])
        for left in range(size[1])
    ]
    windows = torch.cat(shifted, dim=3).flatten(0, 2)
    product = windows.t() @ gradient.movedim(1, -1).reshape(-1, filters)
    return product.float().reshape(*size, channels, filters).permute(3, 2, 0, 1)
