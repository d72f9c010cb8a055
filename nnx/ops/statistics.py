"""Counts in bins, and correlations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.autodiff.array import lower
from nnx.backends import Array, to_numpy
from nnx.functional.counting import bin_sums
from nnx.ops.operation import (
    as_array,
    as_floats,
    beside,
    cast_to,
    is_bool,
    is_float,
    name_of_dtype,
    namespace,
    operation,
    promote,
)

__all__ = ["bincount", "corrcoef", "correlate", "digitize", "histogram"]


@operation
def histogram(x: Any, bins: Any = 10, range: Any = None) -> tuple[Array, Array]:
    """Counts of elements in bins, and the edges of these: two arrays, both of floating numbers.

    bins : how many of equal width, or their edges in ascending order. range : from where to where; by default from the
    smallest element to the largest. What lies outside is not counted; the last edge belongs to the last bin.

    >>> histogram([1.0, 2.0, 2.0], bins=2)
    (array([1., 2.], dtype=float32), array([1. , 1.5, 2. ], dtype=float32))
    """
    x = as_floats(x)
    x = namespace(x).reshape(x, (math.prod(x.shape),))
    if isinstance(bins, int):
        if bins < 1:
            raise ValueError(f"histogram: bins must be positive, got {bins}")
        made = _edges(x, bins, range)
    else:
        made = promote(x, bins)[1]
    x, edges = lower(x), lower(made)
    xp, count = namespace(x), edges.shape[0] - 1
    places = xp.searchsorted(edges, x, side="right") - 1
    places = xp.where(x == edges[-1], count - 1, places)
    places = xp.where((places < 0) | (places >= count) | xp.isnan(x), count, places)
    return cast_to(bin_sums(cast_to(places, "int64"), count), name_of_dtype(x)), made


def _edges(x: Array, bins: int, limits: Any) -> Array:
    xp = namespace(x)
    if limits is not None:
        low, high = (float(one) for one in limits)
        if low > high:
            raise ValueError(f"histogram: range goes from the lower to the higher end, got {limits}")
        if low == high:
            low, high = low - 0.5, high + 0.5
        return beside(x, np.linspace(low, high, bins + 1), name_of_dtype(x))
    if x.shape[0] == 0:
        return beside(x, np.linspace(0.0, 1.0, bins + 1), name_of_dtype(x))
    lowest, highest = xp.min(x), xp.max(x)
    half = xp.where(lowest == highest, 0.5, xp.zeros_like(lowest))
    lowest, highest = lowest - half, highest + half
    share = np.linspace(0.0, 1.0, bins + 1)
    shares, rest = (beside(x, one, name_of_dtype(x)) for one in (share, 1.0 - share))
    return lowest * rest + highest * shares


@operation
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Array:
    """How often each number from 0 on occurs, or what its weights add up to. Its length depends on the data.

    x : integers (n,), none negative, or (rows, n), each row for itself. weights : of x's shape. minlength : the least
    length of the result. sparse : True is refused, there are no sparse arrays.

    >>> bincount([0, 2, 2])
    array([1, 0, 2])
    """
    if sparse:
        raise ValueError("bincount: there are no sparse arrays; leave sparse=False")
    x = as_array(x)
    if is_float(x) or is_bool(x):
        raise TypeError(f'bincount: x are integers, got {x.dtype}; write nnx.ops.cast(x, "int32")')
    if len(x.shape) not in (1, 2):
        raise ValueError(f"bincount: x has one axis or two, got shape {tuple(x.shape)}")
    host = to_numpy(x)
    if host.size and host.min() < 0:
        raise ValueError(f"bincount: x must not be negative, got {host.min()}")
    count = max(int(host.max(initial=-1)) + 1, minlength)
    rows = 1 if len(x.shape) == 1 else x.shape[0]
    xp = namespace(x)
    keys = xp.reshape(cast_to(x, "int64"), (rows, -1 if host.size else 0))
    keys = keys + beside(x, np.arange(rows)[:, None] * count)
    keys = xp.reshape(keys, (host.size,))
    shape = (count,) if len(x.shape) == 1 else (rows, count)
    if weights is None:
        return xp.reshape(bin_sums(keys, rows * count), shape)
    w = as_floats(as_array(weights, like=x))
    wp = namespace(w)
    return wp.reshape(bin_sums(keys, rows * count, wp.reshape(w, (host.size,))), shape)


@operation
def digitize(x: Any, bins: Any) -> Array:
    """The bin of each element: how many edges are not above it.

    bins (n,) : the edges, ascending, or descending.

    >>> digitize([0.5, 1.0, 9.0], [0.0, 1.0, 2.0])
    array([1, 2, 3])
    """
    values, edges = (lower(one) for one in promote(x, bins))
    xp = namespace(values)
    if len(edges.shape) != 1:
        raise ValueError(f"digitize: bins have one axis, got shape {tuple(edges.shape)}")
    if is_bool(values):
        values, edges = cast_to(values, "int64"), cast_to(edges, "int64")
    flat, count = xp.reshape(values, (math.prod(values.shape),)), edges.shape[0]
    places = xp.searchsorted(edges, flat, side="right")
    if count > 1:
        falling = count - xp.searchsorted(xp.flip(edges), flat, side="right")
        places = xp.where(edges[-1] >= edges[0], places, falling)
    return xp.reshape(places, values.shape)


@operation
def corrcoef(x: Any) -> Array:
    """Correlation coefficients of variables, which are the rows of x: (n, observations) makes (n, n).

    >>> corrcoef([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]).round(5).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = as_floats(x)
    if len(x.shape) > 2:
        raise ValueError(f"corrcoef: x has one axis or two, got shape {tuple(x.shape)}")
    xp = namespace(x)
    rows = xp.reshape(x, (1, math.prod(x.shape))) if len(x.shape) < 2 else x
    centred = rows - xp.mean(rows, axis=-1, keepdims=True)
    products = xp.matmul(centred, xp.matrix_transpose(centred))
    lengths = xp.sqrt(xp.linalg.diagonal(products))
    found = products / lengths[:, None] / lengths[None, :]
    found = xp.where(found > 1.0, 1.0, xp.where(found < -1.0, -1.0, found))
    return found if len(x.shape) == 2 else found[0, 0]


