"""Transformations of functions: what is made of a function of arrays by differentiating it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, constant, lower, on_tape, refuse_lost, strip, track
from nnx.autodiff.namespace import floating_kind, is_floating, kind_of
from nnx.autodiff.primitive import primitive
from nnx.autodiff.tape import Tape, next_level, open_as_before, open_tapes, recording, set_open_tapes
from nnx.backends import is_array
from nnx.pullbacks import require_fits
from nnx.structure import leaves, rebuild

__all__ = ["custom_gradient", "differentiable", "grad", "jvp", "stop_gradient", "value_and_grad"]


def differentiable(function: Callable[..., Any]) -> Callable[..., tuple[Any, Callable[..., Any]]]:
    """The same function, returning `(y, pullback)`: its value, and what maps the value's cotangent to the arguments'.

    function : of arrays, written with nnx.ops, the functions of `nnx.array_namespace(x)`, operators, layers. It returns
        an array, or a tuple or list of arrays. Its other arguments are handed on.

    pullback(dy) returns the cotangent of the only argument, or a tuple with one for each, None for those that are no
    floating arrays.

    >>> import numpy as np
    >>> import nnx
    >>> y, pullback = nnx.differentiable(lambda x: x * x)(np.asarray([1.0, 3.0]))
    >>> y, pullback(np.ones(2))
    (array([1., 9.]), array([2., 6.]))
    """

    @functools.wraps(function)
    def protocol(*args: Any, **options: Any) -> tuple[Any, Callable[..., Any]]:
        value, pullback, _ = derive(function, args, options)
        return value, pullback

    return protocol


def derive(
    function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any], of: Sequence[int] = ()
) -> tuple[Any, Callable[..., Any], bool]:
    """A function's value, its pullback, and whether the value depends on a floating argument; see `differentiable`.

    of : the arguments that have to have a derivative; TypeError for one that has none.
    """
    tape = Tape(next_level())
    watched, slots = list(args), []
    for position, value in enumerate(args):
        kind = floating_kind(value)
        if kind is not None:
            watched[position] = track(kind, value, tape, tape.watch())
            slots.append(position)
    if not set(of).issubset(slots):
        raise _without_derivative(args, next(position for position in of if position not in slots))
    before = set_open_tapes((*open_tapes(), tape))
    try:
        made = function(*watched, **options)
    finally:
        open_as_before(before)
    several = isinstance(made, (tuple, list))
    values = list(made) if several else [made]
    tracked = []
    for position, y in enumerate(values):
        if isinstance(y, TrackedArray):
            here = on_tape(tape, y)
            if here is None:
                values[position] = strip(y)
                continue
            if here.lost is not None:
                refuse_lost()
            values[position] = here.value
            tracked.append((position, here.index))

    def pullback(dy: Any) -> Any:
        dys = dy if several else (dy,)
        if several and len(dys) != len(values):
            raise ValueError(f"the function returned {len(values)} arrays, got {len(dys)} cotangents")
        seeds = []
        for position, index in tracked:
            cotangent, value = dys[position], values[position]
            if isinstance(value, TrackedArray):  # by an outer tape: the cotangent meets tracked arrays
                cotangent = constant(cotangent, type(value))
            seeds.append((index, cotangent))
        cotangents = [None] * len(args)
        for slot, cotangent in zip(slots, tape.pull(seeds, range(len(slots))), strict=True):
            cotangents[slot] = _zeros_like(args[slot]) if cotangent is None else cotangent
        return cotangents[0] if len(cotangents) == 1 else tuple(cotangents)

    return (type(made)(values) if several else values[0]), pullback, bool(tracked)


def watch(tape: Tape, value: Any) -> Any:
    """A floating array as one that the tape tracks; anything else as it is."""
    kind = floating_kind(value)
    return value if kind is None else track(kind, value, tape, tape.watch())


def index_on(tape: Tape, value: Any) -> int | None:
    """Where a value is recorded on a tape; None for one that is not."""
    found = on_tape(tape, value)
    return None if found is None else found.index


def _zeros_like(array: Any) -> Any:
    return kind_of(array).xp.base.zeros_like(lower(array))


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., tuple[Any, Any]]:
    """A function that returns the value of `function`, a number, and its gradient.

    function : returns an array without axes. argnums : which arguments the gradient is of, by default the first.

    TypeError for an argument or a value without derivative, such as integers; ValueError for a value with axes.

    >>> import numpy as np
    >>> import nnx
    >>> nnx.value_and_grad(lambda x: nnx.ops.sum(x * x))(np.asarray([1.0, 3.0]))
    (np.float64(10.0), array([2., 6.]))
    """
    wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(function)
    def both(*args: Any, **options: Any) -> tuple[Any, Any]:
        y, cotangents = _value_and_cotangents(function, args, options, wanted)
        return y, cotangents[0] if isinstance(argnums, int) else cotangents

    return both


def _value_and_cotangents(
    function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any], wanted: tuple[int, ...]
) -> tuple[Any, tuple[Any, ...]]:
    y, pullback, _ = derive(function, args, options, wanted)
    if not is_array(y) or tuple(y.shape) != ():
        shape = tuple(y.shape) if is_array(y) else type(y).__name__
        raise ValueError(
            f"a gradient is of one number, but the function returned {shape}: take nnx.ops.sum or mean of it, or "
            f"use nnx.differentiable with a cotangent of that shape"
        )
    if not is_floating(y):
        raise TypeError(
            f"a gradient is of a floating number, but the function returned one of {y.dtype}, which has no derivative: "
            f"integers, comparisons, and what is cast to them, are constants"
        )
    cotangents = pullback(_one_like(y))
    cotangents = cotangents if len(args) > 1 else (cotangents,)
    return y, tuple(cotangents[i] for i in wanted)


def _one_like(y: Any) -> Any:
    """1, as the cotangent of a number: a constant among tracked arrays, if that is one."""
    if isinstance(y, np.generic | np.ndarray):
        return np.asarray(1.0, dtype=y.dtype)
    xp = kind_of(y).xp
    one = xp.base.asarray(1.0, dtype=y.dtype, device=xp.device_of(y))
    return constant(one, type(y)) if isinstance(y, TrackedArray) else one


def _without_derivative(args: Sequence[Any], position: int) -> TypeError:
    """The error for an argument that there is not, or that is no floating array."""
    if position >= len(args):
        return TypeError(f"argnums names argument {position}, but the function was called with {len(args)}")
    value = args[position]
    if not is_array(value):
        return TypeError(f"argument {position}: a gradient is of an array, got {type(value).__name__}; use nnx.asarray")
    return TypeError(
        f"argument {position}: a gradient is of floating numbers, got {value.dtype}; convert it with "
        f'nnx.asarray(x, "float32")'
    )


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the gradient of `function`, whose value is a number; see `value_and_grad`.

    >>> import numpy as np
    >>> import nnx
    >>> cube = lambda x: nnx.ops.sum(x**3)
    >>> nnx.grad(lambda x: nnx.ops.sum(nnx.grad(cube)(x)))(np.asarray([1.0, 2.0]))
    array([ 6., 12.])
    """
    wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(function)
    def gradient(*args: Any, **options: Any) -> Any:
        _, cotangents = _value_and_cotangents(function, args, options, wanted)
        return cotangents[0] if isinstance(argnums, int) else cotangents

    return gradient


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of a function, and its derivative along a direction: how the value moves with the arguments.

    function : of floating arrays; it returns an array. primals : its arguments. tangents : the direction, an array of
        the shape of each.

    It is the pullback of the pullback, which costs about twice what a gradient does. With `grad` it gives products with
    second derivatives: `jvp(grad(f), (x,), (v,))`.

    ValueError for tangents of other shapes; TypeError for a function that returns several arrays.

    >>> import numpy as np
    >>> import nnx
    >>> nnx.jvp(lambda x: x**3, (np.asarray([1.0, 2.0]),), (np.asarray([1.0, 0.5]),))
    (array([1., 8.]), array([3., 6.]))
    """
    if len(primals) != len(tangents):
        raise ValueError(f"jvp takes a tangent for each of {len(primals)} arguments, got {len(tangents)}")
    for position, (x, tangent) in enumerate(zip(primals, tangents, strict=True)):
        if floating_kind(x) is None:
            raise _without_derivative(primals, position)
        if tuple(x.shape) != tuple(getattr(tangent, "shape", ())):
            raise ValueError(f"tangent {position} has the shape {tuple(tangent.shape)}, expected {tuple(x.shape)}")
    tape = Tape(next_level())
    with recording(*open_tapes(), tape):
        y, pullback = differentiable(function)(*(watch(tape, x) for x in primals))
        if not is_array(y):
            raise TypeError(f"jvp is of a function that returns one array, got {type(y).__name__}")
        found = on_tape(tape, y)
        value = y if found is None else found.value
        xp = kind_of(value).xp
        dy = watch(tape, xp.zeros_like(lower(value)))
        cotangents = pullback(dy)
        pairs = zip(cotangents if isinstance(cotangents, tuple) else (cotangents,), tangents, strict=True)
        total = sum(xp.sum(cotangent * tangent) for cotangent, tangent in pairs)
    index = index_on(tape, total)
    tangent = None if index is None else tape.pull([(index, _one_like(total))], [dy.index])[0]
    return value, strip(_zeros_like(value) if tangent is None else tangent)


def stop_gradient(x: Any) -> Any:
    """The plain array in a tracked one, which is a constant for everything that follows. Of structures, all arrays.

    >>> import numpy as np
    >>> import nnx
    >>> nnx.grad(lambda x: nnx.ops.sum(x * nnx.stop_gradient(x)))(np.asarray([3.0]))
    array([3.])
    """
    return rebuild(x, [lower(part) for part in leaves(x)]) if isinstance(x, dict | list | tuple) else lower(x)


def custom_gradient(f: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """A function with a derivative of one's own, as one for array code: it returns the value alone.

    f : returns (y, pullback), as the functions of `nnx.functional` do, or Keras' (y, grad), whose grad also may
        take `upstream=`.

    >>> import numpy as np
    >>> import nnx
    >>> @nnx.custom_gradient
    ... def clipped(x):
    ...     return x, lambda dy: nnx.ops.clip(dy, -1.0, 1.0)
    >>> nnx.grad(lambda x: nnx.ops.sum(100.0 * clipped(x)))(np.asarray([1.0, 2.0]))
    array([1., 1.])
    """
    name = getattr(f, "__name__", "function")

    @functools.wraps(f)
    def checked(*args: Any, **options: Any) -> tuple[Any, Callable[..., Any]]:
        made = f(*args, **options)
        if not (isinstance(made, tuple | list) and len(made) == 2 and callable(made[1])):
            raise TypeError(
                f"custom_gradient: {name} returned {type(made).__name__}, expected (y, pullback), where pullback(dy) "
                f"returns the cotangent of each array that {name} was given"
            )
        y, pullback = made
        arrays = [a for a in args if hasattr(a, "dtype")]
        return y, lambda dy: require_fits(f"the custom gradient of {name}", pullback(dy), arrays)

    return primitive(checked, repeats=False)
