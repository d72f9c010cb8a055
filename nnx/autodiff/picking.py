"""Derivatives of what picks elements: choices, bounds, indices, orders; and of writing into a part of an array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.autodiff.array import lower
from nnx.autodiff.broadcasting import sum_to
from nnx.autodiff.rule import Function, Pull
from nnx.autodiff.shapes import scatter_along
from nnx.backends import Array, Namespace

Result = tuple[Array, tuple[Pull | None, ...]]


def where(f: Function, xp: Namespace, condition: Array, a: Any, b: Any) -> Result:
    condition = lower(condition)

    def pull_first(dy: Array) -> Array:
        return sum_to(xp, xp.where(condition, dy, 0.0), a)

    def pull_second(dy: Array) -> Array:
        return sum_to(xp, xp.where(condition, 0.0, dy), b)

    return f(condition, a, b), (None, pull_first, pull_second)


def clip(f: Function, xp: Namespace, x: Array, low: Any = None, high: Any = None) -> Result:
    """On the closed interval the cotangent goes to x, outside to the bound; to the upper one where they are crossed."""
    plain, floor, ceiling, base = lower(x), lower(low), lower(high), xp.base

    def pull(dy: Array) -> Array:
        inside = None
        if low is not None:
            inside = plain >= floor
        if high is not None:
            inside = plain <= ceiling if inside is None else base.logical_and(inside, plain <= ceiling)
        return dy if inside is None else sum_to(xp, xp.where(inside, dy, 0.0), x)

    def pull_low(dy: Array) -> Array:
        hit = plain < floor if high is None else base.logical_and(plain < floor, floor <= ceiling)
        return sum_to(xp, xp.where(hit, dy, 0.0), low)

    def pull_high(dy: Array) -> Array:
        hit = plain > ceiling if low is None else base.logical_or(plain > ceiling, floor > ceiling)
        return sum_to(xp, xp.where(hit, dy, 0.0), high)

    return f(x, low, high), (pull, pull_low, pull_high)


def nan_to_num(f: Function, xp: Namespace, x: Array, *args: Any, **options: Any) -> tuple[Array, Pull]:
    return f(x, *args, **options), lambda dy: xp.where(xp.isfinite(x), dy, 0.0)


def take(f: Function, xp: Namespace, x: Array, indices: Array, *, axis: int | None = None) -> Result:
    indices = lower(indices)
    y = f(x, indices) if axis is None else f(x, indices, axis=axis)

    def pull(dy: Array) -> Array:
        along = 0 if axis is None else axis % len(x.shape)
        size = math.prod(x.shape) if axis is None else x.shape[along]
        behind = () if axis is None else x.shape[along + 1 :]
        count = math.prod(indices.shape)
        flat = xp.reshape(dy, (*(() if axis is None else x.shape[:along]), count, *behind))
        return xp.reshape(scatter_along(xp, flat, xp.base.reshape(indices, (count,)), size, along), x.shape)

    return y, (pull,)


def take_along_axis(f: Function, xp: Namespace, x: Array, indices: Array, *, axis: int = -1) -> Result:
    indices = lower(indices)

    def pull(dy: Array) -> Array:
        return _scatter_along_axis(xp, dy, indices, x, axis % len(x.shape))

    return f(x, indices, axis=axis), (pull,)


def _scatter_along_axis(xp: Namespace, dy: Array, indices: Array, x: Array, axis: int) -> Array:
    """The elements of dy added up where `indices` say along the axis; all other axes may broadcast."""
    base, size = xp.base, x.shape[axis]
    if dy.shape[axis] == 1:  # one of each row, so nothing adds up
        every = base.arange(size, dtype=indices.dtype, device=xp.device_of(x))
        places = base.reshape(every, (size, *[1] * (len(x.shape) - 1 - axis)))
        return sum_to(xp, xp.where(base.remainder(indices, size) == places, dy, 0.0), x)
    if indices.shape != dy.shape:
        indices = base.broadcast_to(indices, dy.shape)
    other = [n for i, n in enumerate(dy.shape) if i != axis]
    last = axis == len(x.shape) - 1
    moved, keys = (dy, indices) if last else (xp.moveaxis(dy, axis, -1), base.moveaxis(indices, axis, -1))
    keys = base.where(keys < 0, keys + size, keys)
    rows = math.prod(other)
    starts = size * base.arange(rows, dtype=keys.dtype, device=xp.device_of(x))
    keys = base.reshape(keys, (rows, keys.shape[-1])) + starts[:, None]
    count = math.prod(dy.shape)
    flat = xp.scatter_add(xp.reshape(moved, (count, 1)), base.reshape(keys, (count,)), rows * size)
    sums = xp.reshape(flat, (*other, size))
    return sum_to(xp, sums if last else xp.moveaxis(sums, -1, axis), x)


def sort(
    f: Function, xp: Namespace, x: Array, *, axis: int = -1, descending: bool = False, stable: bool = True
) -> tuple[Array, Pull]:
    """By index: of equal elements each has the cotangent of its own place in a stable order."""
    y = f(x, axis=axis, descending=descending, stable=stable)
    order = xp.argsort(x, axis=axis, descending=descending, stable=True)
    return y, lambda dy: xp.take_along_axis(dy, xp.argsort(order, axis=axis), axis=axis)


def get_item(f: Function, xp: Namespace, x: Array, key: Any) -> tuple[Array, Pull]:
    return f(x, key), lambda dy: put_item(xp, dy, key, x)


def plain_key(key: Any) -> Any:
    """A key whose arrays are plain ones."""
    return tuple(map(lower, key)) if isinstance(key, tuple) else lower(key)


def has_arrays(key: Any) -> bool:
    """Whether a key has arrays or lists in it, so that an element may be picked more than once."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(part, list) or (hasattr(part, "dtype") and part.shape) for part in parts)


