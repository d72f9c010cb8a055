"""Embedding: rows of a table, looked up by number."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace, backend_of
from nnx.kernels import accelerated
from nnx.precision import narrow, wide
from nnx.pullbacks import SKIP, Pullback

__all__ = ["embedding"]

_MOST_ONE_HOT = 1 << 21  # elements of a one-hot matrix; up to there its product costs less than sorting


@accelerated
def embedding(x: Array, embeddings: Array) -> tuple[Array, Pullback]:
    """Rows of a table, looked up by number: y[..., :] = embeddings[x[...], :]

    x : integers from 0 to v - 1, of any shape. For one outside y is NaN, as nothing waits for a device; on the host
        NumPy's kernel raises a ValueError.
    embeddings : (v, n).

    Returns y (*x.shape, n), and pullback(dy) -> (None, dembeddings): for each row of the table, the sum of dy where it
    was looked up.

    >>> import numpy as np
    >>> table = np.asarray([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> y, pullback = embedding(np.asarray([2, 0, 2]), table)
    >>> y.tolist()
    [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]
    >>> pullback(np.ones((3, 2)))[1].tolist()
    [[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]
    """
    xp = array_namespace(embeddings)
    rows, size = embeddings.shape
    keys = xp.reshape(x, (-1,))
    if keys.dtype not in (xp.int32, xp.int64):  # a small one may not hold the number of rows
        keys = xp.astype(keys, xp.int64)
    inside = xp.logical_and(keys >= 0, keys < rows)
    found = xp.take(embeddings, xp.where(inside, keys, 0), axis=0)
    y = xp.reshape(xp.where(inside[:, None], found, math.nan), (*x.shape, size))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[None, Array | None]:
        if out[1] is SKIP:
            return None, None
        flat_dy = wide(xp.reshape(dy, (math.prod(x.shape), size)))
        flat_dy = xp.where(inside[:, None], flat_dy, 0.0)
        form = sums_by_one_hot if rows * flat_dy.shape[0] <= _MOST_ONE_HOT else sums_by_sorting
        return None, narrow(form(keys, flat_dy, rows), embeddings)

    return y, pullback


def sums_by_one_hot(keys: Array, values: Array, count: int) -> Array:
    """Sums of rows of values for each key from 0 to count - 1, by one matrix product.

    keys (n,), values (n, m)  ->  (count, m)

    >>> import numpy as np
    >>> sums_by_one_hot(np.asarray([1, 0, 1]), np.asarray([[1.0], [2.0], [3.0]]), 2).tolist()
    [[2.0], [4.0]]
    """
    xp = array_namespace(values)
    every = xp.arange(count, dtype=keys.dtype, device=backend_of(keys).device_of(keys))
    one_hot = xp.astype(every[:, None] == keys[None, :], values.dtype)
    return one_hot @ values


def sums_by_sorting(keys: Array, values: Array, count: int) -> Array:
    """Sums of rows of values for each key, by differences of their running sum in the order of the keys.

    keys (n,), values (n, m) -> (count, m), as `sums_by_one_hot`, for many keys and bins.

    Running sums of what has a mean grow, and their differences lose digits: the mean is taken off before, and given
    back to each key as often as it was there.

    >>> import numpy as np
    >>> sums_by_sorting(np.asarray([1, 0, 1]), np.asarray([[1.0], [2.0], [3.0]]), 2).tolist()
    [[2.0], [4.0]]
    """
    xp = array_namespace(values)
    device = backend_of(keys).device_of(keys)
    order = xp.argsort(keys, stable=True)
    mean = xp.sum(values, axis=0, keepdims=True) * (1.0 / max(values.shape[0], 1))
    sums = xp.cumulative_sum(xp.take(values, order, axis=0) - mean, axis=0, include_initial=True)
    every = xp.arange(count + 1, dtype=keys.dtype, device=device)
    bounds = xp.searchsorted(xp.take(keys, order, axis=0), every)
    at_bounds = xp.take(sums, bounds, axis=0)
    counts = xp.astype(bounds[1:] - bounds[:-1], values.dtype)
    return at_bounds[1:, :] - at_bounds[:-1, :] + counts[:, None] * mean
