"""Reductions: sums, products, means, extrema and their places, and running sums."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import lower
from nnx.backends import Array
from nnx.ops.operation import (
    as_array,
    as_floats,
    axes_of,
    cast_to,
    dtype_name,
    floats,
    is_bool,
    is_float,
    namespace,
    operation,
    positive_axis,
    promote,
    read,
    refuse_bools,
)

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "max",
    "mean",
    "min",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
]


def _numbers(x: Any) -> Array:
    x = as_array(x)
    return x if is_float(x) or not is_bool(x) else cast_to(x, "int64")


@operation
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Sum of the elements along axes; of integers in a wide dtype, of bools their number.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1.

    >>> sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([4., 6.], dtype=float32)
    """
    xp, x = read(x)
    return xp.sum(cast_to(x, "int64") if is_bool(x) else x, axis=axes_of(axis), keepdims=keepdims)


@operation
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Array:
    """Product of the elements along axes; of integers in a wide dtype.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1. dtype : of the result.

    >>> prod([[1.0, 2.0], [3.0, 4.0]], axis=1)
    array([ 2., 12.], dtype=float32)
    """
    x = _numbers(x)
    if (name := dtype_name(dtype)) is not None:
        x = as_array(x, name)
    xp = namespace(x)
    axis = axes_of(axis)
    if not isinstance(axis, tuple):
        return xp.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype if name else None)
    axes = [positive_axis(a, len(x.shape), "prod") for a in axis]
    for one in sorted(axes, reverse=True):  # not every library takes several
        x = xp.prod(x, axis=one, keepdims=keepdims, dtype=x.dtype if name else None)
    return x


@operation
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Mean of the elements along axes, as floating numbers.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1.

    >>> mean([[1.0, 2.0], [3.0, 4.0]], axis=0)
    array([2., 3.], dtype=float32)
    """
    xp, x = floats(x)
    return xp.mean(x, axis=axes_of(axis), keepdims=keepdims)


@operation
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Variance of the elements along axes: the mean of squared distances from their mean.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1.

    >>> float(var([1.0, 3.0]))
    1.0
    """
    xp, x = floats(x)
    return xp.var(x, axis=axes_of(axis), keepdims=keepdims)


@operation
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Standard deviation of the elements along axes, the root of their variance; its derivative at 0 is 0.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1.

    >>> float(std([1.0, 3.0]))
    1.0
    """
    xp, x = floats(x)
    return xp.std(x, axis=axes_of(axis), keepdims=keepdims)


@operation
def average(x: Any, axis: Any = None, weights: Any = None) -> Array:
    """Weighted mean of the elements along axes.

    weights : of x's shape, or, with one axis, one for each element along it; by default all are equal.

    >>> float(average([1.0, 2.0], weights=[3.0, 1.0]))
    1.25
    """
    if weights is None:
        x = as_floats(x)
        return namespace(x).mean(x, axis=axes_of(axis))
    x, w = promote(as_floats(x), weights)
    xp = namespace(x, w)
    if tuple(w.shape) != tuple(x.shape):
        if not isinstance(axis, int) or len(w.shape) != 1:
            raise ValueError(
                f"average: weights of shape {tuple(w.shape)} for elements of shape {tuple(x.shape)}: give as many, or "
                f"one axis and a weight for each element along it"
            )
        w = xp.reshape(w, tuple(-1 if i == axis % len(x.shape) else 1 for i in range(len(x.shape))))
        w = xp.broadcast_to(w, x.shape)
    axis = axes_of(axis)
    return xp.sum(x * w, axis=axis) / xp.sum(w, axis=axis)


@operation
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Array:
    """Largest element along axes; NaN if one is NaN. Equal ones share the derivative.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1. initial : the least value of
        the result; without it, there has to be an element.

    >>> max([[1.0, 2.0], [3.0, 0.0]], axis=1)
    array([2., 3.], dtype=float32)
    """
    return _extremum("max", x, axis, keepdims, initial)


@operation
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Largest element along axes; `max` without an initial value.

    >>> amax([[1.0, 2.0], [3.0, 0.0]], axis=1)
    array([2., 3.], dtype=float32)
    """
    return _extremum("max", x, axis, keepdims, None)


@operation
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Array:
    """Smallest element along axes; NaN if one is NaN. Equal ones share the derivative.

    axis : one or several, by default all. keepdims : whether they stay, with the size 1. initial : the greatest value
        of the result; without it, there has to be an element.

    >>> min([[1.0, 2.0], [3.0, 0.0]], axis=1)
    array([1., 0.], dtype=float32)
    """
    return _extremum("min", x, axis, keepdims, initial)


