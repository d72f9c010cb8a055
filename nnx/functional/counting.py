"""Counts for metrics: histograms of whole numbers, and rows whose largest element is at a given index."""

from __future__ import annotations

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.scatter import sums_by_one_hot, sums_by_sorting
from nnx.kernels import accelerated

__all__ = ["bin_sums", "is_largest"]

_MOST_ONE_HOT = 1 << 21  # comparisons of keys with bins; up to there they cost less than sorting pairs


@accelerated
def bin_sums(keys: Array, count: int, weights: Array | None = None) -> Array:
    """Histogram of keys from 0 to count - 1: how many there are of each, or what their weights add up to.

    keys : integers (n,), none negative; those from `count` on are left out.
    weights : (n,), floating.

    Returns (count,): without weights int64, exact; with weights in their dtype.

    >>> import numpy as np
    >>> bin_sums(np.asarray([0, 2, 2, 5]), 3), bin_sums(np.asarray([0, 2, 2]), 3, np.asarray([0.5, 1.0, 2.0]))
    (array([1, 0, 2]), array([0.5, 0. , 3. ]))
    """
    xp = array_namespace(keys)
    if weights is not None:
        sums = sums_by_one_hot if count * keys.shape[0] <= _MOST_ONE_HOT else sums_by_sorting
        return sums(keys, weights[:, None], count)[:, 0]
    every = xp.arange(count + 1, dtype=keys.dtype, device=backend_of(keys).device_of(keys))
    bounds = xp.searchsorted(xp.sort(keys, stable=False), every)
    return bounds[1:] - bounds[:-1]


@accelerated
def is_largest(x: Array, index: Array) -> Array:
    """Rows that are largest at an index: 1 where that element is larger than all others, else 0; 0 for rows with NaN.

    x (..., c), index (...), int64  ->  (...), of x's dtype

    >>> import numpy as np
    >>> is_largest(np.asarray([[1.0, 3.0], [2.0, 2.0]]), np.asarray([1, 1]))
    array([1., 0.])
    """
    xp = array_namespace(x)
    largest = x == xp.max(x, axis=-1, keepdims=True)
    alone = xp.count_nonzero(largest, axis=-1) == 1  # there is none where something is not a number
    return xp.astype((xp.argmax(x, axis=-1) == index) & alone, x.dtype)
