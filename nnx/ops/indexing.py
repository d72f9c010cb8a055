"""Elements by their indices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.autodiff.array import lower
from nnx.backends import Array
from nnx.ops.operation import as_array, beside, cast_to, is_bool, is_float, namespace, operation, positive_axis

__all__ = ["get_item", "take", "take_along_axis", "unravel_index"]


@operation
def get_item(x: Any, key: Any) -> Array:
    """Elements by a key, as x[key]: integers, slices, None, ..., arrays of integers or bools.

    >>> get_item([1.0, 2.0, 3.0], slice(1, None))
    array([2., 3.], dtype=float32)
    """
    x = as_array(x)
    parts = [_part(part, x) for part in (key if isinstance(key, tuple) else (key,))]
    if len(parts) == 1 and _is_list_of_indices(parts[0]):
        return take(x, parts[0], axis=0)
    masks = any(hasattr(part, "dtype") and is_bool(part) for part in parts)
    used = sum(part is not None for part in parts)
    if not masks and used < len(x.shape) and not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)  # the standard wants an index for every axis
    return x[tuple(parts) if len(parts) > 1 else parts[0]]


def _is_list_of_indices(part: Any) -> bool:
    return hasattr(part, "dtype") and len(part.shape) > 0 and not is_bool(part)


def _part(part: Any, x: Array) -> Any:
    return beside(x, part) if isinstance(part, list) else lower(part)


@operation
def take(x: Any, indices: Any, axis: int | None = None) -> Array:
    """Elements, or slices along an axis, by their indices; negative ones count from the end.

    indices : integers of any shape, which stands in the result in place of the axis. axis : by default the array is
    flattened. An index outside is an IndexError where the library tells without a wait for the device.

    >>> take([1.0, 2.0, 3.0], [2, 0])
    array([3., 1.], dtype=float32)
    """
    x = as_array(x)
    xp = namespace(x)
    if axis is None:
        x, axis = xp.reshape(x, (math.prod(x.shape),)), 0
    axis = positive_axis(axis, len(x.shape), "take")
    places = _places("take", indices, x, x.shape[axis])
    taken = xp.take(x, namespace(places).reshape(places, (math.prod(places.shape),)), axis=axis)
    if len(places.shape) == 1:
        return taken
    return xp.reshape(taken, (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


@operation
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Array:
    """Elements along an axis by indices, which have as many axes as the array, as `argsort` returns them.

    axis : by default both are flattened. An index outside is an IndexError where the library tells without a wait.

    >>> take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1).tolist()
    [[2.0], [3.0]]
    """
    x = as_array(x)
    xp = namespace(x)
    if axis is None:
        x, axis = xp.reshape(x, (math.prod(x.shape),)), 0
        indices = lower(as_array(indices, like=x))
        indices = namespace(indices).reshape(indices, (math.prod(indices.shape),))
    axis = positive_axis(axis, len(x.shape), "take_along_axis")
    places = _places("take_along_axis", indices, x, x.shape[axis])
    if len(places.shape) != len(x.shape):
        raise ValueError(
            f"take_along_axis: indices of shape {tuple(places.shape)} have not as many axes as the array, whose shape "
            f"is {tuple(x.shape)}"
        )
    shape, wanted = list(x.shape), list(places.shape)
    for i, (n, m) in enumerate(zip(x.shape, places.shape, strict=True)):
        if i != axis:
            shape[i] = wanted[i] = n if m == 1 else m
    return xp.take_along_axis(_widened(x, shape), _widened(places, wanted), axis=axis)


def _widened(x: Array, shape: list[int]) -> Array:
    return x if list(x.shape) == shape else namespace(x).broadcast_to(x, tuple(shape))


def _places(name: str, indices: Any, x: Array, size: int) -> Array:
    """Indices beside an array, counted from the front."""
    places = lower(as_array(indices, like=x))
    if is_float(places):
        raise TypeError(f'{name}: indices are integers, got {places.dtype}; write nnx.ops.cast(indices, "int32")')
    places = cast_to(places, "int64")  # which every library takes
    return namespace(places).where(places < 0, places + size, places)


@operation
def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[Array, ...]:
    """Places in an array of a shape, from places in the flattened array: a tuple with an index for each axis.

    What lies outside is the nearest place inside; negative indices count from the end.

    >>> unravel_index([4, 1], (2, 3))
    (array([1, 0]), array([1, 1]))
    """
    places = lower(as_array(indices))
    xp = namespace(places)
    count = math.prod(shape)
    places = xp.where(places < 0, places + count, places)
    places = xp.minimum(xp.maximum(places, 0), count - 1)
    found = []
    for n in reversed(shape):
        found.append(places % n)
        places = places // n
    return tuple(reversed(found))
