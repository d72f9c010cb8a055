"""Derivatives of what changes the shape of an array, its order or its dtype."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.broadcasting import cast, sum_to


def reshape(f, xp, x, shape, **options):
    return f(x, shape, **options), lambda dy: xp.reshape(dy, x.shape)


def permute_dims(f, xp, x, axes):
    back = [0] * len(axes)
    for position, axis in enumerate(axes):
        back[axis % len(axes)] = position
    return f(x, axes), lambda dy: xp.permute_dims(dy, tuple(back))


def matrix_transpose(f, xp, x):
    return f(x), lambda dy: xp.matrix_transpose(dy)


def expand_dims(f, xp, x, /, *, axis=0):
    return f(x, axis=axis), lambda dy: xp.reshape(dy, x.shape)


def squeeze(f, xp, x, axis):
    return f(x, axis=axis), lambda dy: xp.reshape(dy, x.shape)


def flip(f, xp, x, *, axis=None):
    return f(x, axis=axis), lambda dy: xp.flip(dy, axis=axis)


def roll(f, xp, x, shift, *, axis=None):
    back = -shift if isinstance(shift, int) else tuple(-s for s in shift)
    return f(x, shift, axis=axis), lambda dy: xp.roll(dy, back, axis=axis)


def moveaxis(f, xp, x, source, destination):
    return f(x, source, destination), lambda dy: xp.moveaxis(dy, destination, source)


def broadcast_to(f, xp, x, shape):
    return f(x, shape), lambda dy: sum_to(xp, dy, x)


def tril(f, xp, x, *, k=0):
    return f(x, k=k), lambda dy: xp.tril(dy, k=k)


def triu(f, xp, x, *, k=0):
    return f(x, k=k), lambda dy: xp.triu(dy, k=k)


def tile(f, xp, x, repetitions):
    y = f(x, repetitions)

    def pull(dy):
        count = len(repetitions)
        shape = (*[1] * (count - len(x.shape)), *x.shape)
        times = (*[1] * (len(shape) - count), *repetitions)
        dy = xp.reshape(dy, tuple(n for pair in zip(times, shape, strict=True) for n in pair))
        return xp.reshape(xp.sum(dy, axis=tuple(range(0, 2 * len(shape), 2)), dtype=dy.dtype), x.shape)

    return y, pull


def repeat(f, xp, x, repeats, *, axis=None):
    y = f(x, repeats, axis=axis)

    def pull(dy):
        along = 0 if axis is None else axis % len(x.shape)
        size = math.prod(x.shape) if axis is None else x.shape[along]
        place = xp.repeat(xp.arange(size, device=xp.device_of(x)), repeats)
        return xp.reshape(scatter_along(xp, dy, place, size, along), x.shape)

    return y, pull


def scatter_along(xp: Any, dy: Any, indices: Any, size: int, axis: int) -> Any:
    """Slices of dy along an axis added up in the places that the indices (n,) name, of which there are `size`."""
    moved = xp.moveaxis(dy, axis, 0)
    flat = xp.reshape(moved, (moved.shape[0], -1) if math.prod(moved.shape) else (moved.shape[0], 0))
    sums = xp.scatter_add(flat, indices, size)
    return xp.moveaxis(xp.reshape(sums, (size, *moved.shape[1:])), 0, axis)


RULES: dict[str, Any] = {
    rule.__name__: rule
    for rule in (reshape, permute_dims, matrix_transpose, expand_dims, squeeze, flip, roll, moveaxis, broadcast_to)
    + (tril, triu, tile, repeat)
}
RULES_OF_SEQUENCES: dict[str, Any] = {}


def concat(f, xp, arrays, *, axis=0):
    y = f(arrays, axis=axis)
    along = 0 if axis is None else axis % len(y.shape)
    pulls, start = [], 0
    for a in arrays:
        count = math.prod(a.shape) if axis is None else a.shape[along]
        key = (*[slice(None)] * along, slice(start, start + count), ...)
        pulls.append(lambda dy, key=key, a=a: cast(xp, xp.reshape(dy[key], a.shape), a))
        start += count
    return y, pulls


def stack(f, xp, arrays, *, axis=0):
    y = f(arrays, axis=axis)
    before = [slice(None)] * (axis % len(y.shape))
    return y, [lambda dy, i=i, a=a: cast(xp, dy[(*before, i, ...)], a) for i, a in enumerate(arrays)]


RULES_OF_SEQUENCES["concat"] = concat
RULES_OF_SEQUENCES["stack"] = stack
