"""Scattered sums, compiled: whole rows are added, in the order in which they come, so that the bits are NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import Array
from nnx.kernels.numba.compilation import compiled
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape

_LEAST = 32_768


def _accepts(values: Array, rows: Array, count: int) -> bool:
    usable = values.ndim == 2 and values.size > 0 and values.shape[1] > 1 and rows.dtype.kind in "iu"
    return usable and are_plain(values) and have_shape(values.shape[:1], rows)


@compiled_kernel(least=_LEAST, accepts=_accepts)
def scatter_add(values: Array, rows: Array, count: int) -> Array:
    sums = np.zeros_like(values, shape=(count, values.shape[1]))
    add_rows(sums, values, rows)
    return sums


def add_rows(sums: Array, values: Array, rows: Array) -> None:
    """Add rows of values (n, m) into those of a contiguous array (count, m) that `rows` (n,) says.

    Negative ones count from the end. IndexError, before any of them is added, for those that are not there.
    """
    _add_rows(sums, values.astype(sums.dtype, order="C", copy=False), rows.astype(np.int64))


@compiled
def _add_rows(sums: Any, values: Any, rows: Any) -> None:
    for i in range(rows.size):
        if not -sums.shape[0] <= rows[i] < sums.shape[0]:
            raise IndexError("scatter_add: there is no row of such a number")
    for i in range(rows.size):
        total, added = sums[rows[i]], values[i]
        for j in range(added.size):
            total[j] += added[j]
