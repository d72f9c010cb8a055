"""Functions that change the order, the shape or the number of elements, and no element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.onnx.array import RecordedArray, constant, integers, made_by, node
from nnx.onnx.size import Size, has_open, shape_vector
from nnx.onnx.standard import as_recorded, broadcast, is_known, plain, positive_axes, standard, xp

_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@standard
def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Any:
    shape = (shape,) if isinstance(shape, int | Size) else tuple(shape)
    follows = [isinstance(size, int) and size == -1 for size in shape]
    if any(follows):
        rest = math.prod(size for size, left_open in zip(shape, follows, strict=True) if not left_open)
        shape = tuple(x.size // rest if left_open else size for size, left_open in zip(shape, follows, strict=True))
    if shape == x.shape:
        return x
    if math.prod(shape) != x.size and not (any(follows) and has_open(shape)):  # that is seen when the graph runs
        raise ValueError(f"an array of shape {x.shape} cannot be reshaped to {shape}")
    inner = made_by(x, "Reshape")
    if inner is not None:
        return xp.reshape(inner.inputs[0], shape)
    if 0 in shape:  # which for the node is a size that stays
        return node("Reshape", [x, shape_vector(shape)], shape, x.dtype, allowzero=1)
    return node("Reshape", [x, _target_of(x.shape, shape)], shape, x.dtype)


def _target_of(before: tuple[Any, ...], shape: tuple[Any, ...]) -> RecordedArray:
    """The shape as the node takes it: 0 for an open size that stays where it is, -1 for one that follows."""
    sizes: list[Any] = [
        size if not isinstance(size, Size) else 0 if i < len(before) and before[i] == size else None
        for i, size in enumerate(shape)
    ]
    if None not in sizes and sizes.count(0) == 1:
        sizes[sizes.index(0)] = -1
    elif sizes.count(None) == 1:
        sizes[sizes.index(None)] = -1
    return shape_vector(shape) if None in sizes else integers(*sizes)


@standard
def permute_dims(x: Any, /, axes: Any) -> Any:
    order = tuple(int(axis) % x.ndim for axis in axes)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"axes {tuple(axes)} are not those of an array of shape {x.shape}")
    if order == tuple(range(x.ndim)):
        return x
    inner = made_by(x, "Transpose")
    if inner is not None:
        return xp.permute_dims(inner.inputs[0], [inner.attributes["perm"][axis] for axis in order])
    return node("Transpose", [x], [x.shape[axis] for axis in order], x.dtype, perm=order)


@standard
def matrix_transpose(x: Any, /) -> Any:
    return xp.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


@standard
def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    sources = [axis % x.ndim for axis in ((source,) if isinstance(source, int) else source)]
    places = [axis % x.ndim for axis in ((destination,) if isinstance(destination, int) else destination)]
    order = [axis for axis in range(x.ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return xp.permute_dims(x, order)


@standard
def expand_dims(x: Any, /, *, axis: int = 0) -> Any:
    axis %= x.ndim + 1
    inner = made_by(x, "Squeeze")
    if inner is not None and inner.inputs[1].value.tolist() == [axis]:
        return inner.inputs[0]
    return node("Unsqueeze", [x, integers(axis)], (*x.shape[:axis], 1, *x.shape[axis:]), x.dtype)


@standard
def squeeze(x: Any, /, axis: Any) -> Any:
    axes = positive_axes(x, axis)
    if any(isinstance(x.shape[one], Size) or x.shape[one] != 1 for one in axes):
        raise ValueError(f"axes {axes} of an array of shape {x.shape} cannot be left out: they are not of size 1")
    inner = made_by(x, "Unsqueeze")
    if inner is not None and inner.inputs[1].value.tolist() == list(axes):
        return inner.inputs[0]
    return node("Squeeze", [x, integers(*axes)], [s for i, s in enumerate(x.shape) if i not in axes], x.dtype)


@standard
def flip(x: Any, /, *, axis: Any = None) -> Any:
    for one in positive_axes(x, axis):
        x = _flipped(x, one)
    return x


def _flipped(x: Any, axis: int) -> Any:
    turned = made_by(x, "Transpose")
    if turned is not None:  # so that a flip meets one that undoes it
        order = turned.attributes["perm"]
        return xp.permute_dims(_flipped(turned.inputs[0], order[axis]), order)
    if flipped_axis(x) == axis:
        return x.node.inputs[0]
    return node("Slice", [x, integers(-1), integers(_FIRST), integers(axis), integers(-1)], x.shape, x.dtype)


def flipped_axis(x: RecordedArray) -> int | None:
    """The axis along which an array is another one from its end to its beginning; None if it is not."""
    turned = made_by(x, "Transpose")
    if turned is not None:
        inner = flipped_axis(turned.inputs[0])
        return None if inner is None else turned.attributes["perm"].index(inner)
    made = made_by(x, "Slice")
    if made is None:
        return None
    values: list[Any] = [None if one is None or one.value is None else one.value.tolist() for one in made.inputs[1:]]
    return values[2][0] if [values[0], values[1], values[3]] == [[-1], [_FIRST], [-1]] else None


@standard
def broadcast_to(x: Any, /, shape: Any) -> Any:
    x, shape = as_recorded(x), tuple(shape)
    if broadcast(x.shape, shape) != shape:
        raise ValueError(f"an array of shape {x.shape} cannot be broadcast to {shape}")
    if shape == x.shape:
        return x
    before = (*(1,) * (len(shape) - x.ndim), *x.shape)
    sizes = [1 if have == want else want for have, want in zip(before, shape, strict=True)]  # 1 keeps what is there
    return node("Expand", [x, shape_vector(sizes)], shape, x.dtype)


@standard
def broadcast_arrays(*arrays: Any) -> Any:
    shape = broadcast(*[x.shape for x in arrays])
    return tuple(xp.broadcast_to(x, shape) for x in arrays)


@standard
def meshgrid(*arrays: Any, indexing: str = "xy") -> Any:
    places = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        places[:2] = 1, 0
    shape = tuple(arrays[places.index(axis)].shape[0] for axis in range(len(arrays)))
    made = []
    for x, at in zip(arrays, places, strict=True):
        column = xp.reshape(x, tuple(-1 if axis == at else 1 for axis in range(len(arrays))))
        made.append(xp.broadcast_to(column, shape))
    return tuple(made)


@standard
def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    if not isinstance(repeats, int):
        raise TypeError("repeat by an array of numbers is not exported to ONNX, since the shape depends on its values")
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    axis %= x.ndim
    shape = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
    several = xp.broadcast_to(xp.expand_dims(x, axis=axis + 1), shape)
    return xp.reshape(several, (*x.shape[:axis], x.shape[axis] * repeats, *x.shape[axis + 1 :]))


@standard
def tile(x: Any, repetitions: Any, /) -> Any:
    rank = max(x.ndim, len(repetitions))
    times = (*(1,) * (rank - len(repetitions)), *repetitions)
    x = xp.reshape(x, (*(1,) * (rank - x.ndim), *x.shape))
    shape = [size * count for size, count in zip(x.shape, times, strict=True)]
    return node("Tile", [x, shape_vector(times)], shape, x.dtype)


@standard
def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Any:
    if axis is None:
        return xp.reshape(xp.roll(xp.reshape(x, (-1,)), shift, axis=0), x.shape)
    shifts, axes = ([shift], [axis]) if isinstance(shift, int) else (shift, axis)
    for by, one in zip(shifts, axes, strict=True):
        one %= x.ndim
        by = by if isinstance(x.shape[one], Size) else by % max(x.shape[one], 1)
        if by:
            before = (slice(None),) * one
            x = xp.concat([x[(*before, slice(-by, None), ...)], x[(*before, slice(None, -by), ...)]], axis=one)
    return x


@standard
def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    arrays = [as_recorded(x) for x in arrays]
    if axis is None:
        arrays, axis = [xp.reshape(x, (-1,)) for x in arrays], 0
    (axis,) = positive_axes(arrays[0], axis)
    if len(arrays) == 1:
        return arrays[0]
    turned = [made for x in arrays if (made := made_by(x, "Transpose"))]
    if len(turned) == len(arrays) and len({made.attributes["perm"] for made in turned}) == 1:
        order = turned[0].attributes["perm"]
        return xp.permute_dims(xp.concat([made.inputs[0] for made in turned], axis=order[axis]), order)
    dtype = xp.result_type(*arrays)
    others = broadcast(*[(*x.shape[:axis], 1, *x.shape[axis + 1 :]) for x in arrays])
    total = sum(x.shape[axis] for x in arrays)
    parts = [xp.astype(x, dtype) for x in arrays]
    return node("Concat", parts, (*others[:axis], total, *others[axis + 1 :]), dtype, axis=axis)


@standard
def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    arrays = [as_recorded(x) for x in arrays]
    axis %= arrays[0].ndim + 1
    return xp.concat([xp.expand_dims(x, axis=axis) for x in arrays], axis=axis)


@standard
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    before = (slice(None),) * (axis % x.ndim)
    return tuple(x[(*before, position, ...)] for position in range(x.shape[axis]))


@standard
def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    x = xp.concat([part for part in (prepend, x, append) if part is not None], axis=axis)
    before = (slice(None),) * (axis % x.ndim)
    for _ in range(n):
        x = x[(*before, slice(1, None), ...)] - x[(*before, slice(None, -1), ...)]
    return x


def _triangle(name: str, upper: bool) -> None:
    def function(x: Any, /, *, k: int = 0) -> Any:
        return node("Trilu", [x, constant(k, dtype=np.int64)], x.shape, x.dtype, upper=int(upper))

    function.__name__ = name
    standard(function)


_triangle("tril", False)
_triangle("triu", True)


# Picking and writing


@standard
def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Any:
    x, indices = as_recorded(x), as_recorded(indices)
    if axis is None:
        x, axis = xp.reshape(x, (-1,)), 0
    (axis,) = positive_axes(x, axis)
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return node("Gather", [x, _as_indices(indices)], shape, x.dtype, axis=axis)


def _as_indices(indices: RecordedArray) -> Any:
    return indices if indices.dtype in (np.int32, np.int64) else xp.astype(indices, np.int64)


@standard
def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Any:
    x, indices = as_recorded(x), as_recorded(indices)
    (axis,) = positive_axes(x, axis)
    others = broadcast(*[(*y.shape[:axis], 1, *y.shape[axis + 1 :]) for y in (x, indices)])
    x = xp.broadcast_to(x, (*others[:axis], x.shape[axis], *others[axis + 1 :]))
    indices = xp.broadcast_to(indices, (*others[:axis], indices.shape[axis], *others[axis + 1 :]))
    return node("GatherElements", [x, _as_indices(indices)], indices.shape, x.dtype, axis=axis)


def _parts_of(x: RecordedArray, key: Any) -> list[Any]:
    """A key as a list with a part for every axis, and None for every new one."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(part, list | np.ndarray) or (isinstance(part, RecordedArray) and part.ndim) for part in parts):
        raise TypeError(
            "x[key] with arrays in the key is not exported to ONNX, but for x[indices] alone: write take(x, indices, "
            "axis) or take_along_axis, and where(mask, x, 0) in place of x[mask], whose shape depends on values"
        )
    used = sum(part is not None and part is not Ellipsis for part in parts)
    if used > x.ndim:
        raise IndexError(f"{used} indices for an array of shape {x.shape}")
    place = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    return [*parts[:place], *[slice(None)] * (x.ndim - used), *parts[place + 1 :]]


