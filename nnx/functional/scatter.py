"""Scattered sums: rows added up where indices say, the one primitive that the Array API standard lacks."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace, backend_of
from nnx.kernels import accelerated
from nnx.precision import narrow, wide

__all__ = ["scatter_add"]

_MOST_ONE_HOT = 1 << 21  # elements of a one-hot matrix; up to there its product costs less than sorting


@accelerated
def scatter_add(values: Array, rows: Array, count: int) -> Array:
    """Rows of `values` added up in the places that `rows` says.

    values (n, m) : floating. rows (n,) : integers from 0 to count - 1; -1 is the last.

    Returns (count, m): zeros where no row went. float16 is added up in float32.

    >>> import numpy as np
    >>> scatter_add(np.asarray([[1.0], [2.0], [3.0]]), np.asarray([1, 0, 1]), 3).tolist()
    [[2.0], [4.0], [0.0]]
    """
    xp = array_namespace(values)
    if rows.dtype not in (xp.int32, xp.int64):
        rows = xp.astype(rows, xp.int64)
    rows = xp.where(rows < 0, rows + count, rows)
    form: Any = sums_by_one_hot if count * values.shape[0] <= _MOST_ONE_HOT else sums_by_sorting
    return narrow(form(rows, wide(values), count), values)


def sums_by_one_hot(keys: Array, values: Array, count: int) -> Array:
    """Sums of rows of values for each key from 0 to count - 1, by one matrix product.

    keys (n,), values (n, m)  ->  (count, m)

    >>> import numpy as np
    >>> sums_by_one_hot(np.asarray([1, 0, 1]), np.asarray([[1.0], [2.0], [3.0]]), 2).tolist()
    [[2.0], [4.0]]
    """
    xp = array_namespace(values)
    every = xp.arange(count, dtype=keys.dtype, device=backend_of(keys).device_of(keys))
    one_hot = xp.astype(keys[None, :] == every[:, None], values.dtype)
    return xp.matmul(one_hot, values)


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
