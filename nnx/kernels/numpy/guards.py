"""NumPy kernel of guards. It looks first whether there is a 0, which is rare, and takes a fourth of a choice's time."""

from __future__ import annotations

import numpy as np

from nnx.backends import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.table import KERNELS


@backend_kernel(KERNELS)
def where_zero(dy: Array, instead: float, x: Array) -> Array:
    zero = np.logical_not(dy)
    if type(zero) is np.ndarray and not np.count_nonzero(zero):  # other arrays may not be looked at
        return x
    return np.where(zero, instead, x)
