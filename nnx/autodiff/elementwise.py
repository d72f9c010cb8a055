"""Derivatives of the standard's functions of one array, element by element. f is the function one level below."""

from __future__ import annotations

import math
from typing import Any

LN2, LN10 = math.log(2.0), math.log(10.0)


def exp(f, xp, x):
    y = f(x)
    return y, lambda dy: dy * y


def expm1(f, xp, x):
    y = f(x)
    return y, lambda dy: dy * (y + 1.0)


def log(f, xp, x):
    return f(x), lambda dy: dy / x


def log1p(f, xp, x):
    return f(x), lambda dy: dy / (x + 1.0)


def log2(f, xp, x):
    return f(x), lambda dy: dy / (x * LN2)


def log10(f, xp, x):
    return f(x), lambda dy: dy / (x * LN10)


def sqrt(f, xp, x):
    y = f(x)
    return y, lambda dy: dy * 0.5 / y


def square(f, xp, x):
    return f(x), lambda dy: dy * (x * 2.0)


def reciprocal(f, xp, x):
    y = f(x)
    return y, lambda dy: -dy * y * y


def sin(f, xp, x):
    return f(x), lambda dy: dy * xp.cos(x)


def cos(f, xp, x):
    return f(x), lambda dy: -dy * xp.sin(x)


def tan(f, xp, x):
    y = f(x)
    return y, lambda dy: dy * (1.0 + y * y)


def sinh(f, xp, x):
    return f(x), lambda dy: dy * xp.cosh(x)


def cosh(f, xp, x):
    return f(x), lambda dy: dy * xp.sinh(x)


def tanh(f, xp, x):
    y = f(x)
    return y, lambda dy: dy * (1.0 - y * y)


def asin(f, xp, x):
    return f(x), lambda dy: dy / xp.sqrt(1.0 - x * x)


def acos(f, xp, x):
    return f(x), lambda dy: -dy / xp.sqrt(1.0 - x * x)


def atan(f, xp, x):
    return f(x), lambda dy: dy / (1.0 + x * x)


def asinh(f, xp, x):
    return f(x), lambda dy: dy / xp.sqrt(x * x + 1.0)


def acosh(f, xp, x):
    return f(x), lambda dy: dy / xp.sqrt(x * x - 1.0)


def atanh(f, xp, x):
    return f(x), lambda dy: dy / (1.0 - x * x)


def abs(f, xp, x):
    return f(x), lambda dy: dy * xp.sign(x)


def negative(f, xp, x):
    return f(x), lambda dy: -dy


def positive(f, xp, x):
    return f(x), lambda dy: dy


conj = real = positive

RULES: dict[str, Any] = {
    rule.__name__: rule
    for rule in (exp, expm1, log, log1p, log2, log10, sqrt, square, reciprocal, sin, cos, tan, sinh, cosh, tanh)
    + (asin, acos, atan, asinh, acosh, atanh, abs, negative, positive)
} | {"conj": conj, "real": real}
