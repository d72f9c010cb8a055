"""Reductions of what is not NaN: where a value is missing, it neither counts nor gets a derivative."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import lower
from nnx.backends import Array
from nnx.ops import reductions
from nnx.ops.operation import as_array, as_floats, axes_of, is_float, namespace, operation

__all__ = [
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]


def _filled(x: Any, value: float) -> tuple[Array, Array | None]:
    """An array with a value in place of NaN, and where something was; None for arrays that cannot have NaN."""
    x = as_array(x)
    if not is_float(x):
        return x, None
    xp = namespace(x)
    there = lower(xp.isnan(x)) == False  # noqa: E712
    return xp.where(there, x, value), there


@operation
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Sum of the elements along axes that are not NaN; 0 if there are none.

    >>> float(nansum([1.0, float("nan"), 2.0]))
    3.0
    """
    return reductions.sum(_filled(x, 0.0)[0], axis, keepdims)


@operation
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Product of the elements along axes that are not NaN; 1 if there are none.

    >>> float(nanprod([2.0, float("nan"), 3.0]))
    6.0
    """
    return reductions.prod(_filled(x, 1.0)[0], axis, keepdims)


@operation
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Array:
    """Running sum along an axis, to which NaN adds nothing.

    axis : by default that of the flattened array. dtype : of the result.

    >>> nancumsum([1.0, float("nan"), 2.0])
    array([1., 1., 3.], dtype=float32)
    """
    return reductions.cumsum(_filled(x, 0.0)[0], axis, dtype)


@operation
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Array:
    """Running product along an axis, which NaN leaves as it is.

    axis : by default that of the flattened array. dtype : of the result.

    >>> nancumprod([2.0, float("nan"), 3.0])
    array([2., 2., 6.], dtype=float32)
    """
    return reductions.cumprod(_filled(x, 1.0)[0], axis, dtype)


@operation
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Mean of the elements along axes that are not NaN; NaN if there are none.

    >>> float(nanmean([1.0, float("nan"), 3.0]))
    2.0
    """
    return _mean(*_filled(as_floats(x), 0.0), axis, keepdims)


def _mean(x: Array, there: Any, axis: Any, keepdims: bool) -> Array:
    xp = namespace(x)
    axis = axes_of(axis)
    count = xp.sum(xp.astype(there, x.dtype), axis=axis, keepdims=keepdims)
    return xp.sum(x, axis=axis, keepdims=keepdims) / xp.where(count == 0, math.nan, count)


@operation
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Variance of the elements along axes that are not NaN; NaN if there are none.

    >>> float(nanvar([1.0, float("nan"), 3.0]))
    1.0
    """
    return _variance(x, axis, keepdims)


@operation
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Standard deviation of the elements along axes that are not NaN; NaN if there are none.

    >>> float(nanstd([1.0, float("nan"), 3.0]))
    1.0
    """
    variance = _variance(x, axis, keepdims)
    xp = namespace(variance)
    zero = variance == 0
    return xp.where(zero, 0.0, xp.sqrt(xp.where(zero, 1.0, variance)))


def _variance(x: Any, axis: Any, keepdims: bool) -> Array:
    x, there = _filled(as_floats(x), 0.0)
    xp = namespace(x)
    distance = xp.where(there, x - _mean(x, there, axis, True), 0.0)
    return _mean(distance * distance, there, axis, keepdims)


@operation
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Largest element along axes that is not NaN; NaN if there is none.

    >>> float(nanmax([1.0, float("nan"), 3.0]))
    3.0
    """
    return _extremum("max", x, axis, keepdims, -math.inf)


@operation
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Array:
    """Smallest element along axes that is not NaN; NaN if there is none.

    >>> float(nanmin([1.0, float("nan"), 3.0]))
    1.0
    """
    return _extremum("min", x, axis, keepdims, math.inf)


def _extremum(name: str, x: Any, axis: Any, keepdims: bool, nothing: float) -> Array:
    x, there = _filled(x, nothing)
    y = getattr(reductions, name)(x, axis, keepdims)
    if there is None:
        return y
    xp = namespace(y)
    return xp.where(lower(namespace(there).any(there, axis=axes_of(axis), keepdims=keepdims)), y, math.nan)


@operation
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Array:
    """Place of the largest element along an axis that is not NaN; -1 if there is none.

    axis : by default the place is that in the flattened array.

    >>> int(nanargmax([1.0, float("nan"), 3.0]))
    2
    """
    return _place("argmax", x, axis, keepdims, -math.inf)


@operation
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Array:
    """Place of the smallest element along an axis that is not NaN; -1 if there is none.

    axis : by default the place is that in the flattened array.

    >>> int(nanargmin([1.0, float("nan"), 3.0]))
    0
    """
    return _place("argmin", x, axis, keepdims, math.inf)


def _place(name: str, x: Any, axis: int | None, keepdims: bool, nothing: float) -> Array:
    x, there = _filled(x, nothing)
    place = getattr(reductions, name)(x, axis, keepdims)
    if there is None:
        return place
    xp = namespace(place)
    return xp.where(xp.any(there, axis=axis, keepdims=keepdims), place, -1)
