"""Recording: from a rule, which is a value with its derivatives beside it, to a function of tracked arrays.

What a rule is stands in `rule`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, bared, constant, lower, recorded, top_tape, track
from nnx.autodiff.elementwise import ARGUMENT, VALUE
from nnx.autodiff.tape import CONSTANT, open_tapes
from nnx.parameters import Parameter

Rule = Callable[..., Any]


def leaf(parameter: Parameter, kind: type[TrackedArray]) -> Any:
    """What a parameter is in an expression: its value, tracked by every open tape that watches parameters.

    That of one which is not trained, and integers, are constants.
    """
    value = parameter.value
    if not parameter.trainable:
        return value
    if not is_real_floating(kind.xp, value.dtype):
        return value
    for tape in open_tapes():
        if tape.watches_parameters:
            known = tape.leaves.get(id(parameter))
            if known is None:
                known = tape.leaves[id(parameter)] = parameter, tape.watch()
            value = track(kind, value, tape, known[1])
    return value


def is_real_floating(xp: Any, dtype: Any) -> bool:
    """Whether a dtype of a library is one of real floating numbers; it is asked once for each."""
    found = xp.floating_dtypes.get(dtype)
    if found is None:
        found = xp.floating_dtypes[dtype] = bool(xp.base.isdtype(dtype, "real floating"))
    return found  # type: ignore[no-any-return]


def unary(
    xp: Any, rule: Rule, plain: Callable[..., Any], name: str, *, by_elements: bool = False, views: bool = False
) -> Callable[..., Any]:
    """A function of one array. rule(function, xp, x, ...) -> y, pull

    by_elements : whether each element stays in its place, so that a mask of a sequence's steps holds for the result.
    views : whether what NumPy returns are the elements of x themselves, into which one may write.
    """
    kind = xp.kind

    def function(x: Any, /, *args: Any, **options: Any) -> Any:
        if type(x) is not kind:
            if type(x) is Parameter:
                return function(leaf(x, kind), *args, **options)
            return plain(x, *args, **options)
        value = x.value
        f = function if type(value) is kind else plain
        y, pull = rule(f, xp, value, *args, **options) if args or options else rule(f, xp, value)
        tracked = recorded(kind, y, x.tape, (x.index, None, pull, None))
        if by_elements and x.tape.masked:
            tracked.mask = x.mask
        elif views:
            tracked.whole = x
        return tracked

    function.__name__ = name
    return function


def by_elements(xp: Any, rule: tuple[Rule, str], plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of one array, element by element: a mask of a sequence's steps holds for the result too.

    rule : what makes the pull of a namespace, and what it is given beside dy; see `elementwise`.
    """
    kind = xp.kind
    make, keeps = rule
    pull, keeps_value, keeps_argument = make(xp), keeps == VALUE, keeps == ARGUMENT

    def function(x: Any, /, *args: Any, **options: Any) -> Any:
        if type(x) is kind:
            if args or options:
                raise TypeError(f"{name} of a tracked array takes no other arguments")
            value, tape = x.value, x.tape
            y = function(value) if type(value) is kind else plain(value)
            made = kind()  # as `recorded`, without the call
            made.value = y
            made.tape = tape
            if tape.masked:
                made.mask = x.mask
            entries = tape.entries
            made.index = len(entries)
            entries.append((x.index, None, pull, y if keeps_value else value if keeps_argument else None))
            return made
        if type(x) is Parameter:
            return function(leaf(x, kind), *args, **options)
        return plain(x, *args, **options) if args or options else plain(x)

    function.__name__ = name
    return function


