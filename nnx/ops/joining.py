"""Joining of arrays to one, and its splitting."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends import Array, is_array, to_numpy
from nnx.ops.operation import as_array, namespace, operation, positive_axis, promote

__all__ = [
    "append",
    "array_split",
    "concatenate",
    "dsplit",
    "dstack",
    "hsplit",
    "hstack",
    "split",
    "stack",
    "vsplit",
    "vstack",
]


@operation
def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Array:
    """Arrays one after the other, along an axis that they have.

    axis : None, of the flattened arrays.

    >>> concatenate([[1.0, 2.0], [3.0]])
    array([1., 2., 3.], dtype=float32)
    """
    arrays = _promoted("concatenate", xs)
    return namespace(*arrays).concat(arrays, axis=axis)


@operation
def append(x1: Any, x2: Any, axis: int | None = None) -> Array:
    """Two arrays one after the other.

    axis : along which; by default they are flattened.

    >>> append([1.0, 2.0], [[3.0]])
    array([1., 2., 3.], dtype=float32)
    """
    arrays = list(promote(x1, x2))
    return namespace(*arrays).concat(arrays, axis=axis)


@operation
def stack(x: Sequence[Any], axis: int = 0) -> Array:
    """Arrays of one shape, one after the other along a new axis.

    >>> stack([[1.0, 2.0], [3.0, 4.0]], axis=1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    arrays = _promoted("stack", x)
    return namespace(*arrays).stack(arrays, axis=axis)


def _promoted(name: str, xs: Any) -> list[Array]:
    values = list(xs)
    if not values:
        raise ValueError(f"{name} of no arrays: give at least one")
    if is_array(xs):
        return values
    return list(promote(*values))


@operation
def hstack(xs: Sequence[Any]) -> Array:
    """Arrays side by side: along the second axis, of arrays with one axis along it.

    >>> hstack([[1.0, 2.0], [3.0]])
    array([1., 2., 3.], dtype=float32)
    """
    arrays = [_at_least(one, 1) for one in _promoted("hstack", xs)]
    return namespace(*arrays).concat(arrays, axis=0 if len(arrays[0].shape) == 1 else 1)


@operation
def vstack(xs: Sequence[Any]) -> Array:
    """Arrays below each other, along the first axis; one with one axis is a row.

    >>> vstack([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    arrays = [_at_least(one, 2) for one in _promoted("vstack", xs)]
    return namespace(*arrays).concat(arrays, axis=0)


@operation
def dstack(xs: Sequence[Any]) -> Array:
    """Arrays behind each other, along the third axis, which is a new one for fewer axes.

    >>> dstack([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[[1.0, 3.0], [2.0, 4.0]]]
    """
    arrays = [_at_least(one, 3) for one in _promoted("dstack", xs)]
    return namespace(*arrays).concat(arrays, axis=2)


def _at_least(x: Array, rank: int) -> Array:
    """An array with so many axes: new ones stand in front, and a third one behind."""
    shape = tuple(x.shape)
    if len(shape) >= rank:
        return x
    if rank == 3:
        shape = (*(shape if len(shape) == 2 else (1, *(shape or (1,)))), 1)
    else:
        shape = (*[1] * (rank - len(shape)), *shape)
    return namespace(x).reshape(x, shape)


@operation
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts of an array along an axis.

    indices_or_sections : how many equal parts, or where each one after the first begins. ValueError where the number
        does not divide the size; see `array_split`.

    >>> split([1.0, 2.0, 3.0, 4.0], 2)
    [array([1., 2.], dtype=float32), array([3., 4.], dtype=float32)]
    """
    return _split("split", x, indices_or_sections, axis)


@operation
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts of an array along an axis, as even as can be: the first ones may have one element more.

    >>> [part.tolist() for part in array_split([1.0, 2.0, 3.0], 2)]
    [[1.0, 2.0], [3.0]]
    """
    return _split("array_split", x, indices_or_sections, axis, even=False)


@operation
def hsplit(x: Any, indices_or_sections: Any) -> list[Array]:
    """Parts of an array along its second axis, or its only one; see `split`.

    >>> [part.tolist() for part in hsplit([[1.0, 2.0]], 2)]
    [[[1.0]], [[2.0]]]
    """
    x = as_array(x)
    return _split("hsplit", x, indices_or_sections, 0 if len(x.shape) == 1 else 1)


@operation
def vsplit(x: Any, indices_or_sections: Any) -> list[Array]:
    """Parts of an array along its first axis; it has two or more. See `split`.

    >>> [part.tolist() for part in vsplit([[1.0], [2.0]], 2)]
    [[[1.0]], [[2.0]]]
    """
    return _split("vsplit", x, indices_or_sections, 0, least=2)


@operation
def dsplit(x: Any, indices_or_sections: Any) -> list[Array]:
    """Parts of an array along its third axis; it has three or more. See `split`.

    >>> [part.tolist() for part in dsplit([[[1.0, 2.0]]], 2)]
    [[[[1.0]]], [[[2.0]]]]
    """
    return _split("dsplit", x, indices_or_sections, 2, least=3)


def _split(name: str, x: Any, parts: Any, axis: int, even: bool = True, least: int = 1) -> list[Array]:
    x = as_array(x)
    if len(x.shape) < least:
        raise ValueError(f"{name}: expected at least {least} axes, got shape {tuple(x.shape)}")
    axis = positive_axis(axis, len(x.shape), name)
    count = x.shape[axis]
    host = to_numpy(parts) if is_array(parts) else np.asarray(parts)
    if host.ndim == 0:
        sections = int(host)
        if sections < 1 or (even and count % sections):
            raise ValueError(f"{name}: {count} elements along axis {axis} cannot be split into {sections} equal parts")
        ends = np.cumsum([count // sections + (i < count % sections) for i in range(sections)])[:-1]
    else:
        ends = host
    bounds = [0, *[int(end) for end in ends], count]
    before = (slice(None),) * axis
    return [_part(x, before, start, stop) for start, stop in itertools.pairwise(bounds)]


def _part(x: Array, before: tuple[slice, ...], start: int, stop: int) -> Array:
    count = x.shape[len(before)]
    start, stop, _ = slice(start, stop).indices(count)
    return x[(*before, slice(start, max(start, stop)), ...)]
