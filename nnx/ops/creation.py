"""Creation of arrays, on the current backend or like another array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray
from nnx.backends import Array, get_backend, is_array, to_numpy
from nnx.ops.operation import (
    as_array,
    as_floats,
    cast_to,
    dtype_name,
    is_float,
    name_of_dtype,
    namespace,
    operation,
    positive_axis,
    promote,
)

__all__ = [
    "arange",
    "array",
    "copy",
    "empty",
    "empty_like",
    "eye",
    "full",
    "full_like",
    "geomspace",
    "identity",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "tri",
    "zeros",
    "zeros_like",
]


@operation
def array(x: Any, dtype: Any = None) -> Array:
    """A new array of numbers, lists or an array.

    dtype : by default that of an array, and of the current backend for floating numbers.

    >>> array([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    name = dtype_name(dtype)
    made = as_array(x, name)
    return copy(made) if made is x else made


@operation
def copy(x: Any) -> Array:
    """A copy of an array: what is written into it does not change the other one.

    >>> copy([1.0, 2.0])
    array([1., 2.], dtype=float32)
    """
    x = as_array(x)
    xp = namespace(x)
    return xp.positive(x) if isinstance(x, TrackedArray) else xp.asarray(x, copy=True)


@operation
def zeros(shape: Any, dtype: Any = None) -> Array:
    """An array of zeros.

    shape : one size or several. dtype : by default the floating dtype of the current backend.

    >>> zeros(2)
    array([0., 0.], dtype=float32)
    """
    return get_backend().zeros(_sizes(shape), dtype_name(dtype))


@operation
def ones(shape: Any, dtype: Any = None) -> Array:
    """An array of ones.

    shape : one size or several. dtype : by default the floating dtype of the current backend.

    >>> ones(2)
    array([1., 1.], dtype=float32)
    """
    return _full(shape, 1, dtype_name(dtype))


@operation
def empty(shape: Any, dtype: Any = None) -> Array:
    """An array whose elements are whatever: here zeros.

    shape : one size or several. dtype : by default the floating dtype of the current backend.

    >>> empty((2, 3)).shape
    (2, 3)
    """
    return get_backend().zeros(_sizes(shape), dtype_name(dtype))


@operation
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Array:
    """An array that is full of one value.

    shape : one size or several. fill_value : a number, or an array that broadcasts to the shape. dtype : by default the
    floating dtype of the current backend.

    >>> full(2, 7)
    array([7., 7.], dtype=float32)
    """
    name = dtype_name(dtype)
    if isinstance(fill_value, int | float) and not is_array(fill_value):
        return _full(shape, fill_value, name)
    value = as_array(fill_value)
    if name is not None or not is_float(value):
        value = as_array(value, name or get_backend().dtype)
    return namespace(value).broadcast_to(value, _sizes(shape))


def _full(shape: Any, value: Any, name: str | None) -> Array:
    zero = get_backend().zeros(_sizes(shape), name)
    return _full_like(zero, value, zero)


def _full_like(x: Array, value: Any, dtyped: Array) -> Array:
    xp = namespace(x)
    kind = name_of_dtype(dtyped)
    value = bool(value) if kind == "bool" else value if is_float(dtyped) else int(value)
    return xp.full_like(x, value, dtype=dtyped.dtype)


def _sizes(shape: Any) -> tuple[int, ...]:
    if is_array(shape):
        shape = to_numpy(shape).tolist()
    return (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)


@operation
def zeros_like(x: Any, dtype: Any = None) -> Array:
    """Zeros in the shape of an array, and where it is.

    dtype : by default the array's.

    >>> zeros_like([1.0, 2.0])
    array([0., 0.], dtype=float32)
    """
    x = as_array(x)
    xp = namespace(x)
    return xp.zeros_like(x, dtype=_dtype(xp, dtype))


@operation
def ones_like(x: Any, dtype: Any = None) -> Array:
    """Ones in the shape of an array, and where it is.

    dtype : by default the array's.

    >>> ones_like([1.0, 2.0])
    array([1., 1.], dtype=float32)
    """
    x = as_array(x)
    xp = namespace(x)
    return xp.ones_like(x, dtype=_dtype(xp, dtype))


@operation
def empty_like(x: Any, dtype: Any = None) -> Array:
    """An array in the shape of another one, and where it is, whose elements are whatever: here zeros.

    dtype : by default the array's.

    >>> empty_like([[1.0, 2.0]]).shape
    (1, 2)
    """
    x = as_array(x)
    xp = namespace(x)
    return xp.zeros_like(x, dtype=_dtype(xp, dtype))


def _dtype(xp: Any, dtype: Any) -> Any:
    return None if dtype is None else getattr(xp, str(dtype_name(dtype)))


@operation
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Array:
    """One value in the shape of an array, and where it is.

    fill_value : a number, cut to a whole one for integers, or an array that broadcasts. dtype : by default the array's.

    >>> full_like([1, 2], 7.9)
    array([7, 7])
    """
    x = as_array(x)
    name = dtype_name(dtype) or name_of_dtype(x)
    if isinstance(fill_value, int | float) and not is_array(fill_value):
        xp = namespace(x)
        return _full_like(x, fill_value, xp.zeros_like(x, dtype=getattr(xp, name)))
    value = as_array(fill_value, name, like=x)
    return namespace(value).broadcast_to(value, tuple(x.shape))


@operation
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Array:  # noqa: N803, Keras' names
    """A matrix with ones on a diagonal.

    N, M : rows and columns; by default as many. k : which diagonal, above the main one if positive. dtype : by default
    the floating dtype of the current backend.

    >>> eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return _from_host(np.eye(N, M, k), dtype)


@operation
def identity(n: int, dtype: Any = None) -> Array:
    """The unit matrix of n rows and columns.

    >>> identity(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return _from_host(np.eye(n), dtype)


@operation
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Array:  # noqa: N803, Keras' names
    """A matrix with ones on a diagonal and below it.

    N, M : rows and columns; by default as many. k : which diagonal. dtype : by default the floating dtype of the
    current backend.

    >>> tri(2).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return _from_host(np.tri(N, M, k), dtype)


def _from_host(host: np.ndarray, dtype: Any) -> Array:
    placement = get_backend()
    return placement.asarray(host, dtype_name(dtype, placement.dtype))


@operation
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Array:
    """Numbers at equal distances, from start on and below stop; with one argument from 0 on and below it.

    dtype : by default integers if all arguments are, else the floating dtype of the current backend.

    >>> arange(3), arange(0.0, 1.0, 0.5)
    (array([0, 1, 2]), array([0. , 0.5], dtype=float32))
    """
    bounds: list[Any] = [to_numpy(one) if is_array(one) else one for one in (start, stop, step)]
    numbers = np.arange(bounds[0], bounds[1], 1 if bounds[2] is None else bounds[2])
    default = get_backend().dtype if numbers.dtype.kind == "f" else "int64"
    return _from_host(numbers, dtype_name(dtype, default) if dtype is not float else default)


@operation
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Any:
    """Numbers at equal distances between two, or between arrays.

    num : how many. endpoint : whether stop is the last one. retstep : whether the distance is returned too, as the
    second of a pair. dtype : by default floating. axis : along which they lie, if start or stop are arrays.

    >>> linspace(0.0, 1.0, 3)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    y, step = _between("linspace", start, stop, num, endpoint, axis)
    name = dtype_name(dtype)
    if name is not None:
        xp = namespace(y)
        y = as_array(y if name.startswith("float") else xp.floor(y), name)
    return (y, step) if retstep else y


def _between(name: str, start: Any, stop: Any, num: int, endpoint: bool, axis: int) -> tuple[Array, Array]:
    if num < 0:
        raise ValueError(f"{name}: num must not be negative, got {num}")
    first, last = promote(start, stop)
    first, last = as_floats(first), as_floats(last)
    xp = namespace(first, last)
    parts = num - 1 if endpoint else num
    step = (last - first) / parts if parts > 0 else (last - first) * math.nan
    share = np.arange(num) / max(parts, 1)
    first, last = (xp.expand_dims(xp.asarray(one), axis=0) for one in (first, last))
    rank = max(len(first.shape), len(last.shape))
    shares = as_array(share.reshape(-1, *[1] * (rank - 1)), name_of_dtype(first), first)
    rest = as_array((1.0 - share).reshape(-1, *[1] * (rank - 1)), name_of_dtype(first), first)
    y = first * rest + last * shares
    return xp.moveaxis(y, 0, positive_axis(axis, rank, name)) if axis else y, step


@operation
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10, dtype: Any = None, axis: int = 0
) -> Array:
    """Powers of a base whose exponents are at equal distances.

    start, stop : the exponents. num : how many. endpoint : whether stop is the last one. axis : along which they lie.

    >>> logspace(0.0, 2.0, 3)
    array([  1.,  10., 100.], dtype=float32)
    """
    exponents, _ = _between("logspace", start, stop, num, endpoint, axis)
    b, y = promote(as_floats(base), exponents)
    y = namespace(b, y).pow(b, y)
    return y if dtype is None else cast_to(y, str(dtype_name(dtype)))


@operation
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """Numbers of which each is the one before times the same, between two that are not 0.

    start, stop : the ends, of one sign. num : how many. endpoint : whether stop is the last one. axis : along which
    they lie.

    >>> geomspace(1.0, 16.0, 3)
    array([ 1.,  4., 16.], dtype=float32)
    """
    first, last = promote(start, stop)
    first, last = as_floats(first), as_floats(last)
    xp = namespace(first, last)
    signs = xp.sign(first)
    exponents, _ = _between("geomspace", xp.log2(first * signs), xp.log2(last * signs), num, endpoint, axis)
    y = xp.pow(2.0, exponents)
    if len(signs.shape):
        signs = xp.expand_dims(signs, axis=positive_axis(axis, len(y.shape), "geomspace"))
    y = y * signs
    return y if dtype is None else cast_to(y, str(dtype_name(dtype)))
