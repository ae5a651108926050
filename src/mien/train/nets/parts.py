"""What the networks have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from mien.types import CROP_HW

__all__ = [
    "DirectConv2D",
    "DirectMaxPooling2D",
    "DirectSeparableConv2D",
    "FusedBatchNormalization",
    "NetOptions",
    "conv",
    "head",
    "max_pool",
    "norm",
    "separable",
]


class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]
    """Batch normalisation over the last axis by the back end's fused kernel.

    The same arithmetic and the same weights as Keras' own layer, which computes moments
    and scaling by separate operations. Used while training only; what is saved holds
    Keras' own layer. Together with :class:`DirectConv2D` it takes 18 % off a training step
    of ``glance`` with torch (``benchmarks/train_step.py``).

    One difference: the kernels' moving variance takes the unbiased variance of a batch,
    N / (N - 1) times Keras' own, with N the batch's values of a channel: 0.09 % more where
    a batch of 128 is 3 x 3 pixels large, less everywhere else.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise (N, H, W, C); anything else is left to Keras' own layer."""
        if len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        if keras.backend.backend() == "torch":
            return self._call_torch(inputs, bool(training))
        if keras.backend.backend() == "tensorflow" and training:
            return self._call_tensorflow(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _call_torch(self, inputs: Any, training: bool) -> Any:
        from torch.nn import functional

        normalised = functional.batch_norm(
            inputs.movedim(-1, 1),
            self.moving_mean.value,
            self.moving_variance.value,
            self.gamma.value,
            self.beta.value,
            training=training,
            momentum=1 - self.momentum,
            eps=self.epsilon,
        )
        return normalised.movedim(1, -1)

    def _call_tensorflow(self, inputs: Any) -> Any:
        import tensorflow as tf

        normalised, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            self.gamma.value,
            self.beta.value,
            epsilon=self.epsilon,
            is_training=True,
        )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return normalised


class DirectConv2D(layers.Conv2D):  # type: ignore[misc]
    """A convolution that hands torch the map as it lies in memory.

    Keras' torch back end copies every map to channels-first and back before it convolves;
    torch takes channels-last maps as they are. The same numbers, bit for bit. Used while
    training only, as :class:`FusedBatchNormalization` is.
    """

    def call(self, inputs: Any) -> Any:
        """Convolve (N, H, W, C) without bias; with other back ends as Keras does."""
        if keras.backend.backend() != "torch" or self.use_bias:
            return super().call(inputs)
        return _convolve(inputs, self.kernel.value.permute(3, 2, 0, 1), self.strides)


class DirectSeparableConv2D(layers.SeparableConv2D):  # type: ignore[misc]
    """The same for a depthwise convolution and the pointwise one after it."""

    def call(self, inputs: Any) -> Any:
        """Convolve (N, H, W, C) without bias; with other back ends as Keras does."""
        if keras.backend.backend() != "torch" or self.use_bias or self.depth_multiplier != 1:
            return super().call(inputs)
        depthwise = self.depthwise_kernel.value.permute(2, 3, 0, 1)
        middle = _convolve(inputs, depthwise, self.strides, groups=inputs.shape[-1])
        return _convolve(middle, self.pointwise_kernel.value.permute(3, 2, 0, 1), (1, 1))


class DirectMaxPooling2D(layers.MaxPooling2D):  # type: ignore[misc]
    """The same for the maximum of a window: eight to eleven times as fast, to the bit the same.

    Padding "same" hangs the last window over the edge, which is what torch's ``ceil_mode``
    does wherever the padding is all at the end.
    """

    def call(self, inputs: Any) -> Any:
        """Pool (N, H, W, C); other back ends, and padding at the beginning, as Keras does."""
        if keras.backend.backend() != "torch":
            return super().call(inputs)
        sizes = zip(inputs.shape[1:3], self.pool_size, self.strides, strict=True)
        if self.padding == "same" and any(_same_padding(*size)[0] for size in sizes):
            return super().call(inputs)
        from torch.nn import functional

        maps = functional.max_pool2d(
            inputs.movedim(-1, 1), self.pool_size, self.strides, ceil_mode=self.padding == "same"
        )
        return maps.movedim(1, -1)


