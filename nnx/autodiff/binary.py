"""Derivatives of the standard's functions of two arrays that broadcast: for each argument what makes its pull."""

from __future__ import annotations

import math
import operator
from typing import Any

from nnx.autodiff.broadcasting import sum_to


def _fit(xp: Any, like: Any, y: Any, pull: Any) -> Any:
    """The pull, and the way back from the broadcast shape where there was one."""
    if like.shape == y.shape and like.dtype == y.dtype:
        return pull
    return lambda dy: sum_to(xp, pull(dy), like)


def _same(dy: Any) -> Any:
    return dy


def _logarithm(xp: Any, a: Any) -> Any:
    if hasattr(a, "dtype"):
        return xp.log(xp.where(a > 0, a, 1.0))
    return math.log(a) if a > 0 else 0.0


def _pow_base(xp, a, b, y):
    if type(b) in (int, float) and b == 2:
        return _fit(xp, a, y, lambda dy: dy * (a * 2.0))
    return _fit(xp, a, y, lambda dy: dy * (b * a ** (b - 1)))


def _share(xp: Any, a: Any, b: Any, dy: Any) -> Any:
    """How much of a maximum belongs to a: 1, 0, or a half where both are equal."""
    return xp.astype(a > b, dy.dtype) + 0.5 * xp.astype(a == b, dy.dtype)


RULES: dict[str, tuple[Any, Any]] = {
    "add": (lambda xp, a, b, y: _fit(xp, a, y, _same), lambda xp, a, b, y: _fit(xp, b, y, _same)),
    "subtract": (lambda xp, a, b, y: _fit(xp, a, y, _same), lambda xp, a, b, y: _fit(xp, b, y, operator.neg)),
    "multiply": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy * b),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: dy * a),
    ),
    "divide": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy / b),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: -dy * y / b),
    ),
    "pow": (_pow_base, lambda xp, a, b, y: _fit(xp, b, y, lambda dy: dy * y * _logarithm(xp, a))),
    "maximum": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy * _share(xp, a, b, dy)),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: dy * _share(xp, b, a, dy)),
    ),
    "minimum": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy * _share(xp, b, a, dy)),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: dy * _share(xp, a, b, dy)),
    ),
    "atan2": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy * b / (a * a + b * b)),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: -dy * a / (a * a + b * b)),
    ),
    "hypot": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy * a / y),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: dy * b / y),
    ),
    "logaddexp": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy * xp.exp(a - y)),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: dy * xp.exp(b - y)),
    ),
    "remainder": (
        lambda xp, a, b, y: _fit(xp, a, y, _same),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: -dy * xp.floor_divide(a, b)),
    ),
    "copysign": (
        lambda xp, a, b, y: _fit(xp, a, y, lambda dy: dy * xp.copysign(xp.ones_like(y), b) * xp.sign(a)),
        lambda xp, a, b, y: _fit(xp, b, y, lambda dy: 0.0 * dy),
    ),
}
