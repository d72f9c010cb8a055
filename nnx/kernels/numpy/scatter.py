"""NumPy kernel of scattered sums."""

from __future__ import annotations

import numpy as np

from nnx.backends import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.table import KERNELS


def _accepts(values: Array, rows: Array, count: int) -> bool:
    return bool(values.dtype in (np.float32, np.float64))


@backend_kernel(KERNELS, accepts=_accepts)
def scatter_add(values: Array, rows: Array, count: int) -> Array:
    sums = np.zeros((count, values.shape[1]), values.dtype)
    if values.shape[1] == 1:  # np.add.at is fast on flat arrays alone
        np.add.at(sums.reshape(-1), rows, values.reshape(-1))
    else:
        np.add.at(sums, rows, values)
    return sums
