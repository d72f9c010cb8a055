"""Comparisons, logic, bits, and choices by conditions."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import array_api_extra

from nnx.autodiff.array import lower
from nnx.backends import Array
from nnx.ops.operation import (
    as_array,
    as_floats,
    cast_to,
    is_bool,
    is_float,
    name_of_dtype,
    namespace,
    operation,
    promote,
    shared,
)

__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "left_shift",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "nonzero",
    "not_equal",
    "right_shift",
    "select",
    "signbit",
    "where",
]


def _numbers(x1: Any, x2: Any) -> tuple[Array, Array]:
    """Two arrays that can be put in order: bools as integers."""
    a, b = promote(x1, x2)
    return (cast_to(a, "int64"), cast_to(b, "int64")) if is_bool(a) else (a, b)


@operation
def equal(x1: Any, x2: Any) -> Array:
    """Whether elements are equal, one by one.

    >>> equal([1.0, 2.0], [1.0, 3.0])
    array([ True, False])
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.equal(x1, x2)
    a, b = promote(x1, x2)
    return namespace(a, b).equal(a, b)


@operation
def not_equal(x1: Any, x2: Any) -> Array:
    """Whether elements are not equal, one by one.

    >>> not_equal([1.0, 2.0], [1.0, 3.0])
    array([False,  True])
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.not_equal(x1, x2)
    a, b = promote(x1, x2)
    return namespace(a, b).not_equal(a, b)


@operation
def greater(x1: Any, x2: Any) -> Array:
    """Whether elements of x1 are larger than those of x2.

    >>> greater([1.0, 2.0], 1.0)
    array([False,  True])
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.greater(x1, x2)
    a, b = _numbers(x1, x2)
    return namespace(a, b).greater(a, b)


@operation
def greater_equal(x1: Any, x2: Any) -> Array:
    """Whether elements of x1 are larger than those of x2, or equal.

    >>> greater_equal([1.0, 2.0], 1.0)
    array([ True,  True])
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.greater_equal(x1, x2)
    a, b = _numbers(x1, x2)
    return namespace(a, b).greater_equal(a, b)


@operation
def less(x1: Any, x2: Any) -> Array:
    """Whether elements of x1 are smaller than those of x2.

    >>> less([1.0, 2.0], 2.0)
    array([ True, False])
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.less(x1, x2)
    a, b = _numbers(x1, x2)
    return namespace(a, b).less(a, b)


