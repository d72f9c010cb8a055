"""Choice between the elements of two arrays."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated

__all__ = ["where"]


@accelerated
def where(condition: Array, a: Any, b: Any) -> Array:
    """Elements of a where the condition is true, and of b where it is not.

    condition : bools. a, b : arrays that broadcast with it, or numbers; at most one of them is a number.

    >>> import numpy as np
    >>> where(np.asarray([True, False]), np.asarray([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    return array_namespace(condition).where(condition, a, b)
