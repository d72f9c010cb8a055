"""What functions, kernels and layers agree on: a value comes with its pullback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from nnx.backends import Array

Pullback = Callable[..., Any]
"""Maps the cotangent of a function's value to the cotangents of its array arguments."""

Differentiable = Callable[..., tuple[Array, Pullback]]
"""A function that returns its value and its pullback."""


class _Skip:
    def __repr__(self) -> str:
        return "SKIP"


SKIP: Final = _Skip()
"""In the `out` of a pullback: this cotangent is not needed."""


def linear(x: Array) -> tuple[Array, Pullback]:
    """x itself"""
    return x, lambda dy: dy


def values_only(function: Differentiable) -> Callable[..., Array]:
    """The same function without its pullback, for those who only want numbers; `.differentiable` is the original."""

    @functools.wraps(function)
    def values(*args: Any, **kwargs: Any) -> Array:
        return function(*args, **kwargs)[0]

    values.differentiable = function  # type: ignore[attr-defined]
    return values


def differentiable(function: Any) -> Any:
    """The original of what `values_only` or its like for losses made; any other function as it is."""
    original = getattr(function, "differentiable", None)
    # `functools.wraps` gives the attribute also to what somebody writes around the function.
    return function if original is None or function.__wrapped__ is not original else original
