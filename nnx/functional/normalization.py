"""Normalisation of each sample by itself: over its features, over groups of them, or to length 1.

All rest on one pullback. With x̂ = (x - mean) * r and r = 1 / sqrt(variance + epsilon) over N values, a cotangent dx̂
comes back as dx = (r / N) * (N dx̂ - Σ dx̂ - x̂ Σ (dx̂ x̂)).

Where squares would leave the range of the dtype, x is divided by a power of two before: x̂ stays what it is.
"""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.normalization_axes import Axis, along, axes_of, other_axes, parameter_cotangents, scale_and_shift
from nnx.kernels import accelerated
from nnx.precision import narrow, wide
from nnx.pullbacks import SKIP, Pullback

__all__ = [
    "deviation_normalization",
    "group_normalization",
    "layer_normalization",
    "rms_normalization",
    "unit_normalization",
]


@accelerated
def layer_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: Axis = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    """Layer normalisation over the axes `axis`: y = gamma * x̂ + beta.

    x : (batch, ...), floating. float16 is computed in float32.
    gamma, beta : of the sizes of those axes, in ascending order; or None (default) for 1 and 0.
    axis : one axis or several, by default the last.
    epsilon : added to the variance, by default 1e-3.

    Returns y of the shape and dtype of x, and pullback(dy) -> (dx, dgamma, dbeta), without the entries of a gamma or
    beta that is None. ValueError for axes that x does not have.

        x̂ = (x - mean) / sqrt(variance + epsilon), by the mean and the biased variance over those axes

    Ba, Kiros and Hinton, "Layer normalization", 2016, arXiv:1607.06450.

    >>> import numpy as np
    >>> x, gamma = np.asarray([[0.0, 4.0], [1.0, 3.0]]), np.asarray([1.0, 2.0])
    >>> y, pullback = layer_normalization(x, gamma, epsilon=0.0)
    >>> y
    array([[-1.,  2.],
           [-1.,  2.]])
    >>> dx, dgamma = pullback(np.ones((2, 2)))
    >>> dgamma
    array([-2.,  2.])
    """
    axes = axes_of(x.shape, axis)
    normal, pullback_normal = _standardize(wide(x), axes, epsilon)
    return _with_parameters(x, normal, pullback_normal, gamma, beta, axes)


