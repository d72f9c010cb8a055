"""Derivatives of functions of one array, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from nnx.autodiff.broadcasting import ones
from nnx.autodiff.guards import divisor, factor
from nnx.autodiff.rule import Function, Pull
from nnx.backends import Array, Namespace

Result = tuple[Array, Pull]

_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _exp(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)
    return y, lambda dy: dy * factor(xp, dy, y)


def _exp2(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)
    return y, lambda dy: dy * (factor(xp, dy, y) * _LN2)


def _expm1(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)
    return y, lambda dy: dy * (factor(xp, dy, y) + 1.0)


def _log(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / divisor(xp, dy, x)


def _log1p(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / divisor(xp, dy, x + 1.0)


def _log2(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / (divisor(xp, dy, x) * _LN2)


def _log10(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / (divisor(xp, dy, x) * _LN10)


def _sqrt(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)
    return y, lambda dy: dy * 0.5 / divisor(xp, dy, y)


def _cbrt(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)

    def pull(dy: Array) -> Array:
        root = divisor(xp, dy, y)
        return dy / (3.0 * root * root)

    return y, pull


def _square(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy * (x * 2.0)


def _reciprocal(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)

    def pull(dy: Array) -> Array:
        slope = factor(xp, dy, y)
        return -dy * slope * slope

    return y, pull


def _sin(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy * xp.cos(x)


def _cos(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: -dy * xp.sin(x)


def _tan(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)
    return y, lambda dy: dy * (1.0 + y * y)


def _sinh(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy * factor(xp, dy, xp.cosh(x))


def _cosh(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy * factor(xp, dy, xp.sinh(x))


def _tanh(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)
    return y, lambda dy: dy * (1.0 - y * y)


def _asin(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / divisor(xp, dy, xp.sqrt((1.0 - x) * (1.0 + x)))


def _acos(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: -dy / divisor(xp, dy, xp.sqrt((1.0 - x) * (1.0 + x)))


def _atan(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / (1.0 + x * x)


def _asinh(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / xp.hypot(x, ones(xp, x))  # a square may leave the range of the dtype


def _acosh(f: Function, xp: Namespace, x: Array) -> Result:
    def pull(dy: Array) -> Array:
        dy = dy / divisor(xp, dy, xp.sqrt(x - 1.0))
        return dy / divisor(xp, dy, xp.sqrt(x + 1.0))

    return f(x), pull


def _atanh(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy / divisor(xp, dy, (1.0 - x) * (1.0 + x))


def _sinc(f: Function, xp: Namespace, x: Array) -> Result:
    """sin(pi x) / (pi x). Near 0 the slope, a difference of nearly equal numbers, comes from its series."""

    def pull(dy: Array) -> Array:
        near = abs(x) < 0.3
        square, series = x * x, 0.0
        for coefficient in reversed(_SLOPE_OF_SINC):
            series = series * square + coefficient
        away = xp.where(near, 1.0, x)
        return dy * xp.where(near, series * x, (xp.cos(math.pi * away) - xp.sinc(away)) / away)

    return f(x), pull


_SLOPE_OF_SINC: Final = [(-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(1, 10)]


def _abs(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy * xp.sign(x)


def _negative(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: -dy


def _positive(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: dy


def _scaled(by: float) -> Callable[..., Result]:
    return lambda f, xp, x: (f(x), lambda dy: dy * by)


def _nan_to_num(f: Function, xp: Namespace, x: Array, *args: Any, **options: Any) -> Result:
    return f(x, *args, **options), lambda dy: xp.where(xp.isfinite(x), dy, 0.0)


RULES: Final[dict[str, Callable[..., Result]]] = {
    "abs": _abs,
    "acos": _acos,
    "acosh": _acosh,
    "asin": _asin,
    "asinh": _asinh,
    "atan": _atan,
    "atanh": _atanh,
    "conj": _positive,
    "cos": _cos,
    "cosh": _cosh,
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log10": _log10,
    "log1p": _log1p,
    "log2": _log2,
    "negative": _negative,
    "positive": _positive,
    "real": _positive,
    "reciprocal": _reciprocal,
    "sin": _sin,
    "sinh": _sinh,
    "sqrt": _sqrt,
    "square": _square,
    "tan": _tan,
    "tanh": _tanh,
}
"""By the name in the standard."""

RULES_BEYOND: Final[dict[str, Callable[..., Result]]] = {
    "cbrt": _cbrt,
    "deg2rad": _scaled(math.pi / 180.0),
    "degrees": _scaled(180.0 / math.pi),
    "exp2": _exp2,
    "fabs": _abs,
    "nan_to_num": _nan_to_num,
    "rad2deg": _scaled(180.0 / math.pi),
    "radians": _scaled(math.pi / 180.0),
    "sinc": _sinc,
}
"""By the name that NumPy has for it: of libraries that have it too."""
