"""The way back of a reduction: a cotangent in the shape of what was reduced."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated

__all__ = ["spread"]


@accelerated
def spread(dy: Array, x: Array) -> Array:
    """An array like x with the elements of dy, which broadcasts to its shape.

    >>> import numpy as np
    >>> spread(np.asarray([[2.0], [3.0]]), np.zeros((2, 2)))
    array([[2., 2.],
           [3., 3.]])
    """
    xp = array_namespace(x)
    made = dy * xp.ones_like(x)
    return made if made.dtype == x.dtype else xp.astype(made, x.dtype)