@operation
def less_equal(x1: Any, x2: Any) -> Array:
    """Whether elements of x1 are smaller than those of x2, or equal.

    >>> less_equal([1.0, 2.0], 2.0)
    array([ True,  True])
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.less_equal(x1, x2)
    a, b = _numbers(x1, x2)
    return namespace(a, b).less_equal(a, b)


def _truth(value: Any) -> Array:
    value = as_array(value)
    return value if is_bool(value) else cast_to(lower(value), "bool")


def _truths(x1: Any, x2: Any) -> tuple[Array, Array]:
    a, b = promote(x1, x2)
    return _truth(a), _truth(b)


@operation
def logical_and(x1: Any, x2: Any) -> Array:
    """Whether both elements are true, or not 0.

    >>> logical_and([True, False], True)
    array([ True, False])
    """
    a, b = _truths(x1, x2)
    return namespace(a, b).logical_and(a, b)


@operation
def logical_or(x1: Any, x2: Any) -> Array:
    """Whether one of two elements is true, or not 0.

    >>> logical_or([True, False], False)
    array([ True, False])
    """
    a, b = _truths(x1, x2)
    return namespace(a, b).logical_or(a, b)


@operation
def logical_xor(x1: Any, x2: Any) -> Array:
    """Whether one of two elements is true and the other one is not.

    >>> logical_xor([True, False], True)
    array([False,  True])
    """
    a, b = _truths(x1, x2)
    return namespace(a, b).logical_xor(a, b)


@operation
def logical_not(x: Any) -> Array:
    """Whether elements are false, or 0.

    >>> logical_not([True, False])
    array([False,  True])
    """
    a = _truth(x)
    return namespace(a).logical_not(a)


@operation
def isfinite(x: Any) -> Array:
    """Whether elements are numbers, and no infinities.

    >>> isfinite([1.0, float("inf")])
    array([ True, False])
    """
    x = as_floats(x)
    return namespace(x).isfinite(x)


@operation
def isinf(x: Any) -> Array:
    """Whether elements are infinite.

    >>> isinf([1.0, float("-inf")])
    array([False,  True])
    """
    x = as_floats(x)
    return namespace(x).isinf(x)


@operation
def isposinf(x: Any) -> Array:
    """Whether elements are infinity.

    >>> isposinf([1.0, float("inf")])
    array([False,  True])
    """
    return as_floats(x) == math.inf


@operation
def isneginf(x: Any) -> Array:
    """Whether elements are minus infinity.

    >>> isneginf([1.0, float("-inf")])
    array([False,  True])
    """
    return as_floats(x) == -math.inf


@operation
def isnan(x: Any) -> Array:
    """Whether elements are NaN.

    >>> isnan([1.0, float("nan")])
    array([False,  True])
    """
    x = as_floats(x)
    return namespace(x).isnan(x)


@operation
def isreal(x: Any) -> Array:
    """Whether elements have no imaginary part: true for all of a real array.

    >>> isreal([1.0, 2.0])
    array([ True,  True])
    """
    x = lower(as_array(x))
    xp = namespace(x)
    return xp.imag(x) == 0 if name_of_dtype(x).startswith("complex") else xp.ones_like(x, dtype=xp.bool)


@operation
def signbit(x: Any) -> Array:
    """Whether the sign of elements is minus, which it also is of -0.0.

    >>> signbit([1.0, -1.0])
    array([False,  True])
    """
    x = as_array(x)
    if is_bool(x):
        x = cast_to(x, "int64")
    return namespace(x).signbit(x) if is_float(x) else x < 0


@operation
def isclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether elements are close: abs(x1 - x2) <= atol + rtol * abs(x2), and equal if infinite.

    equal_nan : whether NaN is close to NaN.

    >>> isclose([1.0, 2.0], [1.0, 2.1])
    array([ True, False])
    """
    a, b = (lower(one) for one in _numbers(x1, x2))
    xp = namespace(a, b)
    if not is_float(a):
        a, b = as_floats(a), as_floats(b)
    finite = xp.logical_and(xp.isfinite(a), xp.isfinite(b))
    distance = xp.abs(xp.where(finite, a, 0.0) - xp.where(finite, b, 0.0))
    near = xp.where(finite, distance <= atol + rtol * xp.abs(b), a == b)
    return xp.logical_or(near, xp.logical_and(xp.isnan(a), xp.isnan(b))) if equal_nan else near


