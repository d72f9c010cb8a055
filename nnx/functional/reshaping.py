"""Reshaping: functions that change the shape and nothing else."""

from __future__ import annotations

import math

from nnx.backends import Array, array_namespace
from nnx.pullbacks import Pullback

__all__ = ["flatten", "reshape"]


def reshape(x: Array, shape: tuple[int, ...]) -> tuple[Array, Pullback]:
    """Elements in the same order in another shape, the batch axis included

    x : of any shape.
    shape : of as many elements; one size may be -1, which stands for what is left.

    Returns y, and pullback(dy) -> dx, dy in the shape of x.

    >>> import numpy as np
    >>> y, pullback = reshape(np.zeros((2, 6)), (2, 3, -1))
    >>> y.shape, pullback(y).shape
    ((2, 3, 2), (2, 6))
    """
    xp = array_namespace(x)
    return xp.reshape(x, shape), lambda dy: xp.reshape(dy, x.shape)


def flatten(x: Array) -> tuple[Array, Pullback]:
    """Flattening of all axes but the first: x (batch, a, b, ...) -> y (batch, a * b * ...)

    Returns y, and pullback(dy) -> dx, dy in the shape of x.

    >>> import numpy as np
    >>> y, pullback = flatten(np.zeros((2, 3, 4)))
    >>> y.shape, pullback(y).shape
    ((2, 12), (2, 3, 4))
    """
    return reshape(x, (x.shape[0], math.prod(x.shape[1:])))