@operation
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Array:
    """Cross-correlation of two vectors: sums of products, with the second one moved along the first.

    mode : "valid", where one lies within the other; "same", as many as the longer one has; "full", wherever they meet.

    >>> correlate([1.0, 2.0, 3.0], [0.0, 1.0])
    array([2., 3.], dtype=float32)
    """
    a, b = promote(x1, x2)
    if not is_float(a):
        a, b = as_floats(a), as_floats(b)
    if len(a.shape) != 1 or len(b.shape) != 1 or 0 in (*a.shape, *b.shape):
        raise ValueError(f"correlate: two vectors are expected, got shapes {tuple(a.shape)} and {tuple(b.shape)}")
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"correlate: mode must be valid, same or full, got {mode!r}")
    n, m = a.shape[0], b.shape[0]
    start, stop = 0, n + m - 1
    if mode == "valid":
        start, stop = min(n, m) - 1, max(n, m)
    elif mode == "same":
        start = (min(n, m) - 1) // 2 if n >= m else (n + m - 1) - max(n, m) - (min(n, m) - 1) // 2
        stop = start + max(n, m)
    xp = namespace(a, b)
    places = np.arange(start, stop)[:, None] + np.arange(m)[None, :] - (m - 1)
    inside = (places >= 0) & (places < n)
    windows = xp.take(a, beside(a, np.clip(places, 0, n - 1).reshape(-1)), axis=0)
    windows = xp.where(beside(a, inside), xp.reshape(windows, places.shape), 0.0)
    return xp.matmul(windows, b)