def _bounds(part: slice, size: Any) -> tuple[Any, Any, int, Any]:
    """(start, stop, step, count) of a slice; start and stop as the node takes them."""
    step = 1 if part.step is None else part.step
    if not isinstance(size, Size) and not has_open([part.start, part.stop]):
        start, stop, step = part.indices(size)
        return start, stop if stop >= 0 else _FIRST, step, len(range(start, stop, step))
    if step < 0:
        if (part.start, part.stop, step) != (None, None, -1):
            raise TypeError(f"x[{part.start}:{part.stop}:{step}] along the open size {size} is not exported to ONNX")
        return -1, _FIRST, -1, size
    start = 0 if part.start is None else part.start
    stop = _LAST if part.stop is None else part.stop
    first = start if isinstance(start, Size) or start >= 0 else size + start
    end = size if part.stop is None else stop if isinstance(stop, Size) or stop >= 0 else size + stop
    return start, stop, step, (end - first + (step - 1)) // step


def get_item(x: Any, key: Any) -> Any:
    """x[key] for integers, slices, None and ...; or for an array of integers alone, along the first axis."""
    if is_known([x, *(key if isinstance(key, tuple) else [key])]):
        return constant(x.value[plain(key)])
    if isinstance(key, np.ndarray) or (isinstance(key, RecordedArray) and key.ndim):
        key = as_recorded(key)
        if key.dtype.kind in "iu":
            return xp.take(x, key, axis=0)
    sliced, picked, new, axis, place = [], [], [], 0, 0
    shape = list(x.shape)
    for part in _parts_of(x, key):
        if part is None:
            new.append(place)
            place += 1
            continue
        if isinstance(part, slice):
            start, stop, step, count = _bounds(part, x.shape[axis])
            if count != x.shape[axis] or step != 1:
                sliced.append((axis, start, stop, step))
                shape[axis] = count
            place += 1
        else:
            picked.append((axis, _checked_index(part, x.shape[axis])))
        axis += 1
    if sliced:
        axes, starts, stops, steps = zip(*sliced, strict=True)
        ends = shape_vector(starts), shape_vector(stops)
        x = node("Slice", [x, *ends, integers(*axes), integers(*steps)], shape, x.dtype)
    for axis, index in reversed(picked):
        made = made_by(x, "Unsqueeze")
        alone = made is not None and index.value is not None and made.inputs[1].value.tolist() == [axis]
        x = made.inputs[0] if made is not None and alone else xp.take(x, index, axis=axis)
    for axis in new:
        x = xp.expand_dims(x, axis=axis)
    return x


