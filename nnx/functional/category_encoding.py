"""Categories as vectors: a one for each, for those of a sample together, or how often each occurs."""

from __future__ import annotations

import math

from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.counting import bin_sums
from nnx.shapes import Shape

__all__ = ["count_categories", "encode_categories", "encoded_shape", "one_hot_categories"]

MODES = ("one_hot", "multi_hot", "count")
"""How categories become vectors; see `encode_categories`."""


def one_hot_categories(indices: Array, depth: int, dtype: str = "float32") -> Array:
    """Rows with a one where an index says; of zeros for an index that is not from 0 to depth - 1.

    indices : integers (...), of which a last axis of length 1 is dropped, as in Keras, unless it is the only one.
    returns (..., depth).

    >>> import numpy as np
    >>> one_hot_categories(np.asarray([[0], [2], [-1]]), 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    xp = array_namespace(indices)
    if len(indices.shape) > 1 and indices.shape[-1] == 1:
        indices = xp.squeeze(indices, axis=-1)
    every = xp.arange(depth, dtype=indices.dtype, device=backend_of(indices).device_of(indices))
    return xp.astype(indices[..., None] == every, getattr(xp, dtype))


def count_categories(
    indices: Array, depth: int, dtype: str = "float32", weights: Array | None = None, binary: bool = False
) -> Array:
    """How often each index from 0 to depth - 1 occurs along the last axis, or what its weights add up to.

    indices : integers (..., n); others than from 0 to depth - 1 are left out. weights : of the same shape, floating.
    binary : 1 for what occurs at all.
    returns (..., depth).

    >>> import numpy as np
    >>> count_categories(np.asarray([[0, 2, 2], [1, 9, -1]]), 3).tolist()
    [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]
    """
    xp = array_namespace(indices)
    shape = tuple(indices.shape)
    rows = math.prod(shape[:-1])
    keys = xp.reshape(xp.astype(indices, xp.int64), (rows, shape[-1]))
    inside = xp.logical_and(keys >= 0, keys < depth)
    starts = xp.arange(rows, dtype=xp.int64, device=backend_of(indices).device_of(indices))[:, None] * depth
    keys = xp.reshape(xp.where(inside, keys + starts, rows * depth), (rows * shape[-1],))
    if weights is None:
        counts = bin_sums(keys, rows * depth)
        counts = xp.astype(counts > 0, getattr(xp, dtype)) if binary else xp.astype(counts, getattr(xp, dtype))
    else:
        given = xp.where(inside, xp.reshape(weights, (rows, shape[-1])), 0.0)
        given = xp.astype(xp.reshape(given, (rows * shape[-1],)), getattr(xp, dtype))
        counts = bin_sums(keys, rows * depth, given)
    return xp.reshape(counts, (*shape[:-1], depth))


def encode_categories(
    indices: Array, mode: str, depth: int, dtype: str = "float32", weights: Array | None = None
) -> Array:
    """Integers as vectors of that depth, in one of the `MODES`; a single integer is a sample of one.

    "one_hot" : a vector for each. "multi_hot", "count" : one for the last axis, of ones or of sums of weights.

    >>> import numpy as np
    >>> encode_categories(np.asarray([0, 2, 2]), "count", 3).tolist()
    [1.0, 0.0, 2.0]
    """
    xp = array_namespace(indices)
    if not indices.shape:
        indices = xp.reshape(indices, (1,))
    if mode == "one_hot":
        return one_hot_categories(indices, depth, dtype)
    return count_categories(indices, depth, dtype, weights, binary=mode == "multi_hot")


def encoded_shape(shape: Shape, mode: str, depth: int) -> Shape:
    """The shape of `encode_categories` for integers of that shape.

    >>> encoded_shape((None, 5), "one_hot", 3), encoded_shape((None, 5), "count", 3)
    ((None, 5, 3), (None, 3))
    """
    if mode == "one_hot" and not (len(shape) > 1 and shape[-1] == 1):
        return (*(shape or (1,)), depth)
    return (*shape[:-1], depth)