@operation
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Smallest element along axes; `min` without an initial value.

    >>> amin([[1.0, 2.0], [3.0, 0.0]], axis=1)
    array([1., 0.], dtype=float32)
    """
    return _extremum("min", x, axis, keepdims, None)


def _extremum(name: str, x: Any, axis: Any, keepdims: bool, initial: Any) -> Array:
    xp, x = read(x)
    axis = axes_of(axis)
    if is_bool(x):
        return (xp.any if name == "max" else xp.all)(x, axis=axis, keepdims=keepdims)
    if initial is None:
        if 0 in x.shape and 0 in _reduced_sizes(x, axis):
            raise ValueError(f"{name} of an array of shape {tuple(x.shape)}, which has no elements: give initial=")
        return getattr(xp, name)(x, axis=axis, keepdims=keepdims)
    if 0 in x.shape:  # sums of nothing have the shape
        empty = xp.zeros_like(xp.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype))
        x, initial = promote(x, initial)
        return empty + initial
    x, initial = promote(getattr(xp, name)(x, axis=axis, keepdims=keepdims), initial)
    return getattr(namespace(x, initial), f"{name}imum")(x, initial)


def _reduced_sizes(x: Array, axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(x.shape)
    return tuple(x.shape[one] for one in (axis if isinstance(axis, tuple) else (axis,)))


@operation
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Range of the elements along axes: the largest minus the smallest. TypeError for bools.

    >>> float(ptp([1.0, 5.0, 3.0]))
    4.0
    """
    x = as_array(x)
    refuse_bools("ptp", x)
    return _extremum("max", x, axis, keepdims, None) - _extremum("min", x, axis, keepdims, None)


@operation
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Array:
    """Place of the largest element along an axis, the first one of equal ones; the first NaN, if there is one.

    axis : by default the place is that in the flattened array.

    >>> argmax([[1.0, 5.0, 5.0], [4.0, 0.0, 2.0]], axis=1)
    array([1, 0])
    """
    x = _numbers(x)
    return namespace(x).argmax(x, axis=axis, keepdims=keepdims)


@operation
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Array:
    """Place of the smallest element along an axis, the first one of equal ones; the first NaN, if there is one.

    axis : by default the place is that in the flattened array.

    >>> argmin([[1.0, 5.0, 5.0], [4.0, 0.0, 2.0]], axis=1)
    array([0, 1])
    """
    x = _numbers(x)
    return namespace(x).argmin(x, axis=axis, keepdims=keepdims)


@operation
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Whether all elements along axes are true, or not 0.

    >>> all([[True, False], [True, True]], axis=1)
    array([False,  True])
    """
    x = cast_to(lower(as_array(x)), "bool")
    return namespace(x).all(x, axis=axes_of(axis), keepdims=keepdims)


@operation
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Whether one of the elements along axes is true, or not 0.

    >>> any([[True, False], [False, False]], axis=1)
    array([ True, False])
    """
    x = cast_to(lower(as_array(x)), "bool")
    return namespace(x).any(x, axis=axes_of(axis), keepdims=keepdims)


@operation
def count_nonzero(x: Any, axis: Any = None) -> Array:
    """Number of elements along axes that are not 0.

    >>> int(count_nonzero([1.0, 0.0, 3.0]))
    2
    """
    x = cast_to(lower(as_array(x)), "bool")
    xp = namespace(x)
    return xp.sum(xp.astype(x, xp.int64), axis=axes_of(axis))


@operation
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Array:
    """Running sum along an axis, in the array's dtype.

    axis : by default that of the flattened array. dtype : of the result.

    >>> cumsum([1.0, 2.0, 3.0])
    array([1., 3., 6.], dtype=float32)
    """
    x, axis = _along(x, axis, dtype)
    return namespace(x).cumulative_sum(x, axis=axis, dtype=x.dtype)


@operation
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Array:
    """Running product along an axis, in the array's dtype.

    axis : by default that of the flattened array. dtype : of the result.

    >>> cumprod([1.0, 2.0, 3.0])
    array([1., 2., 6.], dtype=float32)
    """
    x, axis = _along(x, axis, dtype)
    return namespace(x).cumulative_prod(x, axis=axis, dtype=x.dtype)


def _along(x: Any, axis: int | None, dtype: Any) -> tuple[Array, int]:
    x = as_array(_numbers(x), dtype_name(dtype))
    if axis is None:
        return namespace(x).reshape(x, (math.prod(x.shape),)), 0
    return x, axis
