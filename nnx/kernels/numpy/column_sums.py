"""Sums down the columns of a matrix for NumPy, and vectors spread over its rows, as normalisations need them.

NumPy's loops run along rows, so with few columns they are short and most of the time goes into starting them. Here
several rows lie side by side (the same memory, another shape): sums of 32 columns then take a fifth of the time.
Products with a vector of ones are as fast, but for large matrices BLAS shares them out among threads, and waits for
these whenever another program has the cores.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels.numpy.memory import empty
from nnx.pullbacks import SKIP

_WIDTH = 8192  # elements of a row for which the loops are fast
_SMALL = 8192  # elements up to which BLAS uses one thread
_MANY, _SHORT, _FEW = 1024, 64, 512  # rows, their elements, and elements to add at a time: a fifth, or 0.7 of the time


class Columns:
    """The columns of a matrix (rows, columns), whose memory is looked at as fewer and wider rows.

    shape : the shape to give to arrays; `fold` rows of the matrix are one of its rows.
    """

    __slots__ = ("fold", "shape")

    def __init__(self, rows: int, columns: int) -> None:
        few = rows * columns <= _SMALL
        self.fold = 1 if few else largest_divisor(rows, _WIDTH // columns)
        self.shape = (rows // self.fold, self.fold * columns)

    def spread(self, vector: Array) -> Array:
        """One number for each column, so that it broadcasts against arrays of the shape."""
        vector = vector.reshape(-1)
        return vector if self.fold == 1 else np.tile(vector, self.fold)

    def sums(self, block: Array) -> Array:
        """The sums of some rows of the shape, for `gather`."""
        if block.size <= _SMALL:
            return np.dot(ones(block.shape[0], block.dtype), block)
        return np.add.reduce(block, axis=0)

    def products(self, a: Array, b: Array) -> Array:
        """The sums of a * b, for `gather`."""
        if a.size <= _SMALL:
            return np.dot(ones(a.shape[0], a.dtype), a * b)
        return np.einsum("ij,ij->j", a, b)

    def gather(self, sums: Array) -> Array:
        """One sum for each column of the matrix."""
        return sums if self.fold == 1 else np.add.reduce(sums.reshape(self.fold, -1), axis=0)


def add_to_rows(matrix: Array, row: Array) -> None:
    """Add a row to each of a matrix, whose memory is contiguous: several at a time of many short ones."""
    rows, columns = matrix.shape
    fold = largest_divisor(rows, _FEW // columns) if rows >= _MANY and 0 < columns <= _SHORT else 1
    if fold > 1:
        several = empty(row, (fold, columns))
        several[...] = row
        matrix, row = matrix.reshape(rows // fold, fold * columns), several.reshape(-1)
    matrix += row


@functools.lru_cache(maxsize=64)
def ones(length: int, dtype: np.dtype[Any]) -> np.ndarray:
    """A vector of ones, which nobody may change."""
    vector = np.ones(length, dtype)
    vector.flags.writeable = False
    return vector


@functools.lru_cache(maxsize=256)
def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is not above `most`; at least 1."""
    return next((divisor for divisor in range(min(number, most), 1, -1) if number % divisor == 0), 1)


def deliver(cotangent: Array, place: Any) -> Array | None:
    """A cotangent where the caller wants it: in an array, in its own, or nowhere."""
    if place is None or place is SKIP:
        return None if place is SKIP else cotangent
    place[...] = cotangent
    return place


def is_float_matrix(x: Array, *parameters: Array | None) -> bool:
    """Whether an array has elements and at least two axes, and all arrays are float32, or all are float64."""
    return (
        x.dtype.kind == "f"
        and x.dtype.itemsize > 2
        and x.ndim > 1
        and x.size > 0
        and all(parameter is None or parameter.dtype == x.dtype for parameter in parameters)
    )