def binary(xp: Any, rule: tuple[Rule, Rule], plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of two arrays that broadcast, or of one and a number.

    rule : (function, a, b) -> y, and what makes the pulls: (xp, a, b, y) -> pull of a, and the same of b. Only those
        that are needed are made.
    """
    kind = xp.kind
    pull_first, pull_second = rule

    def function(a: Any, b: Any, /) -> Any:
        kind_a, kind_b = type(a), type(b)
        if kind_a is Parameter or kind_b is Parameter:
            return function(leaf(a, kind) if kind_a is Parameter else a, leaf(b, kind) if kind_b is Parameter else b)
        if kind_a is kind:
            tape = a.tape
            if kind_b is kind:
                level, other = tape.level, b.tape.level
                if b.tape is tape:
                    va, vb = a.value, b.value
                    y = (function if type(va) is kind or type(vb) is kind else plain)(va, vb)
                    pulls = pull_first(xp, va, vb, y), pull_second(xp, va, vb, y)
                    tracked = recorded(kind, y, tape, (None, (a.index, b.index), pulls, None))
                    if tape.masked:
                        tracked.mask = mask_of_two(a, b, y)
                    return tracked
                if other == CONSTANT:  # what an outer tape records of it, if any does
                    return function(a, b.value)
                if level == CONSTANT:
                    return function(a.value, b)
                if level <= other:
                    return second(a, b)
            return first(a, b)
        return second(a, b) if kind_b is kind else plain(a, b)

    def first(a: Any, b: Any) -> Any:
        value = a.value
        b = suited(b, value, xp)
        y = (function if type(value) is kind or type(b) is kind else plain)(value, b)
        tracked = recorded(kind, y, a.tape, (a.index, None, pull_first(xp, value, b, y), None))
        if a.tape.masked:
            tracked.mask = mask_of_two(a, b, y)
        return tracked

    def second(a: Any, b: Any) -> Any:
        value = b.value
        a = suited(a, value, xp)
        y = (function if type(value) is kind or type(a) is kind else plain)(a, value)
        tracked = recorded(kind, y, b.tape, (b.index, None, pull_second(xp, a, value, y), None))
        if b.tape.masked:
            tracked.mask = mask_of_two(b, a, y)
        return tracked

    function.__name__ = name
    return function


def mask_of_two(a: Any, b: Any, y: Any) -> Any:
    """The mask of what two arrays were combined to: that of the first that has one, if its steps are those of y."""
    for one in (a, b):
        mask = getattr(one, "mask", None)
        if (
            mask is not None
            and len(one.shape) == len(y.shape)
            and tuple(mask.shape) == tuple(y.shape[: len(mask.shape)])
        ):
            return mask
    return None


def suited(constant: Any, beside: Any, xp: Any) -> Any:
    """A constant beside a tracked array: integers and bools in its dtype, a number of NumPy as one of Python.

    NumPy makes float64 of int64 beside float32, and other libraries refuse it. TypeError for complex numbers.
    """
    if type(constant) in (int, float) or isinstance(constant, TrackedArray):
        return constant
    if isinstance(constant, np.generic):
        constant = constant.item()
    if isinstance(constant, complex):
        raise _of_real_numbers("complex")
    dtype = getattr(constant, "dtype", None)
    if dtype is None or dtype == beside.dtype or xp.isdtype(dtype, "real floating"):
        return constant
    if xp.isdtype(dtype, "complex floating"):
        raise _of_real_numbers(dtype)
    return xp.astype(constant, beside.dtype)


def require_real(xp: Any, y: Any) -> None:
    """TypeError for the value of a function of tracked arrays that others have made complex."""
    if xp.isdtype(y.dtype, "complex floating"):
        raise _of_real_numbers(y.dtype)


def _of_real_numbers(dtype: Any) -> TypeError:
    return TypeError(
        f"tracked arrays are of real numbers and do not meet those of {dtype}: keep real and imaginary parts apart, or "
        f"write nnx.stop_gradient(x)"
    )


def below(values: Sequence[Any], tape: Any) -> list[Any]:
    """The values one level below a tape: its own arrays and constants are unwrapped."""
    return [
        value.value
        if isinstance(value, TrackedArray) and (value.tape is tape or value.tape.level == CONSTANT)
        else value
        for value in values
    ]


def below_alike(values: Sequence[Any], tape: Any, kind: type[TrackedArray]) -> list[Any]:
    """`below`, with plain arrays as constants where others are tracked: for code that looks at one of them only."""
    values = below(values, tape)
    if any(isinstance(value, TrackedArray) for value in values):
        return [constant(value, kind) for value in values]
    return values


def several(xp: Any, rule: Rule, plain: Callable[..., Any], count: int, name: str) -> Callable[..., Any]:
    """A function whose first `count` arguments may be arrays. rule(function, xp, ...) -> y, (pull or None, ...)"""
    kind, floating = xp.kind, xp.floating_dtypes

    def function(*args: Any, **options: Any) -> Any:
        head = [leaf(a, kind) if type(a) is Parameter else bared(a) for a in args[:count]]
        rest = args[count:]
        tape = top_tape(head)
        if tape is None:
            return plain(*head, *rest, **options)
        values = below(head, tape)
        inner = function if any(type(value) is kind for value in values) else plain
        y, pulls = rule(inner, xp, *values, *rest, **options)
        if not floating.get(y.dtype):
            require_real(xp, y)
        sources = tuple(
            a.index if type(a) is kind and a.tape is tape and pull is not None else None
            for a, pull in zip(head, pulls, strict=False)
        )
        return recorded(kind, y, tape, (None, sources, pulls, None))

    function.__name__ = name
    return function


def sequence(xp: Any, rule: Rule, plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of a sequence of arrays. rule(function, xp, arrays, ...) -> y, pulls"""
    kind, floating = xp.kind, xp.floating_dtypes

    def function(arrays: Any, /, **options: Any) -> Any:
        given = [leaf(a, kind) if type(a) is Parameter else bared(a) for a in arrays]
        tape = top_tape(given)
        if tape is None:
            return plain(given, **options)
        values = below(given, tape)
        inner = function if any(type(value) is kind for value in values) else plain
        y, pulls = rule(inner, xp, values, **options)
        if not floating.get(y.dtype):
            require_real(xp, y)
        sources = tuple(a.index if type(a) is kind and a.tape is tape else None for a in given)
        return recorded(kind, y, tape, (None, sources, tuple(pulls), None))

    function.__name__ = name
    return function


def parts(xp: Any, rule: Rule, plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of one array with several values. rule(function, xp, x, ...) -> ys, (pull or None, ...)

    Each value is an entry of its own; one without a pull is a constant.
    """
    kind = xp.kind

    def function(x: Any, /, *args: Any, **options: Any) -> Any:
        if type(x) is Parameter:
            x = leaf(x, kind)
        if type(x) is not kind:
            return plain(x, *args, **options)
        value, tape = x.value, x.tape
        ys, pulls = rule(function if type(value) is kind else plain, xp, value, *args, **options)
        return type(ys)(
            *(
                lower(y) if pull is None else recorded(kind, y, tape, (x.index, None, pull, None))
                for y, pull in zip(ys, pulls, strict=True)
            )
        )

    function.__name__ = name
    return function


def composite(xp: Any, made: Callable[..., Any], plain: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function that is made of others, which record; the library's own where nothing is tracked."""
    kind = xp.kind

    def function(*args: Any, **options: Any) -> Any:
        args = tuple(leaf(a, kind) if type(a) is Parameter else a for a in args)
        if top_tape((*args, *options.values())) is None:
            return plain(*args, **options)
        return made(*args, **options)

    function.__name__ = name
    return function


def locally_constant(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose value does not follow small changes of its arguments, or is no float: its value is plain."""

    def function(*args: Any, **options: Any) -> Any:
        return plain(*[_lowered(value) for value in args], **{name: _lowered(value) for name, value in options.items()})

    function.__name__ = getattr(plain, "__name__", "function")
    return function


def _lowered(value: Any) -> Any:
    return type(value)(map(lower, value)) if type(value) in (list, tuple) else lower(value)


def refused(plain: Callable[..., Any], name: str, because: str = "") -> Callable[..., Any]:
    """A function that has no rule: of plain arrays as it is, an error of tracked ones and no silent constant."""

    def function(*args: Any, **options: Any) -> Any:
        for value in (*args, *options.values()):
            for part in value if type(value) in (list, tuple) else (value,):
                if isinstance(part, TrackedArray) and part.tape.level == CONSTANT:
                    continue
                if isinstance(part, TrackedArray | Parameter):
                    raise NotImplementedError(
                        f"{name} has no derivative in nnx{because}: nnx.stop_gradient(x) makes a constant of x, "
                        f"nnx.custom_gradient takes a derivative of your own"
                    )
        return plain(*[_lowered(value) for value in args], **{key: _lowered(value) for key, value in options.items()})

    function.__name__ = getattr(plain, "__name__", name)
    return function
