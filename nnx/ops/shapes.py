"""Operations that change the shape of an array, or the order of its elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, lower
from nnx.backends import Array, backend_of, is_array, to_numpy
from nnx.ops.operation import (
    as_array,
    axes_of,
    beside,
    device_of,
    dtype_name,
    is_float,
    name_of_dtype,
    namespace,
    operation,
    positive_axis,
    promote,
    read,
)

__all__ = [
    "broadcast_to",
    "expand_dims",
    "flip",
    "fliplr",
    "flipud",
    "meshgrid",
    "moveaxis",
    "ndim",
    "pad",
    "ravel",
    "repeat",
    "reshape",
    "roll",
    "rot90",
    "size",
    "squeeze",
    "swapaxes",
    "tile",
    "transpose",
    "view",
]


@operation
def reshape(x: Any, newshape: Any) -> Array:
    """The same elements in another shape.

    newshape : one size or several, one of which may be -1: what is left.

    >>> reshape([1.0, 2.0, 3.0, 4.0], (2, -1)).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    xp, x = read(x)
    return xp.reshape(x, (newshape,) if isinstance(newshape, int) else tuple(newshape))


@operation
def ravel(x: Any) -> Array:
    """All elements along one axis.

    >>> ravel([[1.0, 2.0], [3.0, 4.0]])
    array([1., 2., 3., 4.], dtype=float32)
    """
    xp, x = read(x)
    return xp.reshape(x, (math.prod(x.shape),))


