"""Special functions, which the Array API standard lacks: the error function and its kin, logsumexp, distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nnx import functional
from nnx.autodiff.array import TrackedArray, lower
from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.ops.operation import as_array, as_floats, name_of_dtype, namespace, operation, positive_axis, promote

__all__ = ["cdist", "erf", "erfc", "erfinv", "logsumexp", "rsqrt"]

_SLOPE = 2.0 / math.sqrt(math.pi)
_NEAR = 0.5  # up to here the error function is its power series: 1 - erfc would lose what is small
_TERMS = tuple((-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(14))


@operation
def erf(x: Any) -> Array:
    """Error function: 2 / sqrt(pi) * (the integral of exp(-t**2) over t from 0 to x).

    >>> erf([0.0, 1.0]).round(4)
    array([0.    , 0.8427], dtype=float32)
    """
    return _erf(as_floats(x))


@operation
def erfc(x: Any) -> Array:
    """Complementary error function: 1 - erf(x), also where that is tiny.

    >>> erfc([0.0, 1.0]).round(4)
    array([1.    , 0.1573], dtype=float32)
    """
    return _erfc(as_floats(x))


def _erf_and_pullback(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    xp = namespace(x)
    near = xp.clip(x, -_NEAR, _NEAR)
    square = near * near
    series = xp.zeros_like(x) + _TERMS[-1]
    for term in _TERMS[-2::-1]:
        series = series * square + term
    far = xp.sign(x) * (1.0 - functional.erfc(xp.abs(x)))
    y = xp.where(xp.abs(x) < _NEAR, _SLOPE * near * series, far)
    return y, lambda dy: dy * (_SLOPE * namespace(dy, x).exp(-x * x))


def _erfc_and_pullback(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return functional.erfc(x), lambda dy: dy * (-_SLOPE * namespace(dy, x).exp(-x * x))


_erf, _erfc = primitive(_erf_and_pullback), primitive(_erfc_and_pullback)


@operation
def erfinv(x: Any) -> Array:
    """Inverse of the error function; -inf and inf at -1 and 1, NaN outside.

    A rational approximation (Winitzki, 2008), made exact by steps of Halley's method.

    >>> erfinv([0.0, 0.5]).round(4)
    array([0.    , 0.4769], dtype=float32)
    """
    return _erfinv(as_floats(x))


def _erfinv_and_pullback(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    y = _erfinv_primitive(x) if isinstance(x, TrackedArray) else _inverse_by_steps(x)

    def pullback(dy: Array) -> Array:  # at -1 and 1 the slope is infinite, but what is 0 stays 0
        xp = namespace(dy, y)
        return xp.where(lower(dy) == 0.0, 0.0, dy * (xp.exp(y * y) / _SLOPE))

    return y, pullback


def _inverse_by_steps(x: Array) -> Array:
    xp = namespace(x)
    size = xp.abs(x)
    inside = xp.where(size < 1.0, size, 0.5)
    logarithm = xp.log1p(-inside) + xp.log1p(inside)
    half = 2.0 / (math.pi * 0.147) + 0.5 * logarithm
    y = xp.sqrt(xp.maximum(xp.sqrt(half * half - logarithm / 0.147) - half, 0.0))
    for _ in range(3 if name_of_dtype(x) == "float64" else 2):
        # by what is far from 1: the error function near 0, its complement else
        error = xp.where(inside < 0.5, _erf_and_pullback(y)[0] - inside, (1.0 - inside) - functional.erfc(y))
        step = error / (_SLOPE * xp.exp(-y * y))
        y = y - step / (1.0 + y * step)
    y = xp.where(size < 1.0, y, math.inf)
    return xp.sign(x) * xp.where(size <= 1.0, y, math.nan)


_erfinv_primitive = primitive(_erfinv_and_pullback)


def _erfinv(x: Array) -> Array:
    if name_of_dtype(x) == "float16":
        return as_array(_erfinv_primitive(as_array(x, "float32")), "float16")
    return _erfinv_primitive(x)


@operation
def rsqrt(x: Any) -> Array:
    """Reciprocal of the square root: 1 / sqrt(x).

    >>> rsqrt([4.0, 16.0])
    array([0.5 , 0.25], dtype=float32)
    """
    array = as_floats(x)
    return 1.0 / namespace(array).sqrt(array)


@operation
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Logarithm of the sum of exponentials over axes, by default all, finite for finite x.

    >>> float(logsumexp([1000.0, 1000.0])) - 1000.0
    0.69317626953125
    """
    array = as_floats(x)
    rank = len(array.shape)
    axes = tuple(range(rank)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    return _logsumexp(array, tuple(positive_axis(a, rank, "logsumexp") for a in axes), keepdims)


def _logsumexp_and_pullback(x: Array, axes: tuple[int, ...], keepdims: bool) -> tuple[Array, Callable[[Array], Array]]:
    """Infinite elements share the derivative among them, and so do all where all are -inf."""
    xp = namespace(x)
    most = xp.max(x, axis=axes, keepdims=True)
    ends = xp.logical_not(xp.isfinite(most))
    exponential = xp.exp(x - xp.where(ends, 0.0, most))
    exponential = xp.where(ends, xp.astype(x == most, x.dtype), exponential)
    total = xp.sum(exponential, axis=axes, keepdims=True)
    y = xp.where(ends, most, xp.where(ends, 0.0, most) + xp.log(xp.where(ends, 1.0, total)))
    shape = tuple(n for axis, n in enumerate(y.shape) if axis not in axes)

    def pullback(dy: Array) -> Array:
        shares = exponential / total
        return namespace(dy, shares).reshape(dy, y.shape) * shares

    return y if keepdims else xp.reshape(y, shape), pullback


_logsumexp = primitive(_logsumexp_and_pullback)


@operation
def cdist(x: Any, y: Any) -> Array:
    """Euclidean distances of all pairs of points: x (..., n, d), y (..., m, d) -> (..., n, m).

    ValueError for points of different sizes.

    >>> cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]])
    array([[5., 1.]], dtype=float32)
    """
    a, b = promote(as_floats(x), as_floats(y))
    if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"cdist: points are (..., n, d) and (..., m, d), got {tuple(a.shape)} and {tuple(b.shape)}")
    xp = namespace(a, b)
    return xp.linalg.vector_norm(a[..., :, None, :] - b[..., None, :, :], axis=-1)