def _convolve(inputs: Any, kernel: Any, strides: tuple[int, int], groups: int = 1) -> Any:
    """Convolve (N, H, W, C) by torch, padded as "same" means: the odd pixel goes to the end."""
    from torch.nn import functional

    from mien.train.nets.torch_conv import convolve

    maps = inputs.movedim(-1, 1)
    (top, bottom), (left, right) = (
        _same_padding(size, width, stride)
        for size, width, stride in zip(maps.shape[2:], kernel.shape[2:], strides, strict=True)
    )
    if (top, left) == (bottom, right):
        padding = (top, left)
    else:
        maps, padding = functional.pad(maps, (left, right, top, bottom)), (0, 0)
    return convolve(maps, kernel, strides, padding, groups).movedim(1, -1)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how many pixels "same" adds before and after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@dataclass(frozen=True)
class NetOptions:
    """What a recipe can change about a network without changing what it is.

    Attributes:
        dropout: factor on every dropout rate of the network; 0 switches dropout off.
        l2: L2 penalty on convolution and dense kernels.
        any_size: leave height and width open, for training at several resolutions.
        direct: build with the layers of this module that train faster, not with Keras' own.
    """

    dropout: float = 1.0
    l2: float = 0.0
    any_size: bool = False
    direct: bool = False

    @property
    def input(self) -> keras.KerasTensor:
        """A fresh input of raw grey crops, 0-255."""
        height, width = (None, None) if self.any_size else CROP_HW
        return keras.Input((height, width, 1), name="crops")

    @property
    def regulariser(self) -> keras.Regularizer | None:
        """The penalty on every kernel."""
        return keras.regularizers.L2(self.l2) if self.l2 else None


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int,
    options: NetOptions,
    *,
    stride: int = 1,
    normalised: bool = True,
    name: str | None = None,
) -> keras.KerasTensor:
    """Convolve without bias, padding "same".

    Where a normalisation follows, kernels start small, at a variance of 1 / (3 fan-in): it makes
    their size irrelevant to the output, and small ones turn faster at the same learning rate.
    Others start as Keras' own do, so that what they hand on keeps its size.
    """
    small = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    layer = DirectConv2D if options.direct else layers.Conv2D
    return layer(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=small if normalised else "glorot_uniform",
        kernel_regularizer=options.regulariser,
        name=name,
    )(x)


def separable(x: keras.KerasTensor, filters: int, options: NetOptions) -> keras.KerasTensor:
    """Convolve each channel by 3 x 3, then all of them by 1 x 1, without bias."""
    layer = DirectSeparableConv2D if options.direct else layers.SeparableConv2D
    return layer(
        filters,
        3,
        padding="same",
        use_bias=False,
        depthwise_regularizer=options.regulariser,
        pointwise_regularizer=options.regulariser,
    )(x)


def max_pool(
    x: keras.KerasTensor, size: int, options: NetOptions, *, padding: str = "valid"
) -> keras.KerasTensor:
    """Take the maximum of windows of ``size`` by ``size``, at every second pixel."""
    layer = DirectMaxPooling2D if options.direct else layers.MaxPooling2D
    return layer(size, strides=2, padding=padding)(x)


def norm(
    x: keras.KerasTensor, options: NetOptions, *, gamma: str = "ones", name: str | None = None
) -> keras.KerasTensor:
    """Batch-normalise; momentum 0.9 so that early evaluations are not misleading."""
    layer = FusedBatchNormalization if options.direct else layers.BatchNormalization
    return layer(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, name=name)(x)


def head(x: keras.KerasTensor, name: str, classes: int, options: NetOptions) -> keras.KerasTensor:
    """Add a dense layer ``<name>_logits`` and a softmax ``<name>``."""
    logits = layers.Dense(classes, kernel_regularizer=options.regulariser, name=f"{name}_logits")(x)
    return layers.Softmax(name=name)(logits)