@accelerated
def group_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    """Group normalisation, over all positions of a sample and the features of a group: y = gamma * x̂ + beta.

    x : (batch, ...); its axis `axis` are the c features, which are divided into `groups` of neighbours. float16 is
        computed in float32.
    gamma, beta : (c,), or None (default) for 1 and 0.
    groups : a divisor of c, by default 32.
    axis : of the features, by default the last.
    epsilon : added to the variance, by default 1e-3.

    Returns y of the shape and dtype of x, and pullback(dy) -> (dx, dgamma, dbeta), without the entries of a gamma or
    beta that is None.

        x̂ = (x - mean) / sqrt(variance + epsilon), by the mean and the biased variance of each group in a sample

    Wu and He, "Group normalization", 2018, arXiv:1803.08494.

    >>> import numpy as np
    >>> y, pullback = group_normalization(np.asarray([[0.0, 4.0, 1.0, 3.0]]), groups=2, epsilon=0.0)
    >>> y
    array([[-1.,  1., -1.,  1.]])
    """
    xp = array_namespace(x)
    (position,) = axes_of(x.shape, axis)
    grouped = (*x.shape[:position], groups, x.shape[position] // groups, *x.shape[position + 1 :])
    inner = tuple(index for index in range(1, len(grouped)) if index != position)
    normal, pullback_grouped = _standardize(xp.reshape(wide(x), grouped), inner, epsilon)

    def pullback_normal(dnormal: Array) -> Array:
        return xp.reshape(pullback_grouped(xp.reshape(dnormal, grouped)), x.shape)

    return _with_parameters(x, xp.reshape(normal, x.shape), pullback_normal, gamma, beta, (position,))


@accelerated
def rms_normalization(
    x: Array, scale: Array | None = None, axis: Axis = -1, epsilon: float = 1e-6
) -> tuple[Array, Pullback]:
    """Normalisation by the root mean square over `axis`: y = scale * x / sqrt(mean(x**2) + epsilon).

    x : (batch, ...), floating. float16 is computed in float32.
    scale : of the sizes of those axes, in ascending order; or None (default) for 1.
    axis : one axis or several, by default the last.
    epsilon : by default 1e-6.

    Returns y of the shape and dtype of x, and pullback(dy) -> (dx, dscale), without the entry of a scale that is None.
    ValueError for axes that x does not have.

    Zhang and Sennrich, "Root mean square layer normalization", 2019, arXiv:1910.07467.

    >>> import numpy as np
    >>> y, pullback = rms_normalization(np.asarray([[1.0, 7.0]]), epsilon=0.0)
    >>> y
    array([[0.2, 1.4]])
    """
    axes = axes_of(x.shape, axis)
    normal, pullback_normal = _standardize(wide(x), axes, epsilon, centered=False)
    return _with_parameters(x, normal, pullback_normal, scale, None, axes)


@accelerated
def deviation_normalization(
    x: Array, gamma: Array | None = None, axis: Axis = -1, epsilon: float = 1e-3
) -> tuple[Array, Pullback]:
    """Normalisation by the variance alone, in Keras rms_scaling=True: y = gamma * x / sqrt(variance + epsilon).

    The variance is that around the mean, although the mean stays in y.

    x : (batch, ...), floating. float16 is computed in float32.
    gamma : of the sizes of those axes, in ascending order; or None (default) for 1.
    axis : one axis or several, by default the last.
    epsilon : by default 1e-3.

    Returns y of the shape and dtype of x, and pullback(dy) -> (dx, dgamma), without the entry of a gamma that is None.
    ValueError for axes that x does not have.

    >>> import numpy as np
    >>> y, pullback = deviation_normalization(np.asarray([[1.0, 5.0]]), epsilon=0.0)
    >>> y
    array([[0.5, 2.5]])
    """
    xp = array_namespace(x)
    axes = axes_of(x.shape, axis)
    (x_wide, factor, least), share = _in_range(wide(x), axes, epsilon), _share(x, axes)
    centered = x_wide - xp.sum(x_wide, axis=axes, keepdims=True) * share
    inverse = 1.0 / xp.sqrt(xp.sum(centered * centered, axis=axes, keepdims=True) * share + least)

    def pullback_normal(dnormal: Array) -> Array:
        product = xp.sum(dnormal * x_wide, axis=axes, keepdims=True) * share
        return inverse * factor * (dnormal - centered * (inverse * inverse * product))

    return _with_parameters(x, x_wide * inverse, pullback_normal, gamma, None, axes)


@accelerated
def unit_normalization(x: Array, axis: Axis = -1, epsilon: float = 1e-12) -> tuple[Array, Pullback]:
    """Normalisation to length 1: y = x / max(|x|, epsilon), with the Euclidean norm over the axes `axis`.

    x : (batch, ...), floating. float16 is computed in float32.
    axis : one axis or several, by default the last.
    epsilon : by default 1e-12.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = (dy - y * sum(dy * y)) / |x|, or dy / epsilon where
    |x| <= epsilon. ValueError for axes that x does not have.

    >>> import numpy as np
    >>> y, pullback = unit_normalization(np.asarray([[3.0, 4.0]]))
    >>> y.round(4), pullback(np.asarray([[1.0, 0.0]])).round(4)
    (array([[0.6, 0.8]]), array([[ 0.128, -0.096]]))
    """
    xp = array_namespace(x)
    axes = axes_of(x.shape, axis)
    x_wide, factor, least = _in_range(wide(x), axes, epsilon)
    norm = xp.sqrt(xp.sum(x_wide * x_wide, axis=axes, keepdims=True))
    inverse = 1.0 / xp.maximum(norm, least)
    y = x_wide * inverse

    def pullback(dy: Array) -> Array:
        dy = wide(dy)
        radial = xp.where(norm > least, xp.sum(dy * y, axis=axes, keepdims=True), 0.0)
        return narrow((dy - y * radial) * (inverse * factor), x)

    return narrow(y, x), pullback


def _standardize(x: Array, axes: tuple[int, ...], epsilon: float, centered: bool = True) -> tuple[Array, Pullback]:
    """x̂ = (x - mean) / sqrt(variance + epsilon) over those axes, or x / sqrt(mean(x**2) + epsilon)."""
    xp = array_namespace(x)
    share = _share(x, axes)
    x, factor, least = _in_range(x, axes, epsilon)
    normal = x - xp.sum(x, axis=axes, keepdims=True) * share if centered else x
    inverse = 1.0 / xp.sqrt(xp.sum(normal * normal, axis=axes, keepdims=True) * share + least)
    normal = normal * inverse

    def pullback(dnormal: Array) -> Array:
        dx = dnormal - normal * (xp.sum(dnormal * normal, axis=axes, keepdims=True) * share)
        if centered:
            dx = dx - xp.sum(dnormal, axis=axes, keepdims=True) * share
        return inverse * factor * dx

    return normal, pullback


def _in_range(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Any, Any]:
    """x by a power of two where its squares along the axes would leave the range, that power, and epsilon there."""
    xp = array_namespace(x)
    if 0 in x.shape:
        return x, 1.0, epsilon
    half = round(math.log2(xp.finfo(x.dtype).max)) // 2
    largest = xp.max(xp.abs(x), axis=axes, keepdims=True)
    large = largest > 2.0 ** (half - 4)  # their sum has room too
    factor = xp.where(large, xp.full_like(largest, 2.0**-half), 1.0)
    # beside numbers as large as that epsilon is nothing: the least normal number keeps the root from 0
    return x * factor, factor, xp.where(large, xp.full_like(largest, 2.0 ** (2 - 2 * half)), epsilon)


def _share(x: Array, axes: tuple[int, ...]) -> float:
    """1 / the number of values along those axes."""
    count: int = math.prod(x.shape[index] for index in axes)
    return 1.0 / max(count, 1)


def _with_parameters(
    x: Array,
    normal: Array,
    pullback_normal: Pullback,
    gamma: Array | None,
    beta: Array | None,
    axes: tuple[int, ...],
) -> tuple[Array, Pullback]:
    """y = gamma * normal + beta in the dtype of x, with its pullback; gamma and beta lie along `axes`."""
    xp = array_namespace(x)
    scale, others = along(gamma, x, axes), other_axes(x, axes)
    y = scale_and_shift(normal, scale, along(beta, x, axes))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = wide(dy)
        return (
            None if out[0] is SKIP else narrow(pullback_normal(dy if scale is None else dy * scale), x),
            *parameter_cotangents(
                out[1:],
                (gamma, lambda: xp.sum(dy * normal, axis=others)),
                (beta, lambda: xp.sum(dy, axis=others)),
            ),
        )

    return narrow(y, x), pullback
