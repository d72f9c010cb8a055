"""Shapes of arrays, and arrays in other shapes, by the names of Keras 2's backend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx import ops
from nnx.backends import Array
from nnx.ops import ndim, reshape, squeeze, stack, transpose

__all__ = [
    "batch_flatten",
    "concatenate",
    "expand_dims",
    "flatten",
    "gather",
    "int_shape",
    "ndim",
    "one_hot",
    "permute_dimensions",
    "repeat",
    "repeat_elements",
    "reshape",
    "reverse",
    "shape",
    "squeeze",
    "stack",
    "tile",
    "transpose",
]


def shape(x: Any) -> tuple[int | None, ...]:
    """Sizes of the axes; None where a graph leaves one open.

    >>> shape([[1.0, 2.0]])
    (1, 2)
    """
    return ops.shape(x)


int_shape = shape


def flatten(x: Any) -> Array:
    """All elements along one axis; `batch_flatten` keeps the first axis.

    >>> flatten([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return ops.reshape(x, (-1,))


def batch_flatten(x: Any) -> Array:
    """Elements of each sample along one axis: (batch, ...) -> (batch, n).

    >>> batch_flatten(ops.zeros((2, 3, 4))).shape
    (2, 12)
    """
    return ops.reshape(x, (-1, number_of_elements("batch_flatten", ops.shape(x)[1:])))


def number_of_elements(name: str, sizes: Sequence[int | None]) -> int:
    """How many elements there are in axes of those sizes. ValueError for a size that a graph leaves open."""
    known = [n for n in sizes if n is not None]
    if len(known) < len(sizes):
        raise ValueError(f"K.{name}: all axes but the first must have a known length, got {tuple(sizes)}")
    return math.prod(known)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Array:
    """Axes in another order.

    >>> permute_dimensions(ops.zeros((2, 3, 4)), (0, 2, 1)).shape
    (2, 4, 3)
    """
    return ops.transpose(x, tuple(pattern))


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Array:
    """Arrays one behind the other, by default along the last axis.

    >>> concatenate([ops.zeros((2, 3)), ops.ones((2, 1))]).shape
    (2, 4)
    """
    return ops.concatenate(list(tensors), axis=axis)


def expand_dims(x: Any, axis: int = -1) -> Array:
    """Array with a new axis of length 1, by default the last.

    >>> expand_dims(ops.zeros((2,))).shape
    (2, 1)
    """
    return ops.expand_dims(x, axis)


def repeat(x: Any, n: int) -> Array:
    """Repetition of vectors along a new axis: (batch, size) -> (batch, n, size).

    >>> repeat(ops.zeros((2, 3)), 4).shape
    (2, 4, 3)
    """
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Any, rep: int, axis: int) -> Array:
    """Elements several times along an axis, one after the other.

    >>> repeat_elements([1.0, 2.0], 2, axis=0).tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    return ops.repeat(x, rep, axis=axis)


def tile(x: Any, n: int | Sequence[int]) -> Array:
    """Array several times along each axis.

    >>> tile([[1.0, 2.0]], (2, 1)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    return ops.tile(x, n if isinstance(n, int) else tuple(n))


def reverse(x: Any, axes: int | Sequence[int]) -> Array:
    """Array in reverse order along axes.

    >>> reverse([1.0, 2.0], 0).tolist()
    [2.0, 1.0]
    """
    return ops.flip(x, axis=axes)


def gather(reference: Any, indices: Any) -> Array:
    """Slices of the first axis, by their indices.

    >>> gather([[1.0], [2.0]], [1, 1]).tolist()
    [[2.0], [2.0]]
    """
    return ops.take(reference, indices, axis=0)


def one_hot(indices: Any, num_classes: int) -> Array:
    """Rows with a one where an integer says.

    >>> one_hot([1], 3).tolist()
    [[0.0, 1.0, 0.0]]
    """
    return ops.one_hot(indices, num_classes)
