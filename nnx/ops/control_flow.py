"""Control flow as functions. They run as ordinary Python does: each branch and step when its turn comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx.backends import Array, is_array
from nnx.in_place import sparing
from nnx.ops.operation import as_array, namespace, positive_axis
from nnx.structure import leaves, rebuild

__all__ = [
    "associative_scan",
    "cond",
    "fori_loop",
    "map",
    "scan",
    "switch",
    "vectorized_map",
    "while_loop",
]


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """Result of one of two functions without arguments, by a condition, whose value is waited for.

    >>> cond(True, lambda: 1, lambda: 2)
    1
    """
    return true_fn() if pred else false_fn()


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """Result of the function with that index, of the operands; an index outside takes the first or the last one.

    >>> switch(1, [lambda x: x + 1, lambda x: x * 10], 3)
    30
    """
    return branches[min(max(int(index), 0), len(branches) - 1)](*operands)


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """Values after a body has been repeated for as long as a condition holds.

    cond, body : of the values. loop_vars : a tuple or list of values, or a single one, as `body` returns them.
    maximum_iterations : by default as many as it takes.

    >>> while_loop(lambda i: i < 10, lambda i: i * 2, 1)
    16
    """
    body = sparing(body)
    several = isinstance(loop_vars, tuple | list)
    values = tuple(loop_vars) if several else (loop_vars,)
    done = 0
    while (maximum_iterations is None or done < maximum_iterations) and cond(*values):
        made = body(*values)
        values = tuple(made) if isinstance(made, tuple | list) else (made,)
        done += 1
    return values if several else values[0]


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[int, Any], Any], init_val: Any) -> Any:
    """Value after body_fun(i, value) for i from lower to upper - 1.

    >>> fori_loop(0, 4, lambda i, total: total + i, 0)
    6
    """
    value, body_fun = init_val, sparing(body_fun)
    for i in range(int(lower), int(upper)):
        value = body_fun(i, value)
    return value


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Loop over the first axis that carries a value along and stacks what it makes.

    f : (carry, x) -> (carry, y). init : the first carry.
    xs : an array, or a structure of arrays, whose first axes are as long; or None with a `length`.
    reverse : from the last to the first; ys have the order of xs. unroll : of no effect.

    Returns (carry, ys); ys is None where f makes None.

    >>> total, sums = scan(lambda total, x: (total + x, total + x), 0.0, [1.0, 2.0, 3.0])
    >>> sums
    array([1., 3., 6.], dtype=float32)
    """
    arrays, put_together = _arrays_of(xs) if xs is not None else ([], None)
    count = _first_axis("scan", arrays, length)
    carry, made, f = init, [], sparing(f)
    for i in reversed(range(count)) if reverse else range(count):
        x = None if put_together is None else put_together([a[i, ...] for a in arrays])
        carry, y = f(carry, x)
        made.append(y)
    return carry, _stacked(made[::-1] if reverse else made)


def _arrays_of(xs: Any) -> tuple[list[Array], Callable[[Sequence[Any]], Any]]:
    """The arrays in a structure, and what puts others in their places; a list of numbers is an array."""
    parts = leaves(xs)
    if isinstance(xs, tuple | dict) or (isinstance(xs, list) and any(is_array(part) for part in parts)):
        return [as_array(part) for part in parts], lambda values: rebuild(xs, values)
    return [as_array(xs)], lambda values: values[0]


def _first_axis(name: str, arrays: Sequence[Array], length: int | None = None) -> int:
    counts = {a.shape[0] if len(a.shape) else 0 for a in arrays} | ({length} if length is not None else set())
    if len(counts) != 1:
        raise ValueError(f"{name}: first axes of one length are needed, or a length, got {sorted(counts)}")
    return next(iter(counts))


def _stacked(made: Sequence[Any]) -> Any:
    """Structures of values as one structure of stacked arrays; None stays None."""
    if not made:
        return None
    columns = zip(*(leaves(y) for y in made), strict=True)
    return rebuild(made[0], [_stack(column) for column in columns])


def _stack(values: Sequence[Any]) -> Any:
    if values[0] is None:
        return None
    arrays = [as_array(value) for value in values]
    return namespace(*arrays).stack(arrays)


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Results of a function of each element of the first axis, stacked.

    xs : an array, or a structure of arrays whose first axes are as long.

    >>> map(lambda x: x * x, [1.0, 2.0, 3.0])
    array([1., 4., 9.], dtype=float32)
    """
    arrays, put_together = _arrays_of(xs)
    f = sparing(f)
    return _stacked([f(put_together([a[i, ...] for a in arrays])) for i in range(_first_axis("map", arrays))])


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """Results of a function of each element of the first axis, stacked: as `map`, one after the other.

    A function that takes a whole batch is faster without it.

    >>> vectorized_map(lambda x: x * x, [1.0, 2.0, 3.0])
    array([1., 4., 9.], dtype=float32)
    """
    return map(function, elements)


def associative_scan(f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """Running results of an associative function along an axis: x0, f(x0, x1), f(f(x0, x1), x2), ...

    f : of two structures of arrays, whose elements along the axis it combines one by one.
    elems : an array, or a structure of arrays. reverse : from the last to the first.

    It calls f log2(n) times, with ever longer steps (Hillis and Steele, 1986).

    >>> associative_scan(lambda a, b: a + b, [1, 2, 3, 4])
    array([ 1,  3,  6, 10])
    """
    values, put_together = _arrays_of(elems)
    axis = positive_axis(axis, len(values[0].shape), "associative_scan")
    size, before, step = values[0].shape[axis], (slice(None),) * axis, 1

    def part(start: int | None, stop: int | None) -> list[Array]:
        return [value[(*before, slice(start, stop), ...)] for value in values]

    while step < size:
        if reverse:  # what is behind comes first
            first, second, kept = part(step, None), part(None, size - step), part(size - step, None)
        else:
            first, second, kept = part(None, size - step), part(step, None), part(None, step)
        made = _arrays_of(f(put_together(first), put_together(second)))[0]
        pairs = zip(made, kept, strict=True) if reverse else zip(kept, made, strict=True)
        values = [namespace(*pair).concat(list(pair), axis=axis) for pair in pairs]
        step *= 2
    return put_together(values)