@operation
def transpose(x: Any, axes: Sequence[int] | None = None) -> Array:
    """Axes in another order.

    axes : which axis comes where; by default the last comes first.

    >>> transpose([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    xp, x = read(x)
    rank = len(x.shape)
    if axes is None:
        return xp.permute_dims(x, tuple(range(rank - 1, -1, -1)))
    order = tuple(positive_axis(a, rank, "transpose") for a in axes)
    if sorted(order) != list(range(rank)):
        raise ValueError(f"transpose: axes {tuple(axes)} are no order of the {rank} axes of the array")
    return xp.permute_dims(x, order)


@operation
def swapaxes(x: Any, axis1: int, axis2: int) -> Array:
    """Two axes, each in the place of the other.

    >>> swapaxes([[1.0, 2.0]], 0, 1).shape
    (2, 1)
    """
    x = as_array(x)
    order = list(range(len(x.shape)))
    first, second = (positive_axis(a, len(order), "swapaxes") for a in (axis1, axis2))
    order[first], order[second] = second, first
    return namespace(x).permute_dims(x, tuple(order))


@operation
def moveaxis(x: Any, source: Any, destination: Any) -> Array:
    """Axes in new places; the others stay in their order.

    source, destination : an axis, or as many of the one as of the other.

    >>> moveaxis([[[1.0, 2.0]]], -1, 0).shape
    (2, 1, 1)
    """
    xp, x = read(x)
    return xp.moveaxis(x, axes_of(source), axes_of(destination))


@operation
def expand_dims(x: Any, axis: Any) -> Array:
    """New axes of size 1.

    axis : where they are in the result, one or several.

    >>> expand_dims([1.0, 2.0], -1).shape
    (2, 1)
    """
    xp, x = read(x)
    if isinstance(axis, int):
        return xp.expand_dims(x, axis=axis)
    rank = len(x.shape) + len(axis)
    places = {positive_axis(a, rank, "expand_dims") for a in axis}
    if len(places) < len(axis):
        raise ValueError(f"expand_dims: axis {tuple(axis)} names a place twice")
    sizes = iter(x.shape)
    return xp.reshape(x, tuple(1 if i in places else next(sizes) for i in range(rank)))


@operation
def squeeze(x: Any, axis: Any = None) -> Array:
    """Without axes of size 1.

    axis : which ones, one or several; by default all. ValueError for one that has another size.

    >>> squeeze([[1.0, 2.0]]).shape
    (2,)
    """
    x = as_array(x)
    rank = len(x.shape)
    if axis is None:
        axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    else:
        axes = tuple(positive_axis(a, rank, "squeeze") for a in (axis if isinstance(axis, list | tuple) else (axis,)))
    if any(x.shape[a] != 1 for a in axes):
        raise ValueError(f"squeeze: axis {axis} of shape {tuple(x.shape)} has another size than 1")
    return namespace(x).reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in axes))


@operation
def broadcast_to(x: Any, shape: Sequence[int]) -> Array:
    """An array repeated along axes of size 1, and along new ones in front.

    >>> broadcast_to([1.0, 2.0], (2, 2)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    xp, x = read(x)
    return xp.broadcast_to(x, tuple(shape))


@operation
def flip(x: Any, axis: Any = None) -> Array:
    """Elements in the opposite order along axes.

    axis : one or several, by default all.

    >>> flip([1.0, 2.0, 3.0])
    array([3., 2., 1.], dtype=float32)
    """
    xp, x = read(x)
    return xp.flip(x, axis=axes_of(axis))


@operation
def fliplr(x: Any) -> Array:
    """Elements in the opposite order along the second axis.

    >>> fliplr([[1.0, 2.0]]).tolist()
    [[2.0, 1.0]]
    """
    x = as_array(x)
    if len(x.shape) < 2:
        raise ValueError(f"fliplr: expected at least two axes, got shape {tuple(x.shape)}")
    return namespace(x).flip(x, axis=1)


@operation
def flipud(x: Any) -> Array:
    """Elements in the opposite order along the first axis.

    >>> flipud([[1.0], [2.0]]).tolist()
    [[2.0], [1.0]]
    """
    x = as_array(x)
    if not x.shape:
        raise ValueError("flipud: expected at least one axis, got shape ()")
    return namespace(x).flip(x, axis=0)


@operation
def roll(x: Any, shift: Any, axis: Any = None) -> Array:
    """Elements moved along axes; what leaves at the end comes in at the beginning.

    shift : by how many places, one for each axis. axis : one or several; by default the array is flat meanwhile.

    >>> roll([1.0, 2.0, 3.0], 1)
    array([3., 1., 2.], dtype=float32)
    """
    xp, x = read(x)
    return xp.roll(x, axes_of(shift), axis=axes_of(axis))


@operation
def rot90(array: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """Rotation by k right angles in the plane of two axes, from the first to the second one.

    >>> rot90([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    x = as_array(array)
    xp, rank = namespace(x), len(x.shape)
    if rank < 2:
        raise ValueError(f"rot90: expected at least two axes, got shape {tuple(x.shape)}")
    first, second = (positive_axis(a, rank, "rot90") for a in axes) if len(axes) == 2 else (0, 0)
    if first == second:
        raise ValueError(f"rot90: axes must be two different ones, got {tuple(axes)}")
    order = list(range(rank))
    order[first], order[second] = second, first
    turns = k % 4
    if turns == 2:
        return xp.flip(x, axis=(first, second))
    if turns == 1:
        return xp.permute_dims(xp.flip(x, axis=second), tuple(order))
    return xp.flip(xp.permute_dims(x, tuple(order)), axis=second) if turns else x


@operation
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Array:
    """Elements several times, one after the other.

    repeats : how many times, or a number for each element. axis : along which; by default the array is flattened.

    >>> repeat([1.0, 2.0], 2)
    array([1., 1., 2., 2.], dtype=float32)
    """
    xp, x = read(x)
    if not isinstance(repeats, int):
        repeats = lower(repeats) if is_array(repeats) else beside(x, repeats, "int64")
    return xp.repeat(x, repeats, axis=axis)


@operation
def tile(x: Any, repeats: Any) -> Array:
    """An array several times beside itself, along each axis.

    repeats : one number for the last axis, or several for the last ones.

    >>> tile([1.0, 2.0], 2)
    array([1., 2., 1., 2.], dtype=float32)
    """
    xp, x = read(x)
    return xp.tile(x, (repeats,) if isinstance(repeats, int) else tuple(repeats))


@operation
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Array:
    """An array with more elements before and behind, along each axis.

    pad_width : one number for all, one pair (before, behind) for all axes, or a pair for each. mode : "constant", 0 or
    `constant_values`; "reflect", the elements behind the edge; "symmetric", the same with the edge; "edge", "wrap".

    >>> pad([1.0, 2.0], (1, 2))
    array([0., 1., 2., 0., 0.], dtype=float32)
    """
    x = as_array(x)
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: constant_values goes with mode='constant', got mode={mode!r}")
    try:
        pairs = np.broadcast_to(np.asarray(pad_width, dtype=np.int64), (len(x.shape), 2)).tolist()
    except ValueError:
        raise ValueError(f"pad: pad_width {pad_width} has not a pair for each axis of shape {tuple(x.shape)}") from None
    if mode == "constant":
        return _padded(x, pairs, 0 if constant_values is None else constant_values)
    if mode not in ("reflect", "symmetric", "edge", "wrap"):
        raise ValueError(f"pad: mode must be constant, reflect, symmetric, edge or wrap, got {mode!r}")
    xp = namespace(x)
    for axis, (n, pair) in enumerate(zip(x.shape, pairs, strict=True)):
        if any(pair):
            places = np.pad(np.arange(n), pair, mode=mode)  # type: ignore[call-overload]
            x = xp.take(x, beside(x, places), axis=axis)
    return x


def _padded(x: Array, pairs: list[list[int]], value: Any) -> Array:
    xp = namespace(x)
    if not (isinstance(value, int) or is_float(x)) or (is_array(value) and isinstance(value, TrackedArray)):
        x, value = promote(x, value)
        xp = namespace(x, value)
    elif is_array(value):
        value = as_array(value, name_of_dtype(x), x)
    for axis, counts in enumerate(pairs):
        blocks = [(*x.shape[:axis], count, *x.shape[axis + 1 :]) for count in counts]
        if any(counts):
            before, after = (_filled(xp, block, value, x) for block in blocks)
            x = xp.concat([before, x, after], axis=axis)
    return x


def _filled(xp: Any, shape: tuple[int, ...], value: Any, like: Array) -> Array:
    if is_array(value):
        return xp.broadcast_to(value, shape)
    return xp.full(shape, value, dtype=like.dtype, device=device_of(like))


@operation
def meshgrid(*x: Any, indexing: str = "xy") -> list[Array]:
    """Coordinates of a grid: for each of several arrays (n,) an array with all axes.

    indexing : "xy", the first array runs along the second axis; "ij", each array along its own.

    >>> [grid.tolist() for grid in meshgrid([1.0, 2.0], [3.0])]
    [[[1.0, 2.0]], [[3.0, 3.0]]]
    """
    arrays = [as_array(one) for one in x]
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be xy or ij, got {indexing!r}")
    if not arrays:
        return []
    xp = namespace(*arrays)
    sizes = [math.prod(one.shape) for one in arrays]
    axes = list(range(len(arrays)))
    if indexing == "xy" and len(axes) > 1:
        axes[:2] = [1, 0]
    shape = tuple(sizes[axes.index(i)] for i in range(len(axes)))
    grids = []
    for one, axis in zip(arrays, axes, strict=True):
        column = xp.reshape(one, tuple(n if i == axis else 1 for i, n in enumerate(shape)))
        grids.append(xp.broadcast_to(column, shape))
    return grids


@operation
def ndim(x: Any) -> int:
    """Number of axes of an array.

    >>> ndim([[1.0, 2.0]])
    2
    """
    return len(x.shape) if is_array(x) else np.ndim(x)


@operation
def size(x: Any) -> int:
    """Number of elements of an array.

    >>> size([[1.0, 2.0]])
    2
    """
    return math.prod(x.shape) if is_array(x) else np.size(x)


@operation
def view(x: Any, dtype: Any = None) -> Array:
    """The bytes of an array read as numbers of another dtype. It has no derivative.

    dtype : by default the array's own. If it is wider or narrower, the last axis becomes shorter or longer.

    >>> view([1.0], "int32")
    array([1065353216], dtype=int32)
    """
    x = as_array(x)
    name = dtype_name(dtype) or name_of_dtype(x)
    if name == name_of_dtype(x):
        return x
    if isinstance(x, TrackedArray):
        raise NotImplementedError(f"view as {name} has no derivative: nnx.stop_gradient(x) makes a constant of x")
    if hasattr(x, "view"):
        return x.view(getattr(namespace(x), name))
    return backend_of(x).put_beside(x, to_numpy(x).view(name))
