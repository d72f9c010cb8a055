"""Scattered sums: rows added up where indices say, the one primitive that the Array API standard lacks."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.embedding import sums_by_one_hot, sums_by_sorting
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
