"""Choice where an array is 0, with which derivatives are guarded against 0 times infinity."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated

__all__ = ["where_zero"]


@accelerated
def where_zero(dy: Array, instead: float, x: Array) -> Array:
    """x, and a number in its place where dy is 0.

    dy : an array. x : another one that broadcasts, or a number. Returns an array of the shape of both, or x itself
    where there is no 0.

    >>> import numpy as np
    >>> where_zero(np.asarray([0.0, 2.0]), 1.0, np.asarray([3.0, 4.0]))
    array([1., 4.])
    """
    return array_namespace(dy).where(dy == 0, instead, x)
