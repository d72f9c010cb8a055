"""Differences of neighbours, and integrals."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array
from nnx.ops.operation import as_array, as_floats, is_bool, namespace, operation, positive_axis, promote

__all__ = ["diff", "trapezoid"]


@operation
def diff(a: Any, n: int = 1, axis: int = -1) -> Array:
    """Differences of neighbours along an axis; of bools whether they differ.

    n : how many times.

    >>> diff([1.0, 4.0, 9.0])
    array([3., 5.], dtype=float32)
    """
    x = as_array(a)
    if n < 0:
        raise ValueError(f"diff: n must not be negative, got {n}")
    axis = positive_axis(axis, len(x.shape), "diff")
    before = (slice(None),) * axis
    for _ in range(min(n, x.shape[axis])):
        later, earlier = x[(*before, slice(1, None), ...)], x[(*before, slice(None, -1), ...)]
        x = later != earlier if is_bool(x) else later - earlier
    return x


@operation
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """Integral along an axis by the trapezoidal rule.

    x : where the values are, of their shape or (n,); by default at distances dx.

    >>> float(trapezoid([1.0, 2.0, 3.0]))
    4.0
    """
    y = as_floats(y)
    rank = len(y.shape)
    axis = positive_axis(axis, rank, "trapezoid")
    before = (slice(None),) * axis
    if x is None:
        y, step = promote(y, dx)
    else:
        y, places = promote(y, x)
        if len(places.shape) == 1:
            step = diff(places)
            step = namespace(step).reshape(step, tuple(-1 if i == axis else 1 for i in range(rank)))
        else:
            step = diff(places, axis=axis)
    xp = namespace(y, step)
    middle = (y[(*before, slice(1, None), ...)] + y[(*before, slice(None, -1), ...)]) * 0.5
    return xp.sum(middle * step, axis=axis)