def _checked_index(part: Any, size: Any) -> Any:
    if isinstance(part, RecordedArray):
        return part
    if not isinstance(size, Size) and not -size <= part < size:
        raise IndexError(f"index {part} is out of range for an axis of size {size}")
    return constant(part, dtype=np.int64)


def set_item(x: Any, key: Any, value: Any) -> Any:
    """x with a value in place of x[key], for integers and slices that go forwards."""
    parts = _parts_of(x, key)
    befores, afters, region, steps = [], [], [], []
    for part, size in zip(parts, x.shape, strict=False):
        if not isinstance(part, slice):
            part = slice(part, part + 1 if part != -1 else None)
        start, _, step, count = _bounds(part, size)
        if step < 1 or None in parts:
            raise TypeError(f"x[key] = value is exported to ONNX for integers and slices that go forwards, got {key}")
        start = start if isinstance(start, Size) or start >= 0 else size + start
        befores.append(start)
        afters.append(size - start - (count - 1) * step - 1)
        region.append(count)
        steps.append(step)
    value = as_recorded(value, x)
    kept = [count for count, part in zip(region, parts, strict=True) if isinstance(part, slice)]
    value = xp.reshape(xp.broadcast_to(xp.astype(value, x.dtype), kept), region)
    there = padded(_spread(value, steps), befores, afters, x.shape)
    if is_zero(x):
        return there
    inside = padded(_spread(xp.ones(region, dtype=np.int32), steps), befores, afters, x.shape)
    return xp.where(xp.not_equal(inside, 0), there, x)


