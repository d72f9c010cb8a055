"""Normalisation by moments, by norms, and the moments themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import functional
from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.ops.operation import as_array, as_floats, name_of_dtype, namespace, operation, positive_axis

__all__ = [
    "batch_normalization",
    "layer_normalization",
    "moments",
    "normalize",
    "psnr",
    "rms_normalization",
]

_EPSILON = 1e-7
_layer = primitive(functional.layer_normalization)
_rms = primitive(functional.rms_normalization)


@operation
def moments(
    x: Any, axes: int | Sequence[int], keepdims: bool = False, synchronized: bool = False
) -> tuple[Array, Array]:
    """Mean and variance over axes; those of float16 are computed in float32.

    synchronized : over several devices: not available, NotImplementedError.

    >>> mean, variance = moments([1.0, 3.0], axes=0)
    >>> float(mean), float(variance)
    (2.0, 1.0)
    """
    if synchronized:
        raise NotImplementedError("moments: synchronized=True is not available; BatchNormalization(synchronized=True)")
    array = as_floats(x)
    half = name_of_dtype(array) == "float16"
    wide = as_array(array, "float32") if half else array
    xp, axis = namespace(wide), axes if isinstance(axes, int) else tuple(axes)
    mean, variance = xp.mean(wide, axis=axis, keepdims=keepdims), xp.var(wide, axis=axis, keepdims=keepdims)
    if half:
        largest = xp.finfo(array.dtype).max
        mean, variance = (as_array(xp.clip(m, -largest, largest), "float16") for m in (mean, variance))
    return mean, variance


@operation
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Array:
    """Normalisation of each feature by a given mean and variance: (x - mean) / sqrt(variance + epsilon).

    axis : of the features. mean, variance, offset, scale : (features,); offset is added last, scale multiplies before.

    >>> batch_normalization([[1.0], [3.0]], [2.0], [4.0], axis=-1, epsilon=0.0).ravel()
    array([-0.5,  0.5], dtype=float32)
    """
    array = as_floats(x)
    name = name_of_dtype(array)
    mean, variance, scale, offset = (
        None if v is None else as_array(v, name, like=array) for v in (mean, variance, scale, offset)
    )
    xp = namespace(array, mean, variance, scale, offset)
    axis = positive_axis(axis, len(array.shape), "batch_normalization")
    shape = tuple(-1 if position == axis else 1 for position in range(len(array.shape)))
    factor = 1.0 / xp.sqrt(xp.reshape(variance, shape) + epsilon)
    if scale is not None:
        factor = factor * xp.reshape(scale, shape)
    y = (array - xp.reshape(mean, shape)) * factor
    return y if offset is None else y + xp.reshape(offset, shape)


@operation
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None
) -> Array:
    """Normalisation of each sample by the mean and the variance over axes, times gamma, plus beta.

    epsilon : added to the variance, by default 1e-7. See `nnx.functional.layer_normalization`.

    >>> layer_normalization([[0.0, 4.0]])
    array([[-1.,  1.]], dtype=float32)
    """
    return _layer(*_beside(x, gamma, beta), axis, _EPSILON if epsilon is None else epsilon)


@operation
def rms_normalization(x: Any, scale: Any = None, axis: int | Sequence[int] = -1, epsilon: float | None = None) -> Array:
    """Normalisation by the root mean square over axes, times a scale.

    epsilon : added to the mean square, by default 1e-7. See `nnx.functional.rms_normalization`.

    >>> rms_normalization([[1.0, 7.0]]).round(4)
    array([[0.2, 1.4]], dtype=float32)
    """
    return _rms(*_beside(x, scale), axis, _EPSILON if epsilon is None else epsilon)


def _beside(x: Any, *parameters: Any) -> tuple[Any, ...]:
    array = as_floats(x)
    name = name_of_dtype(array)
    return array, *(None if p is None else as_array(p, name, like=array) for p in parameters)


@operation
def normalize(x: Any, axis: int | Sequence[int] = -1, order: int = 2, epsilon: float | None = None) -> Array:
    """Array divided by its norm along axes, which counts as at least epsilon.

    order : of the norm, an integer from 1. epsilon : by default 1e-7. A zero stays a zero.

    >>> normalize([[3.0, 4.0]])
    array([[0.6, 0.8]], dtype=float32)
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize: order must be an integer from 1, got {order!r}")
    array = as_floats(x)
    xp = namespace(array)
    if not array.shape:
        array = xp.reshape(array, (1,))
    axis = axis if isinstance(axis, int) else tuple(axis)
    length = xp.linalg.vector_norm(array, axis=axis, keepdims=True, ord=order)
    return array / xp.maximum(length, _EPSILON if epsilon is None else epsilon)


@operation
def psnr(x1: Any, x2: Any, max_val: float) -> Array:
    """Peak signal-to-noise ratio in decibels: 20 log10(max_val) - 10 log10(mean((x1 - x2)**2)).

    x1, x2 : of one shape, else ValueError. max_val : the largest value that they can have.

    >>> round(float(psnr([0.0, 2.0], [0.0, 0.0], 2.0)), 4)
    3.0103
    """
    a, b = as_floats(x1), as_floats(x2)
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(f"psnr: both arrays must have the same shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    xp = namespace(a, b)
    peak = as_array(max_val, name_of_dtype(a), like=a)
    return -10.0 * xp.log10(xp.mean((a - b) ** 2)) + 20.0 * xp.log10(peak)
