"""Derivatives of functions of two arrays that broadcast.

For each argument there is what makes its pull: (xp, a, b, y) -> pull. Only the pulls of tracked arguments are made; the
other one may be a number of Python.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Final

from nnx.autodiff.broadcasting import as_array, ones, sum_to, zeros
from nnx.autodiff.guards import divisor, factor
from nnx.autodiff.rule import Pull
from nnx.backends import Array, Namespace

Maker = Callable[[Namespace, Any, Any, Array], Pull]


def _fit(xp: Namespace, like: Array, y: Array, pull: Pull) -> Pull:
    """The pull, and the way back from the broadcast shape where there was one."""
    if like.shape == y.shape and like.dtype == y.dtype:
        return pull
    return lambda dy: sum_to(xp, pull(dy), like)


def _same(dy: Array) -> Array:
    return dy


def _first_as_is(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    return _fit(xp, a, y, _same)


def _second_as_is(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    return _fit(xp, b, y, _same)


def _second_negative(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    return _fit(xp, b, y, operator.neg)


def _second_zero(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    return _fit(xp, b, y, lambda dy: zeros(xp, dy))


def _multiply_first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    return _fit(xp, a, y, lambda dy: dy * b)


def _multiply_second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    return _fit(xp, b, y, lambda dy: dy * a)


def _divide_first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    if type(b) in (int, float) and b:
        return _fit(xp, a, y, lambda dy: dy / b)
    return _fit(xp, a, y, lambda dy: dy / divisor(xp, dy, b))


def _divide_second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    def pull(dy: Array) -> Array:
        safe = divisor(xp, dy, b)
        return dy / safe * -(y if safe is b else xp.divide(a, safe))

    return _fit(xp, b, y, pull)


def _pow_first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    """b a**(b - 1); of a constant power, a**0, the slope is 0 at a = 0 too."""
    if type(b) not in (int, float):
        return _fit(xp, a, y, lambda dy: dy * xp.multiply(b, factor(xp, dy, xp.pow(a, xp.where(b == 0, 0.0, b - 1.0)))))
    if b == 0:
        return _fit(xp, a, y, lambda dy: zeros(xp, dy))
    if b == 1:
        return _fit(xp, a, y, _same)
    if b == 2:
        return _fit(xp, a, y, lambda dy: dy * (a * 2.0))
    return _fit(xp, a, y, lambda dy: dy * (b * factor(xp, dy, a ** (b - 1))))


def _pow_second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    """a**b log(a): 0 at a = 0 for b >= 0, NaN where a is negative, since its neighbours have no value."""
    if type(a) in (int, float):
        if a > 0:
            logarithm = math.log(a)
            return _fit(xp, b, y, lambda dy: dy * (factor(xp, dy, y) * logarithm))
        a = as_array(xp, a, b)

    def pull(dy: Array) -> Array:
        of_zero = xp.logical_and(a == 0, b >= 0)
        idle = xp.logical_and(a <= 0, dy == 0)
        return dy * factor(xp, dy, y) * xp.log(xp.where(xp.logical_or(of_zero, idle), 1.0, a))

    return _fit(xp, b, y, pull)


def _share_of_maximum(xp: Namespace, a: Any, b: Any, dy: Array) -> Array:
    """What of dy belongs to a: half of it where both are equal; all of it to the one that is NaN."""
    wins = xp.logical_or(a > b, a != a) if hasattr(a, "dtype") else a > b
    return xp.where(a == b, 0.5 * dy, xp.where(wins, dy, 0.0))


def _share_of_minimum(xp: Namespace, a: Any, b: Any, dy: Array) -> Array:
    wins = xp.logical_or(a < b, a != a) if hasattr(a, "dtype") else a < b
    return xp.where(a == b, 0.5 * dy, xp.where(wins, dy, 0.0))


def _share_of_fmax(xp: Namespace, a: Any, b: Any, dy: Array) -> Array:
    """As of a maximum, but a NaN gives way to the other one."""
    wins = xp.logical_or(a > b, b != b) if hasattr(b, "dtype") else a > b
    return xp.where(a == b, 0.5 * dy, xp.where(wins, dy, 0.0))


def _share_of_fmin(xp: Namespace, a: Any, b: Any, dy: Array) -> Array:
    wins = xp.logical_or(a < b, b != b) if hasattr(b, "dtype") else a < b
    return xp.where(a == b, 0.5 * dy, xp.where(wins, dy, 0.0))


def _shares(share: Callable[..., Array]) -> tuple[Maker, Maker]:
    def first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
        return _fit(xp, a, y, lambda dy: share(xp, a, b, dy))

    def second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
        return _fit(xp, b, y, lambda dy: share(xp, b, a, dy))

    return first, second


def _over_radius(xp: Namespace, part: Any, radius: Array) -> Array:
    """part / radius, and 0 at the origin."""
    origin = radius == 0
    return xp.divide(xp.where(origin, 0.0, as_array(xp, part, radius)), xp.where(origin, 1.0, radius))


def _atan2_first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    def pull(dy: Array) -> Array:
        radius = xp.hypot(a, as_array(xp, b, a))  # a sum of squares may leave the range of the dtype
        return _over_radius(xp, dy * _over_radius(xp, b, radius), radius)

    return _fit(xp, a, y, pull)


def _atan2_second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    def pull(dy: Array) -> Array:
        radius = xp.hypot(as_array(xp, a, b), b)
        return _over_radius(xp, -dy * _over_radius(xp, a, radius), radius)

    return _fit(xp, b, y, pull)


def _hypot_first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    return _fit(xp, a, y, lambda dy: dy * _over_radius(xp, a, y))


def _hypot_second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    return _fit(xp, b, y, lambda dy: dy * _over_radius(xp, b, y))


def _share_of_logaddexp(xp: Namespace, a: Any, b: Any, y: Array) -> Array:
    """exp(a - y). Of two equal infinities each has a half, of different ones the larger all."""
    infinite, a, b = xp.isinf(y), as_array(xp, a, y), as_array(xp, b, y)
    of_infinite = xp.where(a == b, -math.log(2.0), xp.where(a == y, zeros(xp, y), -math.inf))
    return xp.exp(xp.where(infinite, of_infinite, xp.where(infinite, 0.0, a) - xp.where(infinite, 0.0, y)))


def _logaddexp_first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    return _fit(xp, a, y, lambda dy: dy * _share_of_logaddexp(xp, a, b, y))


def _logaddexp_second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    return _fit(xp, b, y, lambda dy: dy * _share_of_logaddexp(xp, b, a, y))


def _remainder_second(xp: Namespace, a: Any, b: Array, y: Array) -> Pull:
    return _fit(xp, b, y, lambda dy: -dy * factor(xp, dy, xp.floor_divide(a, b)))


def _copysign_first(xp: Namespace, a: Array, b: Any, y: Array) -> Pull:
    return _fit(xp, a, y, lambda dy: dy * (xp.sign(a) * xp.sign(xp.copysign(ones(xp, y), b))))


RULES: Final[dict[str, tuple[Maker, Maker]]] = {
    "add": (_first_as_is, _second_as_is),
    "atan2": (_atan2_first, _atan2_second),
    "copysign": (_copysign_first, _second_zero),
    "divide": (_divide_first, _divide_second),
    "hypot": (_hypot_first, _hypot_second),
    "logaddexp": (_logaddexp_first, _logaddexp_second),
    "maximum": _shares(_share_of_maximum),
    "minimum": _shares(_share_of_minimum),
    "multiply": (_multiply_first, _multiply_second),
    "nextafter": (_first_as_is, _second_zero),
    "pow": (_pow_first, _pow_second),
    "remainder": (_first_as_is, _remainder_second),
    "subtract": (_first_as_is, _second_negative),
}
"""By the name in the standard."""

RULES_BEYOND: Final[dict[str, tuple[Maker, Maker]]] = {
    "fmax": _shares(_share_of_fmax),
    "fmin": _shares(_share_of_fmin),
}
"""By the name that NumPy has for it: of libraries that have it too."""
