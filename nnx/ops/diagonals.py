"""Diagonals and triangles of matrices, and matrices made of vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backends import Array
from nnx.ops.operation import as_array, as_floats, beside, cast_to, is_bool, namespace, operation, positive_axis, read

__all__ = ["diag", "diagflat", "diagonal", "slogdet", "trace", "tril", "triu", "vander"]


@operation
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """Diagonals of matrices, along a new last axis.

    offset : which one, above the main one if positive. axis1, axis2 : the rows and columns of the matrices.

    >>> diagonal([[1.0, 2.0], [3.0, 4.0]])
    array([1., 4.], dtype=float32)
    """
    xp, x = read(x)
    return xp.linalg.diagonal(_matrices("diagonal", x, axis1, axis2), offset=offset)


def _matrices(name: str, x: Array, axis1: int, axis2: int) -> Array:
    rank = len(x.shape)
    if rank < 2:
        raise ValueError(f"{name}: expected at least two axes, got shape {tuple(x.shape)}")
    first, second = positive_axis(axis1, rank, name), positive_axis(axis2, rank, name)
    if first == second:
        raise ValueError(f"{name}: axis1 and axis2 are the same, {axis1} and {axis2}")
    if (first, second) == (rank - 2, rank - 1):
        return x
    rest = [i for i in range(rank) if i not in (first, second)]
    return namespace(x).permute_dims(x, (*rest, first, second))


@operation
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """Sum of the diagonal of matrices.

    offset : which one, above the main one if positive. axis1, axis2 : the rows and columns of the matrices.

    >>> float(trace([[1.0, 2.0], [3.0, 4.0]]))
    5.0
    """
    x = as_array(x)
    if is_bool(x):
        x = cast_to(x, "int64")
    xp = namespace(x)
    return xp.sum(xp.linalg.diagonal(_matrices("trace", x, axis1, axis2), offset=offset), axis=-1)


@operation
def diag(x: Any, k: int = 0) -> Array:
    """Diagonal of a matrix, or the matrix with a vector as its diagonal and zeros elsewhere.

    k : which diagonal, above the main one if positive.

    >>> diag([1.0, 2.0]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = as_array(x)
    if len(x.shape) == 1:
        return _diagonal_matrix(x, k)
    if len(x.shape) != 2:
        raise ValueError(f"diag: expected one axis or two, got shape {tuple(x.shape)}")
    return namespace(x).linalg.diagonal(x, offset=k)


@operation
def diagflat(x: Any, k: int = 0) -> Array:
    """Matrix with all elements of an array as its diagonal and zeros elsewhere.

    k : which diagonal, above the main one if positive.

    >>> diagflat([[1.0], [2.0]]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = as_array(x)
    return _diagonal_matrix(namespace(x).reshape(x, (math.prod(x.shape),)), k)


def _diagonal_matrix(x: Array, k: int) -> Array:
    xp, n = namespace(x), x.shape[0]
    size = n + abs(k)
    if n == 0:
        return xp.zeros_like(xp.broadcast_to(xp.sum(x, dtype=x.dtype), (size, size)))
    rows = np.clip(np.arange(size) + min(k, 0), 0, n - 1)
    on = np.eye(size, k=k, dtype=bool)
    column = xp.take(x, beside(x, rows), axis=0)[:, None]
    return xp.where(beside(x, on), column, xp.zeros_like(column))


@operation
def tril(x: Any, k: int = 0) -> Array:
    """Lower triangles of matrices, with zeros above.

    k : the highest diagonal that stays, above the main one if positive.

    >>> tril([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    xp, x = read(x)
    return xp.tril(x, k=k)


@operation
def triu(x: Any, k: int = 0) -> Array:
    """Upper triangles of matrices, with zeros below.

    k : the lowest diagonal that stays, above the main one if positive.

    >>> triu([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 2.0], [0.0, 4.0]]
    """
    xp, x = read(x)
    return xp.triu(x, k=k)


@operation
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:  # noqa: N803, Keras' name
    """Vandermonde matrix: powers of the elements of a vector (n,), a row for each.

    N : how many powers, by default n. increasing : whether the power 0 is the first one, not the last.

    >>> vander([1.0, 2.0, 3.0], 2, increasing=True).tolist()
    [[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]
    """
    x = as_array(x)
    if is_bool(x):
        x = cast_to(x, "int64")
    if len(x.shape) != 1:
        raise ValueError(f"vander: expected one axis, got shape {tuple(x.shape)}")
    xp, count = namespace(x), x.shape[0] if N is None else N
    if count < 1:
        return xp.zeros_like(xp.broadcast_to(x[:, None], (x.shape[0], 1)))[:, :0]
    columns = [xp.ones_like(x)]
    for _ in range(count - 1):
        columns.append(columns[-1] * x)
    return xp.stack(columns if increasing else columns[::-1], axis=-1)


@operation
def slogdet(x: Any) -> tuple[Array, Array]:
    """Sign and logarithm of the absolute value of the determinant of matrices.

    >>> [float(part) for part in slogdet([[2.0, 0.0], [0.0, -0.5]])]
    [-1.0, 0.0]
    """
    x = as_floats(x)
    sign, logarithm = namespace(x).linalg.slogdet(x)
    return sign, logarithm
