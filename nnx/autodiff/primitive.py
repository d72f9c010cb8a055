"""Primitives: functions in nnx's protocol, which return (y, pullback), as one entry of a tape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from nnx.autodiff.array import TrackedArray, top_tape
from nnx.autodiff.namespace import kind_of
from nnx.autodiff.record import below_alike, leaf
from nnx.parameters import Parameter


def primitive(protocol: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns (y, pullback), as those of `nnx.functional`, as one that returns y and is recorded.

    What its pullback returns is a cotangent for each argument that is an array, or the one of a single one; None for no
    cotangent. y may be a tuple, whose cotangents then come as a tuple.
    """

    @functools.wraps(protocol)
    def function(*args: Any, **options: Any) -> Any:
        if any(type(a) is Parameter for a in args):
            args = tuple(leaf(a, kind_of(a.value)) if type(a) is Parameter else a for a in args)
        tape = top_tape(args)
        if tape is None:
            return protocol(*args, **options)[0]
        kind = next(type(a) for a in args if isinstance(a, TrackedArray))
        y, pullback = protocol(*below_alike(args, tape, kind), **options)
        indices = tuple(
            a.index if isinstance(a, TrackedArray) and a.tape is tape else None for a in args if hasattr(a, "dtype")
        )
        return kind(y, tape, tape.add((indices, pullback)))

    return function
