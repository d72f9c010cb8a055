"""Conversion of values to arrays, of arrays to other dtypes, and what is asked of an array; parts cut and written."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.autodiff import transforms
from nnx.autodiff.array import TrackedArray, lower
from nnx.autodiff.transforms import custom_gradient
from nnx.backends import Array, is_array, to_numpy
from nnx.in_place import own_array
from nnx.ops.operation import as_array, dtype_name, is_float, name_of_dtype, namespace, operation, positive_axis
from nnx.parameters import Parameter

__all__ = [
    "cast",
    "convert_to_numpy",
    "convert_to_tensor",
    "custom_gradient",
    "dtype",
    "is_tensor",
    "saturate_cast",
    "shape",
    "slice",
    "slice_update",
    "stop_gradient",
    "unstack",
]


@operation
def cast(x: Any, dtype: Any) -> Array:
    """Array in another dtype; a copy if it has that, as of all arrays that are plain.

    dtype : a name such as "float32". Floats become integers towards 0.

    >>> cast([1.7, -1.7], "int32")
    array([ 1, -1], dtype=int32)
    """
    made = as_array(x, dtype_name(dtype))
    return own_array(made) if made is x else made


@operation
def saturate_cast(x: Any, dtype: Any) -> Array:
    """Array in another dtype, what lies outside of its range as the nearest number in it.

    >>> saturate_cast([-7.0, 300.0], "uint8")
    array([  0, 255], dtype=uint8)
    """
    wanted, array = str(dtype_name(dtype)), as_array(x)
    if wanted == "bool" or name_of_dtype(array) == "bool":
        return as_array(array, wanted)
    xp = namespace(array)
    if wanted.startswith("float"):
        if not is_float(array) or np.finfo(wanted).bits >= np.finfo(name_of_dtype(array)).bits:
            return as_array(array, wanted)
        largest = float(np.finfo(wanted).max)
        return as_array(xp.clip(array, -largest, largest), wanted)
    low, high = np.iinfo(wanted).min, np.iinfo(wanted).max
    if is_float(array):  # 2**31 - 1 is no float32: what reaches it is set afterwards
        array = lower(array)
        xp = namespace(array)
        reaches = array >= float(high)
        inside = xp.where(xp.logical_or(reaches, array <= float(low)), 0.0, array)
        made = as_array(inside, wanted)
        return xp.where(reaches, high, xp.where(array <= float(low), low, made))
    own = np.iinfo(name_of_dtype(array))
    return as_array(xp.clip(array, max(low, own.min), min(high, own.max)), wanted)


@operation
def convert_to_tensor(x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None) -> Array:
    """Array of a number, a list or an array, which a later write into that does not change; a tracked one stays itself.

    dtype : a name; by default floats of lists get the backend's dtype, integers and bools theirs.
    sparse, ragged : True is not available, ValueError.

    >>> convert_to_tensor([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    if sparse or ragged:
        raise ValueError("convert_to_tensor: sparse and ragged arrays are not available")
    made = as_array(x, dtype_name(dtype))
    return own_array(made) if made is x else made


def convert_to_numpy(x: Any) -> np.ndarray:
    """Copy of an array on the host; of a parameter, its value. TypeError for a tracked array.

    >>> convert_to_numpy([1, 2])
    array([1, 2])
    """
    if isinstance(x, Parameter):
        return np.asarray(x.numpy())
    return to_numpy(x) if is_array(x) else np.asarray(x)


def is_tensor(x: Any) -> bool:
    """Whether something is an array, tracked or not; numbers and lists are none.

    >>> is_tensor(convert_to_tensor([1.0])), is_tensor([1.0])
    (True, False)
    """
    return is_array(x) and not isinstance(x, np.generic | numbers.Number)


def shape(x: Any) -> tuple[int | None, ...]:
    """Sizes of the axes, of an array, list, number, parameter or symbol; None for a size that a graph leaves open.

    >>> shape([[1, 2, 3]])
    (1, 3)
    """
    return tuple(x.shape if hasattr(x, "shape") else as_array(x).shape)


def dtype(x: Any) -> str:
    """Name of the dtype of an array, list, number or parameter.

    >>> dtype([1.0])
    'float32'
    """
    return name_of_dtype(x if hasattr(x, "dtype") else as_array(x))


@operation
def stop_gradient(variable: Any) -> Array:
    """Array as a constant: no derivative goes through it.

    >>> stop_gradient([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    return transforms.stop_gradient(as_array(variable))


@operation
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Array]:
    """Arrays along an axis, as a list.

    num : how many there are; ValueError if there are not as many.

    >>> [int(part) for part in unstack([1, 2, 3])]
    [1, 2, 3]
    """
    array = as_array(x)
    axis = positive_axis(axis, len(array.shape), "unstack")
    if num is not None and num != array.shape[axis]:
        raise ValueError(f"unstack: axis {axis} has the length {array.shape[axis]}, not num={num}")
    before = (_slice(None),) * axis
    return [array[(*before, i, ...)] for i in range(array.shape[axis])]


_slice = slice  # Python's own, before the operation of that name


@operation
def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> Array:
    """Block of an array, from start indices on, of a shape. Where it would not fit, it starts earlier.

    start_indices : one for each axis; an array of them is waited for.
    shape : the size along each axis, -1 for all that follows.

    >>> slice([2, 4, 6, 8, 10], [4], [2])
    array([ 8, 10])
    """
    array = as_array(inputs)
    return array[_block("slice", array, start_indices, shape)]


@operation
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Array:
    """Copy of an array with a block written into it, from start indices on. Where it would not fit, it starts earlier.

    start_indices : one for each axis; an array of them is waited for.

    >>> slice_update([1, 2, 3, 4], [1], [20, 30])
    array([ 1, 20, 30,  4])
    """
    array = as_array(inputs)
    new = as_array(updates, name_of_dtype(array), like=array)
    key = _block("slice_update", array, start_indices, new.shape)
    if isinstance(array, TrackedArray) or isinstance(new, TrackedArray):
        return namespace(array, new).set_item(array, key, new)
    made = namespace(array).asarray(array, copy=True)
    made[key] = new
    return made


def _block(name: str, array: Array, start_indices: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    starts = [int(i) for i in (to_numpy(lower(start_indices)) if is_array(start_indices) else start_indices)]
    if len(starts) != len(array.shape) or len(shape) != len(array.shape):
        raise ValueError(
            f"{name}: a start index and a size are needed for each of {len(array.shape)} axes, got {starts} and "
            f"{tuple(shape)}"
        )
    shape = [n - s % n if size == -1 and n else size for s, size, n in zip(starts, shape, array.shape, strict=True)]
    if any(size > n for size, n in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name}: a block of shape {tuple(shape)} does not fit into {tuple(array.shape)}")
    starts = [min(max(s + n if s < 0 else s, 0), n - k) for s, k, n in zip(starts, shape, array.shape, strict=True)]
    return tuple(_slice(s, s + k) for s, k in zip(starts, shape, strict=True))
