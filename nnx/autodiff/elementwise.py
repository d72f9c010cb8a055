"""Derivatives of functions of one array, element by element.

For each there is what makes its pull, once for a namespace, and what of x and y = f(x) the pull is given beside dy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from nnx.autodiff.broadcasting import ones
from nnx.autodiff.guards import divisor, factor
from nnx.backends import Array, Namespace

Pull = Callable[..., Array]
Maker = Callable[[Namespace], Pull]
Rule = tuple[Maker, str]

ARGUMENT: Final = "argument"
VALUE: Final = "value"
NOTHING: Final = "nothing"
"""What a pull is given, and a tape keeps."""

_LN2, _LN10 = math.log(2.0), math.log(10.0)


def _exp(xp: Namespace) -> Pull:
    return lambda dy, y: dy * factor(xp, dy, y)


def _exp2(xp: Namespace) -> Pull:
    return lambda dy, y: dy * (factor(xp, dy, y) * _LN2)


def _expm1(xp: Namespace) -> Pull:
    return lambda dy, y: dy * (factor(xp, dy, y) + 1.0)


def _log(xp: Namespace) -> Pull:
    return lambda dy, x: dy / divisor(xp, dy, x)


def _log1p(xp: Namespace) -> Pull:
    return lambda dy, x: dy / divisor(xp, dy, x + 1.0)


def _log2(xp: Namespace) -> Pull:
    return lambda dy, x: dy / (divisor(xp, dy, x) * _LN2)


def _log10(xp: Namespace) -> Pull:
    return lambda dy, x: dy / (divisor(xp, dy, x) * _LN10)


def _sqrt(xp: Namespace) -> Pull:
    return lambda dy, y: dy * 0.5 / divisor(xp, dy, y)


def _cbrt(xp: Namespace) -> Pull:
    def pull(dy: Array, y: Array) -> Array:
        root = divisor(xp, dy, y)
        return dy / (3.0 * root * root)

    return pull


def _square(xp: Namespace) -> Pull:
    return lambda dy, x: dy * (x * 2.0)


def _reciprocal(xp: Namespace) -> Pull:
    def pull(dy: Array, y: Array) -> Array:
        slope = factor(xp, dy, y)
        return -dy * slope * slope

    return pull


def _sin(xp: Namespace) -> Pull:
    return lambda dy, x: dy * xp.cos(x)


def _cos(xp: Namespace) -> Pull:
    return lambda dy, x: -dy * xp.sin(x)


def _tan(xp: Namespace) -> Pull:
    return lambda dy, y: dy * (1.0 + y * y)


def _sinh(xp: Namespace) -> Pull:
    return lambda dy, x: dy * factor(xp, dy, xp.cosh(x))


def _cosh(xp: Namespace) -> Pull:
    return lambda dy, x: dy * factor(xp, dy, xp.sinh(x))


def _tanh(xp: Namespace) -> Pull:
    return lambda dy, y: dy * (1.0 - y * y)


def _asin(xp: Namespace) -> Pull:
    return lambda dy, x: dy / divisor(xp, dy, xp.sqrt((1.0 - x) * (1.0 + x)))


def _acos(xp: Namespace) -> Pull:
    return lambda dy, x: -dy / divisor(xp, dy, xp.sqrt((1.0 - x) * (1.0 + x)))


def _atan(xp: Namespace) -> Pull:
    return lambda dy, x: dy / (1.0 + x * x)


def _asinh(xp: Namespace) -> Pull:
    return lambda dy, x: dy / xp.hypot(x, ones(xp, x))  # a square may leave the range of the dtype


def _acosh(xp: Namespace) -> Pull:
    def pull(dy: Array, x: Array) -> Array:
        dy = dy / divisor(xp, dy, xp.sqrt(x - 1.0))
        return dy / divisor(xp, dy, xp.sqrt(x + 1.0))

    return pull


def _atanh(xp: Namespace) -> Pull:
    return lambda dy, x: dy / divisor(xp, dy, (1.0 - x) * (1.0 + x))


def _sinc(xp: Namespace) -> Pull:
    """sin(pi x) / (pi x). Near 0 the slope, a difference of nearly equal numbers, comes from its series."""

    def pull(dy: Array, x: Array) -> Array:
        near = abs(x) < 0.3
        square, series = x * x, 0.0
        for coefficient in reversed(_SLOPE_OF_SINC):
            series = series * square + coefficient
        away = xp.where(near, 1.0, x)
        return dy * xp.where(near, series * x, (xp.cos(math.pi * away) - xp.sinc(away)) / away)

    return pull


_SLOPE_OF_SINC: Final = [(-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(1, 10)]


def _abs(xp: Namespace) -> Pull:
    return lambda dy, x: dy * xp.sign(x)


def _negative(xp: Namespace) -> Pull:
    return lambda dy: -dy


def _positive(xp: Namespace) -> Pull:
    return lambda dy: dy


def _scaled(by: float) -> Maker:
    return lambda xp: lambda dy: dy * by


RULES: Final[dict[str, Rule]] = {
    "abs": (_abs, ARGUMENT),
    "acos": (_acos, ARGUMENT),
    "acosh": (_acosh, ARGUMENT),
    "asin": (_asin, ARGUMENT),
    "asinh": (_asinh, ARGUMENT),
    "atan": (_atan, ARGUMENT),
    "atanh": (_atanh, ARGUMENT),
    "conj": (_positive, NOTHING),
    "cos": (_cos, ARGUMENT),
    "cosh": (_cosh, ARGUMENT),
    "exp": (_exp, VALUE),
    "expm1": (_expm1, VALUE),
    "log": (_log, ARGUMENT),
    "log10": (_log10, ARGUMENT),
    "log1p": (_log1p, ARGUMENT),
    "log2": (_log2, ARGUMENT),
    "negative": (_negative, NOTHING),
    "positive": (_positive, NOTHING),
    "real": (_positive, NOTHING),
    "reciprocal": (_reciprocal, VALUE),
    "sin": (_sin, ARGUMENT),
    "sinh": (_sinh, ARGUMENT),
    "sqrt": (_sqrt, VALUE),
    "square": (_square, ARGUMENT),
    "tan": (_tan, VALUE),
    "tanh": (_tanh, VALUE),
}
"""By the name in the standard."""

RULES_BEYOND: Final[dict[str, Rule]] = {
    "cbrt": (_cbrt, VALUE),
    "deg2rad": (_scaled(math.pi / 180.0), NOTHING),
    "degrees": (_scaled(180.0 / math.pi), NOTHING),
    "exp2": (_exp2, VALUE),
    "fabs": (_abs, ARGUMENT),
    "rad2deg": (_scaled(180.0 / math.pi), NOTHING),
    "radians": (_scaled(math.pi / 180.0), NOTHING),
    "sinc": (_sinc, ARGUMENT),
}
"""By the name that NumPy has for it: of libraries that have it too."""
