"""Subnormal numbers, which are too small to have all digits of their dtype: below 1.2e-38 in float32."""

from __future__ import annotations

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated

__all__ = ["flush_subnormals"]


@accelerated
def flush_subnormals(x: Array) -> None:
    """Zero in place of the subnormal numbers of a 1-D array, which may be a view.

    Processors take a hundred times as long for these; and an average that only decays never gets below them, since it
    stops where a share of it is rounded to nothing.

    >>> import numpy as np
    >>> x = np.asarray([1e-30, 1e-40], dtype="float32")
    >>> flush_subnormals(x)
    >>> x
    array([1.e-30, 0.e+00], dtype=float32)
    """
    xp = array_namespace(x)
    x *= xp.astype(xp.abs(x) >= xp.finfo(x.dtype).smallest_normal, x.dtype)
