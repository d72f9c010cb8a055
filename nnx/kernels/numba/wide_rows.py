"""Arrays (..., features) as matrices of wide rows, for compiled loops over their elements."""

from __future__ import annotations

import numpy as np

from nnx.backends.base import Array
from nnx.kernels.numpy.column_sums import largest_divisor

_WIDTH = 512  # elements of a row for which loops are long enough
_BLOCK = 8192  # elements that are in the first cache when they are read again


class WideRows:
    """An array (..., features) as a matrix of wide rows, each of several positions, with vectors that go with it.

    count : how many positions there are. fold : how many of them are in a row. shape : of the matrix.
    step : how many of its rows are a block.
    """

    def __init__(self, x: Array) -> None:
        features = x.shape[-1]
        self.dtype, self.count = x.dtype, x.size // features
        self.fold = largest_divisor(self.count, _WIDTH // features)
        self.shape = (self.count // self.fold, self.fold * features)
        self.step = max(1, _BLOCK // self.shape[1])

    def gather(self, sums: Array) -> Array:
        """One sum for each feature."""
        return np.add.reduce(sums.reshape(self.fold, -1), axis=0)

    def spread(self, values: Array) -> Array:
        """One number for each column of the matrix, in its dtype."""
        return np.tile(values, self.fold).astype(self.dtype)

    def offset(self, beta: Array | None) -> Array:
        """What is added to each column; nothing where there is no beta, and -0.0 does not even change a sign."""
        return np.full(self.shape[1], -0.0, self.dtype) if beta is None else self.spread(beta)
