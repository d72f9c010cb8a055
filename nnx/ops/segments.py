"""Reductions of rows that belong together, and scattering: rows brought to places by their indices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nnx.autodiff.array import TrackedArray, lower
from nnx.autodiff.primitive import primitive
from nnx.backends import Array, backend_of
from nnx.functional.scatter import scatter_add
from nnx.ops.operation import as_array, is_float, name_of_dtype, namespace, operation

__all__ = ["scatter", "scatter_update", "segment_max", "segment_min", "segment_prod", "segment_sum"]


@operation
def segment_sum(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Array:
    """Sums of the rows of each segment; 0 for a segment without rows.

    data : (n, ...). segment_ids : integers (n,); rows whose id is no segment are dropped.
    num_segments : by default the largest id and one, which waits for the device.
    sorted : whether the ids ascend, which makes no difference here.

    >>> segment_sum([1.0, 2.0, 4.0], [0, 2, 0], 3)
    array([5., 0., 2.], dtype=float32)
    """
    values, ids, count = _segments(data, segment_ids, num_segments)
    return _added(values, ids, count)


@operation
def segment_max(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Array:
    """Largest elements of the rows of each segment; -inf, or the smallest integer, for a segment without rows.

    data, segment_ids, num_segments, sorted : as of `segment_sum`. Equal elements share the derivative.

    >>> segment_max([1.0, 2.0, 4.0], [0, 1, 0], 2)
    array([4., 2.], dtype=float32)
    """
    return _extreme(*_segments(data, segment_ids, num_segments), last=True)


@operation
def segment_min(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Array:
    """Smallest elements of the rows of each segment; inf, or the largest integer, for a segment without rows.

    data, segment_ids, num_segments, sorted : as of `segment_sum`. Equal elements share the derivative.

    >>> segment_min([1.0, 2.0, 4.0], [0, 1, 0], 2)
    array([1., 2.], dtype=float32)
    """
    return _extreme(*_segments(data, segment_ids, num_segments), last=False)


@operation
def segment_prod(data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False) -> Array:
    """Products of the rows of each segment; 1 for a segment without rows.

    data, segment_ids, num_segments, sorted : as of `segment_sum`. Takes the memory of one copy of the data a segment.

    >>> segment_prod([1.0, 2.0, 4.0], [0, 1, 0], 3)
    array([4., 2., 1.], dtype=float32)
    """
    values, ids, count = _segments(data, segment_ids, num_segments)
    xp = namespace(values)
    belongs = ids == xp.arange(count, dtype=ids.dtype, device=_device(ids))[:, None]
    belongs = xp.reshape(belongs, (*belongs.shape, *[1] * (len(values.shape) - 1)))
    return xp.prod(xp.where(belongs, values, xp.ones_like(values)), axis=1)


def _segments(data: Any, segment_ids: Any, num_segments: int | None) -> tuple[Array, Array, int]:
    values, ids = as_array(data), lower(as_array(segment_ids))
    if len(ids.shape) != 1 or values.shape[:1] != ids.shape:
        raise ValueError(
            f"segment_ids is one integer for each row of data, got shapes {tuple(ids.shape)} and {tuple(values.shape)}"
        )
    if num_segments is None:
        num_segments = int(namespace(ids).max(ids)) + 1 if ids.shape[0] else 0
    return values, as_array(ids, "int64"), num_segments


def _device(array: Array) -> Any:
    return backend_of(lower(array)).device_of(lower(array))


def _added(values: Array, ids: Array, count: int) -> Array:
    """Rows of values (n, ...) added up by ids (n,); those outside of 0 to count - 1 go into a row that is cut off."""
    xp = namespace(values)
    inside = xp.logical_and(ids >= 0, ids < count)
    flat = xp.reshape(values, (ids.shape[0], math.prod(values.shape[1:])))
    add = xp.scatter_add if isinstance(values, TrackedArray) else scatter_add if is_float(values) else _added_integers
    sums = add(flat, xp.where(inside, ids, count), count + 1)
    return xp.reshape(sums[:count, ...], (count, *values.shape[1:]))


def _added_integers(values: Array, ids: Array, count: int) -> Array:
    """As `scatter_add`, of integers, which no sum of floats holds: differences of their running sum by id."""
    xp = namespace(values)
    values = values if name_of_dtype(values) != "bool" else as_array(values, "int32")
    order = xp.argsort(ids, stable=True)
    sums = xp.cumulative_sum(xp.take(values, order, axis=0), axis=0, dtype=values.dtype, include_initial=True)
    bounds = xp.searchsorted(xp.take(ids, order), xp.arange(count + 1, dtype=ids.dtype, device=_device(ids)))
    at_bounds = xp.take(sums, bounds, axis=0)
    return at_bounds[1:, ...] - at_bounds[:-1, ...]


def _extreme(values: Array, ids: Array, count: int, last: bool) -> Array:
    return primitive(lambda values: _extreme_and_pullback(values, ids, count, last))(values)


def _extreme_and_pullback(values: Array, ids: Array, count: int, last: bool) -> tuple[Array, Callable[[Array], Array]]:
    """The last or first row of each segment once rows are sorted by value, then by segment."""
    plain = lower(values)
    xp, rows = namespace(plain), ids.shape[0]
    inside = xp.logical_and(ids >= 0, ids < count)
    keys = xp.where(inside, ids, count)
    flat = xp.reshape(plain, (rows, math.prod(plain.shape[1:])))
    by_value = xp.argsort(flat, axis=0, stable=True)
    by_segment = xp.argsort(xp.reshape(xp.take(keys, xp.reshape(by_value, (-1,))), by_value.shape), axis=0, stable=True)
    ordered = xp.take_along_axis(flat, xp.take_along_axis(by_value, by_segment, axis=0), axis=0)
    every = xp.arange(count, dtype=keys.dtype, device=_device(keys))
    numbers = xp.sum(xp.astype(keys == every[:, None], xp.int64), axis=1)
    stops = xp.cumulative_sum(numbers)
    place = xp.clip(stops - 1 if last else stops - numbers, 0, max(rows - 1, 0))
    limits = xp.finfo(plain.dtype) if is_float(plain) else xp.iinfo(plain.dtype)
    empty = (-math.inf if last else math.inf) if is_float(plain) else int(limits.min if last else limits.max)
    if rows:
        y = xp.where((numbers > 0)[:, None], xp.take(ordered, place, axis=0), empty)
    else:
        y = xp.full((count, flat.shape[1]), empty, dtype=flat.dtype, device=_device(flat))
    y = xp.reshape(y, (count, *plain.shape[1:]))

    def pullback(dy: Array) -> Array:
        safe = xp.where(inside, ids, 0)
        chosen = xp.logical_and(
            plain == xp.take(y, safe, axis=0), xp.reshape(inside, (rows, *[1] * (len(plain.shape) - 1)))
        )
        hits = xp.astype(chosen, plain.dtype)
        share = hits / xp.maximum(xp.take(_added(hits, ids, count), safe, axis=0), 1.0)
        return share * namespace(dy).take(dy, safe, axis=0)

    return y, pullback


@operation
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> Array:
    """Zeros of a shape with values added where indices say; what lies outside is dropped.

    indices : integers (..., k), places along the first k axes. values : (..., *shape[k:]). Equal places add up.

    >>> scatter([[0], [2], [0]], [1.0, 2.0, 4.0], (3,))
    array([5., 0., 2.], dtype=float32)
    """
    array, places = as_array(values), lower(as_array(indices))
    rows, flat, outer = _places(places, shape)
    inner = tuple(shape[outer:])
    sums = _added(namespace(array).reshape(array, (rows.shape[0], *inner)), rows, flat)
    return namespace(sums).reshape(sums, tuple(shape))


def _places(places: Array, shape: Sequence[int]) -> tuple[Array, int, int]:
    """Places (n,) in the flattened first axes, how many there are, and of how many axes; -1 where one is outside."""
    xp, outer = namespace(places), places.shape[-1]
    places = as_array(xp.reshape(places, (-1, outer)), "int64")
    rows = xp.zeros_like(places[:, 0])
    inside = xp.ones_like(rows) > 0
    for axis in range(outer):
        along, size = places[:, axis], shape[axis]
        along = xp.where(along < 0, along + size, along)
        inside = xp.logical_and(inside, xp.logical_and(along >= 0, along < size))
        rows = rows * size + along
    return xp.where(inside, rows, -1), math.prod(shape[:outer]), outer


@operation
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Array:
    """Copy of an array with updates written where indices say; what lies outside is dropped.

    indices : integers (..., k), places along the first k axes. updates : (..., *inputs.shape[k:]).
    reduction : None, the last update of a place wins; "add", "max", "min" or "mul" of the updates and what was there.

    >>> scatter_update([1.0, 2.0, 3.0], [[0], [2], [0]], [10.0, 20.0, 30.0])
    array([30.,  2., 20.], dtype=float32)
    """
    array, places = as_array(inputs), lower(as_array(indices))
    new = as_array(updates, name_of_dtype(array))
    shape = tuple(array.shape)
    rows, flat, outer = _places(places, shape)
    xp, inner = namespace(array, new), math.prod(shape[outer:])
    old, new = xp.reshape(array, (flat, inner)), xp.reshape(new, (rows.shape[0], inner))
    if reduction == "add":
        y = old + _added(new, rows, flat)
    elif reduction == "mul":
        y = old * segment_prod(new, rows, flat)
    elif reduction == "max":
        y = xp.maximum(old, segment_max(new, rows, flat))
    elif reduction == "min":
        y = xp.minimum(old, segment_min(new, rows, flat))
    elif reduction is None:
        plain = namespace(rows)
        count = plain.arange(rows.shape[0], dtype=rows.dtype, device=_device(rows))
        winner = segment_max(count, rows, flat)  # below 0 where nothing is written
        written = (winner >= 0)[:, None]
        y = xp.where(written, xp.take(new, plain.where(winner >= 0, winner, 0), axis=0), old) if rows.shape[0] else old
    else:
        raise ValueError(f"scatter_update: reduction must be None, 'add', 'max', 'min' or 'mul', got {reduction!r}")
    return xp.reshape(y, shape)
