"""The convolution of small maps, against torch's own."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the second back end is not installed")


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"),
    [(6, 3, 1, 1), (13, 3, 2, 0), (3, 3, 1, 1), (7, 5, 2, 2), (2, 3, 1, 1)],
)
def test_small_maps_have_the_gradients_of_others(
    side: int, kernel: int, stride: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.train.nets import torch_conv

    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(4, 5, side, side, generator=generator).movedim(1, -1).contiguous()
    weights = torch.randn(8, 5, kernel, kernel, generator=generator)
    taken = []
    monkeypatch.setattr(
        torch_conv,
        "_to_kernel",
        lambda *args, real=torch_conv._to_kernel: taken.append(1) or real(*args),
    )

    def through(*, small: bool) -> list[np.ndarray]:
        source, learned = maps.clone().requires_grad_(), weights.clone().requires_grad_()
        monkeypatch.setattr(torch_conv, "SMALL_PX", 6 if small else 0)
        with torch.autocast("cpu", torch.bfloat16):
            output = torch_conv.convolve(
                source.movedim(-1, 1), learned, (stride, stride), (padding, padding), 1
            )
        (output.float() ** 2).sum().backward()
        assert learned.grad.dtype == torch.float32
        return [value.detach().float().numpy() for value in (output, source.grad, learned.grad)]

    quick = through(small=True)
    assert taken
    for found, expected in zip(quick, through(small=False), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("autocast", "side", "groups"), [(False, 6, 1), (True, 12, 1), (True, 6, 4)]
)
def test_everything_else_is_left_to_torch(
    autocast: bool, side: int, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.train.nets import torch_conv

    monkeypatch.setattr(torch_conv, "_SmallMaps", None)
    maps, weights = torch.ones(1, 4, side, side), torch.ones(8, 4 // groups, 3, 3)

    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = torch_conv.convolve(maps, weights, (1, 1), (1, 1), groups)

    assert output.dtype == (torch.bfloat16 if autocast else torch.float32)
    assert output[0, 0, 1, 1] == 9 * 4 // groups
