"""Derivatives of what changes the shape of an array, its order or its dtype, and of what joins arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from nnx.autodiff.broadcasting import cast, sum_dtype, sum_to
from nnx.autodiff.rule import Function, Pull
from nnx.backends import Array, Namespace

Result = tuple[Array, Pull]


def _reshape(f: Function, xp: Namespace, x: Array, shape: Any, **options: Any) -> Result:
    return f(x, shape, **options), lambda dy: xp.reshape(dy, x.shape)


def _permute_dims(f: Function, xp: Namespace, x: Array, axes: Sequence[int]) -> Result:
    back = [0] * len(axes)
    for position, axis in enumerate(axes):
        back[axis % len(axes)] = position
    return f(x, axes), lambda dy: xp.permute_dims(dy, tuple(back))


def _matrix_transpose(f: Function, xp: Namespace, x: Array) -> Result:
    return f(x), lambda dy: xp.matrix_transpose(dy)


def _expand_dims(f: Function, xp: Namespace, x: Array, *, axis: int = 0) -> Result:
    return f(x, axis=axis), lambda dy: xp.reshape(dy, x.shape)


def _squeeze(f: Function, xp: Namespace, x: Array, axis: int | tuple[int, ...]) -> Result:
    return f(x, axis=axis), lambda dy: xp.reshape(dy, x.shape)


def _flip(f: Function, xp: Namespace, x: Array, *, axis: Any = None) -> Result:
    return f(x, axis=axis), lambda dy: xp.flip(dy, axis=axis)


def _roll(f: Function, xp: Namespace, x: Array, shift: Any, *, axis: Any = None) -> Result:
    back = -shift if isinstance(shift, int) else tuple(-s for s in shift)
    return f(x, shift, axis=axis), lambda dy: xp.roll(dy, back, axis=axis)


def _moveaxis(f: Function, xp: Namespace, x: Array, source: Any, destination: Any) -> Result:
    return f(x, source, destination), lambda dy: xp.moveaxis(dy, destination, source)


def _broadcast_to(f: Function, xp: Namespace, x: Array, shape: Any) -> Result:
    return f(x, shape), lambda dy: sum_to(xp, dy, x)


def _tril(f: Function, xp: Namespace, x: Array, *, k: int = 0) -> Result:
    return f(x, k=k), lambda dy: xp.tril(dy, k=k)


def _triu(f: Function, xp: Namespace, x: Array, *, k: int = 0) -> Result:
    return f(x, k=k), lambda dy: xp.triu(dy, k=k)


def _tile(f: Function, xp: Namespace, x: Array, repetitions: Sequence[int]) -> Result:
    y = f(x, repetitions)

    def pull(dy: Array) -> Array:
        count = len(repetitions)
        shape = (*[1] * (count - len(x.shape)), *x.shape)
        times = (*[1] * (len(shape) - count), *repetitions)
        dy = xp.reshape(dy, tuple(n for pair in zip(times, shape, strict=True) for n in pair))
        sums = xp.sum(dy, axis=tuple(range(0, 2 * len(shape), 2)), dtype=sum_dtype(xp, dy)) if shape else dy
        return cast(xp, xp.reshape(sums, x.shape), x)

    return y, pull


def _repeat(f: Function, xp: Namespace, x: Array, repeats: Any, *, axis: int | None = None) -> Result:
    y = f(x, repeats, axis=axis)

    def pull(dy: Array) -> Array:
        along = 0 if axis is None else axis % len(x.shape)
        size = math.prod(x.shape) if axis is None else x.shape[along]
        place = xp.repeat(xp.arange(size, device=xp.device_of(x)), repeats)
        return xp.reshape(scatter_along(xp, dy, place, size, along), x.shape)

    return y, pull


def scatter_along(xp: Namespace, dy: Array, indices: Array, size: int, axis: int) -> Array:
    """Slices of dy along an axis added up in the places that the indices (n,) name, of which there are `size`."""
    moved = xp.moveaxis(dy, axis, 0)
    flat = xp.reshape(moved, (moved.shape[0], math.prod(moved.shape[1:])))
    sums = xp.scatter_add(flat, indices, size)
    return xp.moveaxis(xp.reshape(sums, (size, *moved.shape[1:])), 0, axis)


def _concat(f: Function, xp: Namespace, arrays: Sequence[Array], *, axis: int | None = 0) -> tuple[Array, list[Pull]]:
    y = f(arrays, axis=axis)
    along = 0 if axis is None else axis % len(y.shape)
    pulls, start = [], 0
    for a in arrays:
        count = math.prod(a.shape) if axis is None else a.shape[along]
        pulls.append(_part(xp, a, (*[slice(None)] * along, slice(start, start + count), ...)))
        start += count
    return y, pulls


def _stack(f: Function, xp: Namespace, arrays: Sequence[Array], *, axis: int = 0) -> tuple[Array, list[Pull]]:
    y = f(arrays, axis=axis)
    before = [slice(None)] * (axis % len(y.shape))
    return y, [_part(xp, a, (*before, position, ...)) for position, a in enumerate(arrays)]


def _part(xp: Namespace, a: Array, key: Any) -> Pull:
    """The pull of an array that is a part of the value."""
    return lambda dy: cast(xp, xp.reshape(dy[key], a.shape), a)


def _astype(f: Function, xp: Namespace, x: Array, dtype: Any) -> Result:
    return f(x, dtype), lambda dy: xp.astype(dy, x.dtype)


RULES: Final[dict[str, Callable[..., Result]]] = {
    "broadcast_to": _broadcast_to,
    "expand_dims": _expand_dims,
    "flip": _flip,
    "matrix_transpose": _matrix_transpose,
    "moveaxis": _moveaxis,
    "permute_dims": _permute_dims,
    "repeat": _repeat,
    "reshape": _reshape,
    "roll": _roll,
    "squeeze": _squeeze,
    "tile": _tile,
    "tril": _tril,
    "triu": _triu,
}
"""Of one array, by the name in the standard."""

VIEWS: Final = frozenset(
    ("broadcast_to", "expand_dims", "flip", "matrix_transpose", "moveaxis", "permute_dims", "reshape", "squeeze")
)
"""The functions that return the elements of their argument themselves, where NumPy can."""

RULES_OF_SEQUENCES: Final[dict[str, Callable[..., tuple[Array, list[Pull]]]]] = {"concat": _concat, "stack": _stack}
"""Of a sequence of arrays, by the name in the standard."""

astype: Final = _astype
"""The rule of a conversion to another floating dtype."""