def has_places(key: Any) -> bool:
    """Whether a key has arrays or lists in it, with axes or without: what it picks is no part of the array, but new."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(
        isinstance(part, list) or (hasattr(part, "dtype") and not isinstance(part, np.generic)) for part in parts
    )


def _places(xp: Namespace, key: Any, like: Array) -> Array:
    """The flat positions of the elements that a key picks, in the shape of what it picks."""
    every = xp.base.arange(math.prod(like.shape), device=xp.device_of(like))
    return xp.base.reshape(every, like.shape)[key]


def put_item(xp: Namespace, dy: Array, key: Any, like: Array) -> Array:
    """Zeros of the shape of `like`, with dy added where the key says."""
    if not has_places(key):
        return xp.put_into_zeros(dy, key, like.shape)
    places = _places(xp, key, like)
    count = math.prod(places.shape)
    flat = xp.scatter_add(xp.reshape(dy, (count, 1)), xp.base.reshape(places, (count,)), math.prod(like.shape))
    return xp.reshape(flat, like.shape)


def put_into_zeros(f: Function, xp: Namespace, dy: Array, key: Any, shape: tuple[int, ...]) -> tuple[Array, Pull]:
    """Zeros of a shape, with dy at a key without arrays."""
    return f(dy, key, shape), lambda ddy: ddy[key]


def set_item(f: Function, xp: Namespace, x: Array, value: Any, key: Any) -> Result:
    """What is overwritten has no cotangent; of several values for one element the last one stays, and has it."""
    y = f(x, value, key)

    def pull_old(dy: Array) -> Array:
        kept = xp.base.ones(tuple(y.shape), dtype=xp.bool, device=xp.device_of(y))
        kept[key] = False
        return xp.where(kept, dy, 0.0)

    def pull_value(dy: Array) -> Array:
        picked = dy[key]
        if has_arrays(key):
            places = _places(xp, key, y)
            number = xp.base.reshape(xp.base.arange(math.prod(places.shape), device=xp.device_of(y)), places.shape)
            picked = xp.where(last_of_each(xp.base, places) == number, picked, 0.0)
        return sum_to(xp, picked, value)

    return y, (pull_old, pull_value)


def last_of_each(base: Namespace, places: Array) -> Array:
    """For each of several places the number of the last one that is equal to it, in their shape."""
    flat = base.reshape(places, (math.prod(places.shape),))
    order = base.argsort(flat, stable=True)
    behind = base.searchsorted(base.take(flat, order, axis=0), flat, side="right")
    return base.reshape(base.take(order, behind - 1, axis=0), places.shape)


def last_of_each_place(base: Namespace, value: Array, key: Any, like: Array) -> Array:
    """The value to write at a key with arrays: where one place is named more than once, the last one everywhere.

    Then the outcome does not depend on which write comes last.
    """
    size = math.prod(like.shape)
    places = base.reshape(base.arange(size, device=like.device), like.shape)[key]
    value = base.broadcast_to(value, places.shape)
    flat, last = base.reshape(value, (-1,)), base.reshape(last_of_each(base, places), (-1,))
    return base.reshape(base.take(flat, last, axis=0), places.shape)


def scatter_add(f: Function, xp: Namespace, values: Array, rows: Array, count: int) -> Result:
    return f(values, rows, count), (lambda dy: xp.take(dy, rows, axis=0),)
