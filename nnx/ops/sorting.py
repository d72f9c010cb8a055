"""Sorting, and searching in what is sorted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.autodiff.array import lower
from nnx.backends import Array, backend_of, to_numpy
from nnx.ops.operation import as_array, cast_to, is_bool, namespace, operation, positive_axis, promote

__all__ = ["argpartition", "argsort", "searchsorted", "sort", "unique"]


@operation
def sort(x: Any, axis: int | None = -1) -> Array:
    """Elements in ascending order along an axis, NaN last.

    axis : None, of the flattened array.

    >>> sort([3.0, 1.0, 2.0])
    array([1., 2., 3.], dtype=float32)
    """
    x, axis = _along("sort", x, axis)
    if axis is None:
        return x
    if is_bool(x):
        return cast_to(sort(cast_to(x, "int8"), axis), "bool")
    return namespace(x).sort(x, axis=axis)


@operation
def argsort(x: Any, axis: int | None = -1) -> Array:
    """Places of the elements in ascending order along an axis, equal ones in their order, NaN last.

    axis : None, of the flattened array.

    >>> argsort([3.0, 1.0, 2.0])
    array([1, 2, 0])
    """
    x, axis = _along("argsort", x, axis)
    if axis is None:
        return namespace(x).zeros_like(x, dtype=namespace(x).int64)
    if is_bool(x):
        x = cast_to(x, "int8")
    return namespace(x).argsort(x, axis=axis)


@operation
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Array:
    """Places of the elements along an axis, so that the kth is where it is in order, smaller ones are before it.

    axis : None, of the flattened array.

    >>> int(argpartition([3.0, 1.0, 2.0], 0)[0])
    1
    """
    x, axis = _along("argpartition", x, axis)
    count = x.shape[axis] if axis is not None else 1
    if not -count <= kth < count:
        raise ValueError(f"argpartition: kth {kth} is out of range for {count} elements along axis {axis}")
    return argsort(x, -1 if axis is None else axis)


def _along(name: str, x: Any, axis: int | None) -> tuple[Array, int | None]:
    """The array and the axis; None for an array without axes."""
    x = as_array(x)
    if axis is None:
        x, axis = namespace(x).reshape(x, (math.prod(x.shape),)), 0
    return x, positive_axis(axis, len(x.shape), name) if x.shape else None


@operation
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Array:
    """Places at which values would have to be inserted to keep a sequence in order.

    sorted_sequence (n,) : ascending. values : of any shape. side : "left", before equal elements; "right", behind them.

    >>> searchsorted([1.0, 2.0, 3.0], [2.0, 9.0])
    array([1, 3])
    """
    sequence, wanted = (lower(one) for one in promote(sorted_sequence, values))
    if len(sequence.shape) != 1:
        raise ValueError(f"searchsorted: sorted_sequence has one axis, got shape {tuple(sequence.shape)}")
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be left or right, got {side!r}")
    xp = namespace(sequence)
    flat = xp.reshape(wanted, (math.prod(wanted.shape),))
    return xp.reshape(xp.searchsorted(sequence, flat, side=side), wanted.shape)


@operation
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """Different elements, or slices along an axis, in ascending order. Their number depends on the data.

    return_index : also where each is first; return_inverse : also the place among them of each element; return_counts :
    also how often each occurs. axis : by default the array is flattened. size : how many there shall be; what is more
    is left out, what is missing is fill_value, by default the smallest.

    Computed on the host, which waits for the device.

    >>> unique([3, 1, 3], return_counts=True)
    (array([1, 3]), array([1, 2]))
    """
    tracked = as_array(x)
    x = lower(tracked)
    host, missing = to_numpy(x), 0
    found, index, inverse, counts = np.unique(
        host, return_index=True, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    if size is not None:
        along = 0 if axis is None else positive_axis(axis, host.ndim, "unique")
        missing = max(0, size - len(index))
        found = np.take(found, range(min(size, len(index))), axis=along)
        if missing:
            shape = (*found.shape[:along], missing, *found.shape[along + 1 :])
            first = np.take(found, [0], axis=along) if fill_value is None else np.asarray(fill_value, found.dtype)
            found = np.concatenate([found, np.broadcast_to(first, shape)], axis=along)
        index = np.concatenate([index[:size], np.repeat(index[:1], missing)])
        counts = np.concatenate([counts[:size], np.zeros(missing, counts.dtype)])
    inverse = inverse.reshape(host.shape if axis is None else -1)
    wanted = [found, *([index] * return_index), *([inverse] * return_inverse), *([counts] * return_counts)]
    made = tuple(backend_of(x).put_beside(x, one) for one in wanted)
    if tracked is not x:  # of equal ones the first has the cotangent, and what is filled in has none
        made = (_picked(tracked, index, axis, missing if fill_value is not None else 0, made[0]), *made[1:])
    return made if len(made) > 1 else made[0]


def _picked(x: Array, index: np.ndarray, axis: int | None, filled: int, values: Array) -> Array:
    """These values from x, at the places of it along an axis, but for the last `filled`."""
    xp = namespace(x)
    if axis is None:
        x = xp.reshape(x, (-1,))
    along = positive_axis(axis or 0, len(x.shape), "unique")
    count = len(index) - filled
    picked = xp.take(x, backend_of(values).put_beside(values, index[:count]), axis=along)
    if not filled:
        return picked
    rest = values[(*[slice(None)] * along, slice(count, None), ...)]
    return xp.concat([picked, rest], axis=along)
