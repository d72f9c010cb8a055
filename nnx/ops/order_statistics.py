"""Order statistics: medians, quantiles and percentiles, also of what is not NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.autodiff.array import lower
from nnx.autodiff.primitive import primitive
from nnx.backends import Array, is_array
from nnx.functional import Pullback
from nnx.ops.operation import (
    as_array,
    as_floats,
    axes_of,
    beside,
    cast_to,
    name_of_dtype,
    namespace,
    operation,
    positive_axis,
    refuse_derivative,
)

__all__ = ["median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]

METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


@operation
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Median of the elements along axes: the one in the middle, or the mean of two. NaN if one is NaN.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1. Equal elements share the
    derivative.

    >>> float(median([1.0, 4.0, 2.0, 3.0]))
    2.5
    """
    return _quantile("median", x, 0.5, axis, "midpoint", keepdims)


@operation
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Median of the elements along axes that are not NaN; NaN if there are none.

    >>> float(nanmedian([1.0, float("nan"), 3.0]))
    2.0
    """
    return _quantile("nanmedian", x, 0.5, axis, "midpoint", keepdims)


@operation
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Array:
    """Quantiles of the elements along axes: below which a fraction q of them lies. NaN if one is NaN.

    q : from 0 to 1, or several, whose axes come first in the result. axis : one or several, by default all. method :
    what counts between two elements: "linear", "lower", "higher", "midpoint", or "nearest", which halfway is the lower.

    >>> quantile([0.0, 1.0, 2.0], [0.25, 0.5])
    array([0.5, 1. ], dtype=float32)
    """
    return _quantile("quantile", x, q, axis, method, keepdims)


@operation
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Array:
    """Percentiles of the elements along axes, which are `quantile` of q / 100.

    >>> float(percentile([0.0, 1.0, 2.0], 50))
    1.0
    """
    return _quantile("percentile", x, q, axis, method, keepdims, 100.0)


@operation
def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Array:
    """Quantiles of the elements along axes that are not NaN, see `quantile`; NaN if there are none.

    >>> float(nanquantile([0.0, float("nan"), 2.0], 0.5))
    1.0
    """
    return _quantile("nanquantile", x, q, axis, method, keepdims)


@operation
def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Array:
    """Percentiles of the elements along axes that are not NaN; see `percentile`.

    >>> float(nanpercentile([0.0, float("nan"), 2.0], 50))
    1.0
    """
    return _quantile("nanpercentile", x, q, axis, method, keepdims, 100.0)


def _quantile(name: str, x: Any, q: Any, axis: Any, method: str, keepdims: bool, whole: float = 1.0) -> Array:
    if method not in METHODS:
        raise ValueError(f"{name}: method must be one of {', '.join(METHODS)}, got {method!r}")
    x = as_floats(x)
    xp = namespace(x)
    rank = len(x.shape)
    axes = tuple(range(rank)) if axis is None else axes_of(axis)
    axes = tuple(positive_axis(a, rank, name) for a in (axes if isinstance(axes, tuple) else (axes,)))
    kept = [i for i in range(rank) if i not in axes]
    size = math.prod(x.shape[a] for a in axes)
    if size == 0:
        raise ValueError(f"{name} of an array of shape {tuple(x.shape)}, which has no elements along axis {axis}")
    rows = xp.reshape(xp.permute_dims(x, (*kept, *axes)), (*[x.shape[i] for i in kept], size))
    missing = lower(xp.isnan(rows))
    if name.startswith("nan"):
        last = xp.sum(xp.astype(missing, xp.int64), axis=-1, keepdims=True) * -1 + (size - 1)
        none = xp.all(missing, axis=-1, keepdims=True)
    else:
        last, none = size - 1, xp.any(missing, axis=-1, keepdims=True)
    fractions, shape = _fractions(name, q, whole, x)
    low, high, share = _places(xp, fractions, last, x, method)
    y = _elements(rows, low)
    if method in ("linear", "midpoint"):
        above = _elements(rows, high)
        y = xp.where((y == above) | (share == 0), y, y + (above - y) * share)  # inf stays inf
    y = xp.where(none, math.nan, y)
    y = xp.moveaxis(y, -1, 0)
    sizes = [1 if i in axes else n for i, n in enumerate(x.shape)] if keepdims else [x.shape[i] for i in kept]
    return xp.reshape(y, (*shape, *sizes))


def _fractions(name: str, q: Any, whole: float, x: Array) -> tuple[Any, tuple[int, ...]]:
    """The fractions (k,), on the host if they are from there, and their shape."""
    refuse_derivative(f"{name}: q", q)
    if is_array(q) and not isinstance(q, np.ndarray | np.generic):
        q = lower(q)
        xp = namespace(q)
        return xp.reshape(as_floats(q) / whole, (-1,)), tuple(q.shape)
    host = np.asarray(q)
    if host.dtype.kind not in "iuf" or np.any(host < 0) or np.any(host > whole):
        raise ValueError(f"{name}: q must be between 0 and {whole:g}, got {q!r}")
    exact = np.asarray([float(str(one)) for one in host.reshape(-1)])  # 0.1 in float32 means a tenth
    return exact / whole, host.shape


def _places(xp: Any, fractions: Any, last: Any, x: Array, method: str) -> tuple[Array, Array, Any]:
    """The places of the lower and the upper neighbour among the sorted elements, and the share of the upper one."""
    on_host = isinstance(fractions, np.ndarray) and isinstance(last, int)
    if on_host:
        xp = np
    else:
        dtype = "float64" if name_of_dtype(x) == "float64" else "float32"
        fractions = as_array(fractions, dtype, x)
        last = last if isinstance(last, int) else as_array(last, dtype)
    place = fractions * last
    low, high = xp.floor(place), xp.ceil(place)
    share = place - low
    if method == "nearest":
        low = xp.ceil(place - 0.5)
    elif method == "higher":
        low = high
    elif method == "midpoint":
        share = (high - low) * 0.5
    if on_host:
        low, high = (beside(x, a, "int64") for a in (low, high))
        return low, high, beside(x, share, name_of_dtype(x))
    low, high = (cast_to(xp.where(a < 0, 0.0, a), "int64") for a in (low, high))
    return low, high, cast_to(share, name_of_dtype(x))


@primitive
def _elements(x: Array, places: Array) -> tuple[Array, Pullback]:
    """Elements along the last axis of x in their order: x (..., n), places (k,) or (..., k) -> (..., k)."""
    xp = namespace(x)
    places = xp.broadcast_to(places, (*x.shape[:-1], places.shape[-1]))
    y = xp.take_along_axis(xp.sort(x, axis=-1), places, axis=-1)

    def pullback(dy: Array) -> tuple[Array, None]:
        hit = xp.astype(x[..., None, :] == y[..., :, None], dy.dtype)  # NaN, which equals nothing, gets nothing
        count = xp.sum(hit, axis=-1, keepdims=True)
        share = hit / xp.where(count == 0, 1.0, count)
        return xp.sum(dy[..., :, None] * share, axis=-2), None

    return y, pullback
