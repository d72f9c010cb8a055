"""Convolutions over sequences and images."""

from __future__ import annotations

from typing import Any

from nnx import functional
from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.ops.operation import as_floats, operation, promote
from nnx.shapes import Sizes

__all__ = ["conv", "conv_transpose", "depthwise_conv", "separable_conv"]

_conv = primitive(functional.conv)
_conv_transpose = primitive(functional.conv_transpose)
_depthwise_conv = primitive(functional.depthwise_conv)
_separable_conv = primitive(functional.separable_conv)


def _floats(*values: Any) -> tuple[Array, ...]:
    return promote(*map(as_floats, values))


@operation
def conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Array:
    """Convolution of sequences or images, without a bias; see `nnx.functional.conv`.

    inputs : (batch, *sizes, channels). kernel : (*window, channels / groups, filters).
    data_format : "channels_last" (default) or "channels_first", where channels come behind the batch.

    The number of groups follows from the shapes. ValueError for shapes that do not go together.

    >>> conv([[[1.0], [2.0], [4.0]]], [[[1.0]], [[10.0]]]).ravel()
    array([21., 42.], dtype=float32)
    """
    x, kernel = _floats(inputs, kernel)
    data_format = data_format or "channels_last"
    channels = x.shape[1 if data_format == "channels_first" else -1]
    groups = max(channels // max(kernel.shape[-2], 1), 1)
    return _conv(x, kernel, None, strides, padding, dilation_rate, groups, data_format)


@operation
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Array:
    """Transposed convolution of sequences or images, without a bias; see `nnx.functional.conv_transpose`.

    inputs : (batch, *sizes, channels). kernel : (*window, filters, channels).

    >>> conv_transpose([[[1.0], [2.0]]], [[[1.0]], [[10.0]]]).ravel()
    array([ 1., 12., 20.], dtype=float32)
    """
    x, kernel = _floats(inputs, kernel)
    return _conv_transpose(
        x, kernel, None, strides, padding, output_padding, dilation_rate, data_format or "channels_last"
    )


@operation
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Array:
    """Convolution of every channel with filters of its own; see `nnx.functional.depthwise_conv`.

    inputs : (batch, *sizes, channels). kernel : (*window, channels, multiplier).

    >>> depthwise_conv([[[1.0, 5.0], [2.0, 6.0]]], [[[1.0], [0.0]], [[10.0], [1.0]]]).tolist()
    [[[21.0, 6.0]]]
    """
    x, kernel = _floats(inputs, kernel)
    return _depthwise_conv(x, kernel, None, strides, padding, dilation_rate, data_format or "channels_last")


@operation
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Array:
    """Convolution of every channel with its own filters, then of one position that mixes channels.

    inputs : (batch, *sizes, channels). depthwise_kernel : (*window, channels, multiplier). pointwise_kernel : (*ones,
    channels * multiplier, filters).

    >>> separable_conv([[[1.0, 5.0], [2.0, 6.0]]], [[[1.0], [0.0]], [[10.0], [1.0]]], [[[1.0], [1.0]]]).tolist()
    [[[27.0]]]
    """
    x, depthwise, pointwise = _floats(inputs, depthwise_kernel, pointwise_kernel)
    return _separable_conv(
        x, depthwise, pointwise, None, strides, padding, dilation_rate, data_format or "channels_last"
    )