def _spread(x: Any, steps: Sequence[int]) -> Any:
    """x with step - 1 zeros between its elements along each axis."""
    for axis, step in enumerate(steps):
        if step > 1:
            before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
            wide = (*before, size, step, *after)
            none, behind = [0] * len(wide), [0] * len(wide)
            behind[axis + 1] = step - 1
            x = xp.reshape(padded(xp.expand_dims(x, axis=axis + 1), none, behind, wide), (*before, size * step, *after))
            x = x[(*[slice(None)] * axis, slice(None, size * step - step + 1), ...)]
    return x


def is_zero(x: RecordedArray) -> bool:
    """Whether an array is known to be zero everywhere."""
    made = made_by(x, "ConstantOfShape")
    if made is not None:
        return not made.attributes["value"].any()
    return x.value is not None and not x.value.any()


def padded(x: RecordedArray, before: Sequence[Any], after: Sequence[Any], shape: Sequence[Any]) -> Any:
    """x with so many zeros before and after it along each axis, of that shape."""
    turned = made_by(x, "Transpose")
    if turned is not None:
        order = turned.attributes["perm"]
        back = [int(axis) for axis in np.argsort(order)]
        inner = [[amounts[axis] for axis in back] for amounts in (before, after, shape)]
        return xp.permute_dims(padded(turned.inputs[0], *inner), order)
    if tuple(x.shape) == tuple(shape):
        return x
    if x.value is not None and not has_open([*before, *after]):
        return constant(np.pad(x.value, [*zip(before, after, strict=True)]))
    return node("Pad", [x, shape_vector([*before, *after])], shape, x.dtype)


xp.get_item, xp.set_item = get_item, set_item
