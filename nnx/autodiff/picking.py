"""Derivatives of what picks elements: indices, choices, orders; and of writing into a part of an array."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.array import lower
from nnx.autodiff.broadcasting import sum_to
from nnx.autodiff.shapes import scatter_along


def where(f, xp, condition, a, b):
    y = f(condition, a, b)

    def pull_first(dy):
        return sum_to(xp, xp.where(condition, dy, 0.0), a)

    def pull_second(dy):
        return sum_to(xp, xp.where(condition, 0.0, dy), b)

    return y, (None, pull_first, pull_second)


def clip(f, xp, x, min=None, max=None):
    y = f(x, min, max)
    low, high = lower(min), lower(max)

    def pull(dy):
        inside = None
        if low is not None:
            inside = x >= low
        if high is not None:
            inside = (x <= high) if inside is None else xp.logical_and(inside, x <= high)
        return dy if inside is None else sum_to(xp, xp.where(inside, dy, 0.0), x)

    return y, (pull,)


def take(f, xp, x, indices, *, axis=None):
    indices = lower(indices)
    y = f(x, indices) if axis is None else f(x, indices, axis=axis)
    along = 0 if axis is None else axis % len(x.shape)
    return y, (lambda dy: scatter_along(xp, dy, indices, x.shape[along], along),)


def take_along_axis(f, xp, x, indices, *, axis=-1):
    indices = lower(indices)
    return f(x, indices, axis=axis), (lambda dy: _scatter_along_axis(xp, dy, indices, x, axis % len(x.shape)),)


def _scatter_along_axis(xp: Any, dy: Any, indices: Any, x: Any, axis: int) -> Any:
    """The elements of dy added up where `indices`, of its shape, say along the axis."""
    size = x.shape[axis]
    other = [n for i, n in enumerate(x.shape) if i != axis]
    moved, keys = xp.moveaxis(dy, axis, -1), xp.moveaxis(indices, axis, -1)
    keys = xp.where(keys < 0, keys + size, keys)
    rows = math.prod(other)
    keys = xp.reshape(keys, (rows, keys.shape[-1])) + size * xp.arange(rows, device=xp.device_of(x))[:, None]
    flat = xp.scatter_add(xp.reshape(moved, (-1, 1)), xp.reshape(keys, (-1,)), rows * size)
    return xp.moveaxis(xp.reshape(flat, (*other, size)), -1, axis)


def sort(f, xp, x, *, axis=-1, descending=False, stable=True):
    order = xp.argsort(x, axis=axis, descending=descending, stable=stable)
    y = xp.take_along_axis(x, order, axis=axis)
    return y, lambda dy: xp.take_along_axis(dy, xp.argsort(order, axis=axis), axis=axis)


def get_item(f, xp, x, key):
    key = tuple(map(lower, key)) if isinstance(key, tuple) else lower(key)
    if not is_fancy(key):
        key = key if isinstance(key, tuple) else (key,)
        if Ellipsis not in key:
            key = (*key, ...)  # the standard wants an index for every axis
    return x[key], lambda dy: put_item(xp, dy, key, x)


def is_fancy(key: Any) -> bool:
    """Whether a key has arrays or lists in it, so that an element may be picked more than once."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(part, list) or (hasattr(part, "dtype") and part.shape) for part in parts)


def put_item(xp: Any, dy: Any, key: Any, like: Any) -> Any:
    """Zeros of the shape of `like`, with dy added where the key says."""
    if is_fancy(key):
        size = math.prod(like.shape)
        places = xp.reshape(xp.arange(size, device=xp.device_of(like)), like.shape)[key]
        flat = xp.scatter_add(xp.reshape(dy, (-1, 1)), xp.reshape(places, (-1,)), size)
        return xp.reshape(flat, like.shape)
    return xp.put(dy, key, like.shape)


def put(f, xp, dy, key, shape):
    """Zeros of a shape, with dy at a key without arrays."""
    return f(dy, key, shape), lambda ddy: ddy[key]


def set_item(f, xp, x, value, key):
    y = f(x, value, key)

    def pull_old(dy):
        kept = lower(xp.ones(tuple(y.shape), dtype=xp.bool, device=xp.device_of(y)))
        kept[key] = False
        return xp.where(kept, dy, 0.0)

    return y, (pull_old, lambda dy: sum_to(xp, dy[key], value))


def scatter_add(f, xp, values, rows, count):
    return f(values, rows, count), (lambda dy: xp.take(dy, rows, axis=0),)