@operation
def allclose(x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Array:
    """Whether all elements are close, see `isclose`: an array of one bool.

    >>> bool(allclose([1.0, 2.0], [1.0, 2.0]))
    True
    """
    close = isclose(x1, x2, rtol, atol, equal_nan)
    return namespace(close).all(close)


@operation
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Array:
    """Whether elements of x1 are among those of x2; with `invert` whether they are not.

    assume_unique : whether neither has an element twice, which may save time.

    >>> isin([1, 2, 3], [3, 1])
    array([ True, False,  True])
    """
    a, b = (lower(one) for one in _numbers(x1, x2))
    xp = namespace(a, b)
    flat = xp.reshape(b, (-1,))
    if flat.shape[0] == 0:
        return xp.full_like(a, invert, dtype=xp.bool)
    return array_api_extra.isin(a, flat, assume_unique=assume_unique, invert=invert, xp=xp)


@operation
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Elements of x1 where the condition is true, and of x2 where it is not.

    No derivative comes from what was not chosen, even if its slope is infinite. With a condition alone: the places
    where it is true, as `nonzero`.

    >>> where([True, False], 1.0, 2.0)
    array([1., 2.], dtype=float32)
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError("where: give both x1 and x2, or neither")
    condition = _truth(condition)
    if (xp := shared(x1, x2)) is not None:
        return xp.where(condition, x1, x2)
    a, b = promote(x1, x2, like=condition)
    return namespace(a, b).where(condition, a, b)


@operation
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    """For each element that of the first choice whose condition is true; else the default.

    condlist, choicelist : conditions and arrays, as many of the one as of the other.

    >>> x = [1.0, 5.0, 9.0]
    >>> select([[True, False, False], [True, True, False]], [x, [0.0, 0.0, 0.0]], 7.0)
    array([1., 0., 7.], dtype=float32)
    """
    if len(condlist) != len(choicelist):
        raise ValueError(f"select: {len(condlist)} conditions, but {len(choicelist)} choices")
    *choices, rest = promote(*choicelist, default)
    xp = namespace(rest, *choices)
    pairs = list(zip(map(_truth, condlist), choices, strict=True))
    return functools.reduce(lambda y, pair: xp.where(pair[0], pair[1], y), reversed(pairs), rest)


@operation
def nonzero(x: Any) -> tuple[Array, ...]:
    """Places of the elements that are true, or not 0: a tuple with the indices along each axis.

    Their number depends on the data, so the host waits for the device.

    >>> nonzero([0.0, 3.0, 0.0, 4.0])
    (array([1, 3]),)
    """
    truth = _truth(x)
    return tuple(namespace(truth).nonzero(truth))


def _bits(name: str, *values: Any) -> tuple[Array, ...]:
    arrays = promote(*values)
    if is_float(arrays[0]):
        raise TypeError(f"{name} is of integers and bools, got {arrays[0].dtype}")
    return arrays


@operation
def bitwise_and(x: Any, y: Any) -> Array:
    """Bits that are set in both integers.

    >>> bitwise_and([6], [3])
    array([2])
    """
    a, b = _bits("bitwise_and", x, y)
    return namespace(a, b).bitwise_and(a, b)


@operation
def bitwise_or(x: Any, y: Any) -> Array:
    """Bits that are set in one of two integers.

    >>> bitwise_or([6], [3])
    array([7])
    """
    a, b = _bits("bitwise_or", x, y)
    return namespace(a, b).bitwise_or(a, b)


@operation
def bitwise_xor(x: Any, y: Any) -> Array:
    """Bits that are set in one of two integers and not in the other one.

    >>> bitwise_xor([6], [3])
    array([5])
    """
    a, b = _bits("bitwise_xor", x, y)
    return namespace(a, b).bitwise_xor(a, b)


@operation
def bitwise_invert(x: Any) -> Array:
    """Integers with all bits the other way round.

    >>> bitwise_invert([0, 1])
    array([-1, -2])
    """
    (a,) = _bits("bitwise_invert", x)
    return namespace(a).bitwise_invert(a)


@operation
def bitwise_not(x: Any) -> Array:
    """Integers with all bits the other way round; another name of `bitwise_invert`.

    >>> bitwise_not([0, 1])
    array([-1, -2])
    """
    (a,) = _bits("bitwise_not", x)
    return namespace(a).bitwise_invert(a)


@operation
def bitwise_left_shift(x: Any, y: Any) -> Array:
    """Integers with their bits moved up by y places; 0 where that is past their width.

    >>> bitwise_left_shift([1, 3], 2)
    array([ 4, 12])
    """
    return _shifted_left("bitwise_left_shift", x, y)


@operation
def left_shift(x: Any, y: Any) -> Array:
    """Integers with their bits moved up by y places; another name of `bitwise_left_shift`.

    >>> left_shift([1, 3], 2)
    array([ 4, 12])
    """
    return _shifted_left("left_shift", x, y)


@operation
def bitwise_right_shift(x: Any, y: Any) -> Array:
    """Integers with their bits moved down by y places.

    >>> bitwise_right_shift([4, 12], 2)
    array([1, 3])
    """
    return _shifted_right("bitwise_right_shift", x, y)


@operation
def right_shift(x: Any, y: Any) -> Array:
    """Integers with their bits moved down by y places; another name of `bitwise_right_shift`.

    >>> right_shift([4, 12], 2)
    array([1, 3])
    """
    return _shifted_right("right_shift", x, y)


def _shifted_left(name: str, x: Any, y: Any) -> Array:
    a, b = _integers(name, x, y)
    xp = namespace(a, b)
    most = xp.iinfo(a.dtype).bits - 1
    return xp.where(b > most, 0, xp.bitwise_left_shift(a, xp.where(b > most, most, b)))


def _shifted_right(name: str, x: Any, y: Any) -> Array:
    a, b = _integers(name, x, y)
    xp = namespace(a, b)
    most = xp.iinfo(a.dtype).bits - 1
    shifted = xp.bitwise_right_shift(a, xp.where(b > most, most, b))
    return xp.where(b > most, 0, shifted) if name_of_dtype(a).startswith("u") else shifted


def _integers(name: str, x: Any, y: Any) -> tuple[Array, Array]:
    a, b = _bits(name, x, y)
    return (cast_to(a, "int64"), cast_to(b, "int64")) if is_bool(a) else (a, b)
