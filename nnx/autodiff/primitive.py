"""Primitives: functions in nnx's protocol, which return (y, pullback), as one entry of a tape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import TrackedArray, bared, constant, for_any_cotangent, recorded, top_tape
from nnx.autodiff.namespace import kind_of
from nnx.autodiff.record import below_alike, leaf
from nnx.parameters import Parameter


def primitive(protocol: Callable[..., Any], repeats: bool = True) -> Callable[..., Any]:
    """A function that returns (y, pullback), as those of `nnx.functional`, as one that returns y and is recorded.

    What its pullback returns is a cotangent for each argument that is an array, or the one of a single one; None for no
    cotangent. y may be a tuple, whose cotangents then come as a tuple.

    repeats : whether it may be called again, with constants among tracked arrays, where a tape records the cotangent of
        y and none the arguments: kernels take no such cotangents.
    """

    @functools.wraps(protocol)
    def function(*args: Any, **options: Any) -> Any:
        x = args[0] if args else None
        if isinstance(x, TrackedArray) and (len(args) == 1 or not any(hasattr(a, "dtype") for a in args[1:])):
            y, pullback = protocol(x.value, *args[1:], **options)
            if isinstance(x.value, TrackedArray):
                pullback = _of_tracked(pullback, type(x))
            elif repeats and x.tape.is_inside():
                pullback = for_any_cotangent(protocol, (x.value, *args[1:]), options, pullback, type(x))
            return recorded(type(x), y, x.tape, (None, (x.index,), pullback, None))
        if any(type(a) is Parameter for a in args):
            args = tuple(leaf(a, kind_of(a.value)) if type(a) is Parameter else a for a in args)
        args = tuple(map(bared, args))
        tape = top_tape(args)
        if tape is None:
            return protocol(*args, **options)[0]
        kind = next(type(a) for a in args if isinstance(a, TrackedArray))
        values = below_alike(args, tape, kind)
        y, pullback = protocol(*values, **options)
        if any(isinstance(value, TrackedArray) for value in values):
            pullback = _of_tracked(pullback, kind)
        elif repeats and tape.is_inside():
            pullback = for_any_cotangent(protocol, values, options, pullback, kind)
        indices = tuple(
            a.index if isinstance(a, TrackedArray) and a.tape is tape else None for a in args if hasattr(a, "dtype")
        )
        return recorded(kind, y, tape, (None, indices, pullback, None))

    return function


def _of_tracked(pullback: Callable[..., Any], kind: type[TrackedArray]) -> Callable[..., Any]:
    """A pullback that holds arrays of an outer tape: a plain cotangent comes to it as a constant among those."""
    return lambda dy: pullback(tuple(constant(d, kind) for d in dy) if isinstance(dy, tuple) else constant(dy, kind))
