"""Functions of users as functions that return (y, pullback): with a pullback of their own, or a derived one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from nnx.autodiff.namespace import floating_kind, kind_of
from nnx.autodiff.transforms import derive
from nnx.backends import is_array
from nnx.in_place import sparing
from nnx.pullbacks import Pullback, is_pair, require_fit


def with_pullback(function: Callable[..., Any], what: str) -> Callable[..., tuple[Any, Pullback]]:
    """A function of arrays as one that returns (y, pullback).

    function : returns its value, whose derivative is then derived, or (value, pullback). Which of them it does is seen
        at its first call.
    what : what it is, for errors, such as "the activation cube".

    TypeError for a function that returns neither, and for a value that does not depend on the arguments by array code.
    """
    derives: list[bool] = []
    function = sparing(function)

    @functools.wraps(function)
    def protocol(*args: Any, **options: Any) -> tuple[Any, Pullback]:
        if not derives:
            made = function(*args, **options)
            if is_pair(made):
                derives.append(False)
                return _fitting(made, args, what)
            if not is_array(made):
                raise TypeError(
                    f"{what} returned {type(made).__name__}, expected an array, computed from its arguments "
                    f"with nnx.ops or nnx.array_namespace(x); or (value, pullback): pullback(dy) returns the cotangents"
                )
            derives.append(True)
        if not derives[0]:
            return _fitting(function(*args, **options), args, what)
        return derived(function, args, options, what)

    protocol.derives = derives  # type: ignore[attr-defined]
    return protocol


def _fitting(pair: tuple[Any, Pullback], args: tuple[Any, ...], what: str) -> tuple[Any, Pullback]:
    """A value and its pullback, whose cotangent of the only argument is checked."""
    y, pullback = pair
    return (y, lambda dy: require_fit(what, pullback(dy), args[0])) if len(args) == 1 else (y, pullback)


def derived(function: Callable[..., Any], args: Any, options: dict[str, Any], what: str) -> tuple[Any, Pullback]:
    """The value of a function of ordinary array code, and the derived pullback, whose argument may be a number.

    TypeError for a value that is no array, or does not depend on the arguments, if there are floating ones.
    """
    y, pullback, depends = derive(function, args, options)
    if not is_array(y) or not (depends or all(floating_kind(one) is None for one in args)):
        found = "an array that does not depend on its arguments by array code" if is_array(y) else type(y).__name__
        raise TypeError(
            f"{what} returned {found}, so it has no gradient: compute an array from the arguments with nnx.ops, "
            f"operators or nnx.array_namespace(x), or return (value, pullback)"
        )
    return y, lambda dy=1.0: pullback(_as_cotangent(dy, y))


def _as_cotangent(dy: Any, y: Any) -> Any:
    """A cotangent in the shape and dtype of the value; a number stands for one of that number."""
    return kind_of(y).xp.base.full_like(y, dy) if isinstance(dy, int | float) else dy
