"""Pooling: the largest element, or the mean, of windows of sequences and images."""

from __future__ import annotations

from typing import Any

from nnx import functional
from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.ops.operation import as_floats, namespace, operation
from nnx.shapes import Sizes

__all__ = ["adaptive_average_pool", "adaptive_max_pool", "average_pool", "max_pool"]

_average_pool, _max_pool = map(primitive, (functional.average_pool, functional.max_pool))


@operation
def max_pool(
    inputs: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """Largest element of each window, for each channel.

    inputs : (batch, *sizes, channels). strides : by default the windows' size.

    >>> max_pool([[[1.0], [5.0], [2.0], [2.0]]], 2).ravel()
    array([5., 2.], dtype=float32)
    """
    return _max_pool(as_floats(inputs), pool_size, strides, padding, data_format or "channels_last")


@operation
def average_pool(
    inputs: Any,
    pool_size: Sizes,
    strides: Sizes | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Array:
    """Mean of each window, for each channel; padding does not count.

    inputs : (batch, *sizes, channels). strides : by default the windows' size.

    >>> average_pool([[[1.0], [5.0], [2.0]]], 2, padding="same").ravel()
    array([3., 2.], dtype=float32)
    """
    return _average_pool(as_floats(inputs), pool_size, strides, padding, data_format or "channels_last")


@operation
def adaptive_average_pool(inputs: Any, output_size: Sizes, data_format: str | None = None) -> Array:
    """Mean of windows that divide each spatial axis into so many parts, as equal as they can be.

    inputs : (batch, *sizes, channels). Part i of n reaches from floor(i * size / n) to ceil((i + 1) * size / n), so
    that neighbours may share an element.

    >>> adaptive_average_pool([[[1.0], [5.0], [2.0], [2.0]]], 2).ravel()
    array([3., 2.], dtype=float32)
    """
    return _adaptive("mean", inputs, output_size, data_format)


@operation
def adaptive_max_pool(inputs: Any, output_size: Sizes, data_format: str | None = None) -> Array:
    """Largest element of windows that divide each spatial axis into so many parts; see `adaptive_average_pool`.

    >>> adaptive_max_pool([[[1.0], [5.0], [2.0], [2.0]]], 2).ravel()
    array([5., 2.], dtype=float32)
    """
    return _adaptive("max", inputs, output_size, data_format)


def _adaptive(reduction: str, inputs: Any, output_size: Sizes, data_format: str | None) -> Array:
    y = as_floats(inputs)
    xp, rank = namespace(y), len(y.shape)
    first = 2 if data_format == "channels_first" else 1
    counts = (output_size,) * (rank - 2) if isinstance(output_size, int) else tuple(output_size)
    for axis, count in enumerate(counts, start=first):
        size, before = y.shape[axis], (slice(None),) * axis
        bounds = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        parts = [y[(*before, slice(start, stop), ...)] for start, stop in bounds]
        y = xp.concat([getattr(xp, reduction)(part, axis=axis, keepdims=True) for part in parts], axis=axis)
    return y
