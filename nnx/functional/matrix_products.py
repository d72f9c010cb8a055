"""Matrix products of matrices and of stacks of them, as of the heads of attention."""

from __future__ import annotations

from nnx.backends import Array
from nnx.kernels import accelerated

__all__ = ["matrix_products"]


@accelerated
def matrix_products(a: Array, b: Array) -> Array:
    """Products of the matrices in the last two axes: a (..., i, j), b (..., j, k)  ->  (..., i, k)

    >>> import numpy as np
    >>> matrix_products(np.ones((2, 1, 3)), np.ones((2, 3, 1))).tolist()
    [[[3.0]], [[3.0]]]
    """
    return a @ b
