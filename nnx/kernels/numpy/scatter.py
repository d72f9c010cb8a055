"""NumPy kernel of scattered sums.

`np.add.at` is fast for one axis only, so elements are added, not rows. Of 6,400 rows of 64 float32 numbers into 20,000
that takes 0.6 ms, where adding rows takes 3 ms, sorting and `np.add.reduceat` 2 ms, and Torch 0.5 ms.
"""

from __future__ import annotations

import numpy as np

from nnx.backends import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.table import KERNELS

_BLOCK = 32_768  # elements whose positions are computed at a time


def add_rows(sums: Array, values: Array, rows: Array) -> None:
    """Add rows of values (n, m) into those of a contiguous array (count, m) that `rows` (n,) says."""
    size = values.shape[1]
    flat, numbers = sums.reshape(-1), values.reshape(-1)  # a view of the sums
    if size == 1:
        np.add.at(flat, rows, numbers)
        return
    firsts, columns = rows.reshape(-1, 1).astype(np.intp) * size, np.arange(size)
    step = max(_BLOCK // max(size, 1), 1)
    for start in range(0, rows.size, step):
        positions = (firsts[start : start + step] + columns).reshape(-1)
        np.add.at(flat, positions, numbers[start * size : (start + step) * size])


def _accepts(values: Array, rows: Array, count: int) -> bool:
    return bool(values.dtype in (np.float16, np.float32, np.float64))


@backend_kernel(KERNELS, accepts=_accepts)
def scatter_add(values: Array, rows: Array, count: int) -> Array:
    wide = np.float32 if values.dtype == np.float16 else values.dtype
    sums = np.zeros((count, values.shape[1]), wide)
    add_rows(sums, values.astype(wide, copy=False), rows)
    return sums.astype(values.dtype, copy=False)
