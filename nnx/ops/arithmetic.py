"""Arithmetic: what keeps the dtype of integers, of one array and of two that broadcast."""

from __future__ import annotations

import builtins
import math
from typing import Any

from nnx.autodiff.primitive import primitive
from nnx.backends import Array, is_array
from nnx.functional import Pullback
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
    refuse_bools,
    shared,
)

__all__ = [
    "abs",
    "absolute",
    "add",
    "arctan2",
    "clip",
    "divide",
    "divide_no_nan",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "heaviside",
    "hypot",
    "lcm",
    "ldexp",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "nextafter",
    "power",
    "round",
    "sign",
    "square",
    "subtract",
    "true_divide",
    "trunc",
]


@operation
def add(x1: Any, x2: Any) -> Array:
    """Sum of two arrays, element by element; of bools whether one of them is true.

    >>> add([1.0, 2.0], 1.0)
    array([2., 3.], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.add(x1, x2)
    a, b = promote(x1, x2)
    return namespace(a, b).logical_or(a, b) if is_bool(a) else a + b


@operation
def subtract(x1: Any, x2: Any) -> Array:
    """Difference of two arrays, element by element. TypeError for bools.

    >>> subtract([1.0, 2.0], 1.0)
    array([0., 1.], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.subtract(x1, x2)
    a, b = promote(x1, x2)
    refuse_bools("subtract", a)
    return a - b


@operation
def multiply(x1: Any, x2: Any) -> Array:
    """Product of two arrays, element by element; of bools whether both are true.

    >>> multiply([1.0, 2.0], 3.0)
    array([3., 6.], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.multiply(x1, x2)
    a, b = promote(x1, x2)
    return namespace(a, b).logical_and(a, b) if is_bool(a) else a * b


@operation
def divide(x1: Any, x2: Any) -> Array:
    """Quotient of two arrays, element by element, as floating numbers.

    >>> divide([1, 2], 2)
    array([0.5, 1. ], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.divide(x1, x2)
    a, b = _float_pair(x1, x2)
    return a / b


@operation
def true_divide(x1: Any, x2: Any) -> Array:
    """Quotient of two arrays, element by element; another name of `divide`.

    >>> true_divide([1, 2], 2)
    array([0.5, 1. ], dtype=float32)
    """
    a, b = _float_pair(x1, x2)
    return a / b


def _float_pair(x1: Any, x2: Any) -> tuple[Array, Array]:
    a, b = promote(x1, x2)
    return (a, b) if is_float(a) else (as_floats(a), as_floats(b))


def _number_pair(x1: Any, x2: Any) -> tuple[Array, Array]:
    a, b = promote(x1, x2)
    return (cast_to(a, "int64"), cast_to(b, "int64")) if is_bool(a) else (a, b)


@operation
def divide_no_nan(x1: Any, x2: Any) -> Array:
    """Quotient of two arrays, element by element, and 0 where the divisor is 0.

    >>> divide_no_nan([1.0, 2.0], [0.0, 2.0])
    array([0., 1.], dtype=float32)
    """
    a, b = _float_pair(x1, x2)
    xp = namespace(a, b)
    zero = b == 0
    return xp.where(zero, 0.0, a / xp.where(zero, 1.0, b))


@operation
def floor_divide(x1: Any, x2: Any) -> Array:
    """Quotient of two arrays, rounded down, element by element. Locally constant: it has no derivative.

    >>> floor_divide([7, -7], 2)
    array([ 3, -4])
    """
    a, b = _number_pair(x1, x2)
    return namespace(a, b).floor_divide(a, b)


@operation
def mod(x1: Any, x2: Any) -> Array:
    """Remainder of the division of two arrays, with the sign of the divisor.

    >>> mod([7, -7], 3)
    array([1, 2])
    """
    a, b = _number_pair(x1, x2)
    return namespace(a, b).remainder(a, b)


@operation
def fmod(x1: Any, x2: Any) -> Array:
    """Remainder of the division of two arrays, with the sign of the dividend.

    >>> fmod([7, -7], 3)
    array([ 1, -1])
    """
    a, b = _number_pair(x1, x2)
    xp = namespace(a, b)
    rest = xp.remainder(xp.where(a < 0, -a, a), xp.where(b < 0, -b, b))
    return xp.where(a < 0, -rest, rest)


@operation
def power(x1: Any, x2: Any) -> Array:
    """The first array to the power of the second, element by element.

    >>> power([1.0, 2.0, 3.0], 2)
    array([1., 4., 9.], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.pow(x1, x2)
    a, b = _number_pair(x1, x2)
    return namespace(a, b).pow(a, b)


@operation
def arctan2(x1: Any, x2: Any) -> Array:
    """Angle of the point (x2, x1) in the plane, from -pi to pi.

    >>> arctan2([1.0], [0.0])
    array([1.5707964], dtype=float32)
    """
    a, b = _float_pair(x1, x2)
    return namespace(a, b).atan2(a, b)


@operation
def hypot(x1: Any, x2: Any) -> Array:
    """Length of the hypotenuse, the root of the sum of squares, without overflow.

    >>> hypot([3.0], [4.0])
    array([5.], dtype=float32)
    """
    a, b = _float_pair(x1, x2)
    return namespace(a, b).hypot(a, b)


@operation
def logaddexp(x1: Any, x2: Any) -> Array:
    """Logarithm of the sum of the exponentials of two arrays, without overflow.

    >>> logaddexp([0.0], [0.0])
    array([0.6931472], dtype=float32)
    """
    a, b = _float_pair(x1, x2)
    return namespace(a, b).logaddexp(a, b)


@operation
def logaddexp2(x1: Any, x2: Any) -> Array:
    """Logarithm to the base 2 of the sum of powers of 2, without overflow.

    >>> logaddexp2([0.0], [0.0])
    array([1.], dtype=float32)
    """
    a, b = _float_pair(x1, x2)
    return namespace(a, b).logaddexp(a * math.log(2.0), b * math.log(2.0)) / math.log(2.0)


@operation
def ldexp(x1: Any, x2: Any) -> Array:
    """The first array times two to the power of the second, which is of integers.

    >>> ldexp([1.5], [2])
    array([6.], dtype=float32)
    """
    exponents = as_array(x2)
    if is_float(exponents):
        raise TypeError(f"ldexp: x2 are exponents, which have to be integers, got {exponents.dtype}")
    a, b = promote(as_floats(x1), exponents)
    return a * namespace(a, b).pow(2.0, b)


@operation
def nextafter(x1: Any, x2: Any) -> Array:
    """The next floating number after each element of x1, in the direction of x2.

    >>> bool(nextafter([1.0], [2.0])[0] > 1.0)
    True
    """
    a, b = _float_pair(x1, x2)
    return namespace(a, b).nextafter(a, b)


@operation
def maximum(x1: Any, x2: Any) -> Array:
    """The larger one of two elements; NaN if one is NaN. Of equal ones each gets half of the derivative.

    `nnx.ops.relu(x)` is `maximum(x, 0)` whose derivative is 0 at 0.

    >>> maximum([1.0, 5.0], [3.0, 2.0])
    array([3., 5.], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.maximum(x1, x2)
    a, b = promote(x1, x2)
    xp = namespace(a, b)
    return xp.logical_or(a, b) if is_bool(a) else xp.maximum(a, b)


@operation
def minimum(x1: Any, x2: Any) -> Array:
    """The smaller one of two elements; NaN if one is NaN. Of equal ones each gets half of the derivative.

    >>> minimum([1.0, 5.0], [3.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    if (xp := shared(x1, x2)) is not None:
        return xp.minimum(x1, x2)
    a, b = promote(x1, x2)
    xp = namespace(a, b)
    return xp.logical_and(a, b) if is_bool(a) else xp.minimum(a, b)


@operation
def fmax(x1: Any, x2: Any) -> Array:
    """The larger one of two elements; the other one if one is NaN.

    >>> fmax([1.0, float("nan")], [3.0, 2.0])
    array([3., 2.], dtype=float32)
    """
    a, b = promote(x1, x2)
    xp = namespace(a, b)
    if not is_float(a):
        return xp.logical_or(a, b) if is_bool(a) else xp.maximum(a, b)
    return xp.where(xp.isnan(a), b, xp.where(xp.isnan(b), a, xp.maximum(a, b)))


@operation
def fmin(x1: Any, x2: Any) -> Array:
    """The smaller one of two elements; the other one if one is NaN.

    >>> fmin([1.0, float("nan")], [3.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    a, b = promote(x1, x2)
    xp = namespace(a, b)
    if not is_float(a):
        return xp.logical_and(a, b) if is_bool(a) else xp.minimum(a, b)
    return xp.where(xp.isnan(a), b, xp.where(xp.isnan(b), a, xp.minimum(a, b)))


@operation
def heaviside(x1: Any, x2: Any) -> Array:
    """Step function: 0 where x1 is negative, 1 where it is positive, x2 where it is 0.

    >>> heaviside([-1.0, 0.0, 2.0], 0.5)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    a, b = _float_pair(x1, x2)
    xp = namespace(a, b)
    return xp.where(xp.isnan(a), a, xp.where(a == 0, b, xp.where(a < 0, 0.0, xp.ones_like(a))))


@operation
def gcd(x1: Any, x2: Any) -> Array:
    """Greatest common divisor of two integers, element by element.

    >>> gcd([12, 7], [18, 21])
    array([6, 7])
    """
    a, b = _integer_pair("gcd", x1, x2)
    return _gcd(a, b)


@operation
def lcm(x1: Any, x2: Any) -> Array:
    """Least common multiple of two integers, element by element.

    >>> lcm([4, 7], [6, 3])
    array([12, 21])
    """
    a, b = _integer_pair("lcm", x1, x2)
    xp = namespace(a, b)
    divisor = _gcd(a, b)
    return xp.abs(a) // xp.where(divisor == 0, 1, divisor) * xp.abs(b)


def _integer_pair(name: str, x1: Any, x2: Any) -> tuple[Array, Array]:
    a, b = promote(x1, x2)
    if is_float(a) or is_bool(a):
        raise TypeError(f"{name} is of integers, got {a.dtype}")
    return a, b


def _gcd(a: Array, b: Array) -> Array:
    xp = namespace(a, b)
    a, b = xp.abs(a), xp.abs(b)
    for _ in range(math.ceil(1.45 * xp.iinfo(a.dtype).bits)):  # as many steps as consecutive Fibonacci numbers need
        done = b == 0
        a, b = xp.where(done, a, b), xp.where(done, b, xp.remainder(a, xp.where(done, 1, b)))
    return a


_NUMBERS = frozenset({int, float, type(None)})


@primitive
def _clip(x: Array, low: float | None, high: float | None) -> tuple[Array, Pullback]:
    """`clip` between numbers, as one entry of a tape."""
    xp = namespace(x)
    y = x if low is None else xp.maximum(x, low)
    y = y if high is None else xp.minimum(y, high)

    def pullback(dy: Array) -> Array:
        inside = None if low is None else x >= low
        if high is not None:
            inside = x <= high if inside is None else xp.logical_and(inside, x <= high)
        return dy if inside is None else xp.where(inside, dy, 0.0)

    return y, pullback


@operation
def clip(x: Any, x_min: Any, x_max: Any) -> Array:
    """Elements between two bounds, which stand in for what lies outside; either may be None, or an array.

    The derivative is 1 on the bounds too. Where x_min is above x_max, the result is x_max.

    >>> clip([-1.0, 0.5, 3.0], 0.0, 1.0)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if type(x_min) in _NUMBERS and type(x_max) in _NUMBERS and is_array(x) and is_float(x):
        return _clip(x, x_min, x_max)
    bounds = [bound for bound in (x_min, x_max) if bound is not None]
    x, *rest = promote(x, *bounds)
    if is_bool(x):
        x, *rest = (cast_to(one, "int64") for one in (x, *rest))
    xp = namespace(x, *rest)
    low = None if x_min is None else rest[0]
    high = None if x_max is None else rest[-1]
    if not is_float(x):
        x = x if low is None else xp.maximum(x, low)
        return x if high is None else xp.minimum(x, high)
    if low is not None:
        x = xp.where(x < low, low, x)
    return x if high is None else xp.where(x > high, high, x)


@operation
def abs(x: Any) -> Array:
    """Absolute value of each element. The derivative at 0 is 0.

    >>> abs([-2.0, 3.0])
    array([2., 3.], dtype=float32)
    """
    x = as_array(x)
    return x if is_bool(x) else namespace(x).abs(x)


@operation
def absolute(x: Any) -> Array:
    """Absolute value of each element; another name of `abs`.

    >>> absolute([-2.0, 3.0])
    array([2., 3.], dtype=float32)
    """
    x = as_array(x)
    return x if is_bool(x) else namespace(x).abs(x)


@operation
def negative(x: Any) -> Array:
    """Each element with the other sign. TypeError for bools.

    >>> negative([1.0, -2.0])
    array([-1.,  2.], dtype=float32)
    """
    x = as_array(x)
    refuse_bools("negative", x)
    return namespace(x).negative(x)


@operation
def sign(x: Any) -> Array:
    """Sign of each element: -1, 0 or 1.

    >>> sign([-2.0, 0.0, 3.0])
    array([-1.,  0.,  1.], dtype=float32)
    """
    x = as_array(x)
    refuse_bools("sign", x)
    return namespace(x).sign(x)


@operation
def square(x: Any) -> Array:
    """Square of each element.

    >>> square([2.0, 3.0])
    array([4., 9.], dtype=float32)
    """
    x = as_array(x)
    if is_bool(x):
        x = cast_to(x, "int64")
    return namespace(x).square(x)


@operation
def trunc(x: Any) -> Array:
    """Whole part of each element; integers as they are.

    >>> trunc([-1.5, 2.5])
    array([-1.,  2.], dtype=float32)
    """
    x = as_array(x)
    return namespace(x).trunc(x) if is_float(x) else x


@operation
def round(x: Any, decimals: int = 0) -> Array:
    """Elements rounded to so many decimals, halves to the even neighbour; integers stay integers.

    decimals : negative for tens, hundreds, ...

    >>> round([0.5, 1.5, 2.345], 2), round([35, 45], -1)
    (array([0.5 , 1.5 , 2.34], dtype=float32), array([40, 40]))
    """
    x = as_array(x)
    if not is_float(x) and decimals >= 0:
        return x
    xp = namespace(x)
    factor = 10.0 ** builtins.abs(decimals)
    y = as_floats(x)
    if decimals > 0:
        y = xp.round(y * factor) / factor
    else:
        y = xp.round(y / factor) * factor if decimals else xp.round(y)
    return y if is_float(x) else cast_to(y, name_of_dtype(x))
