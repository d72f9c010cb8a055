"""Moments of features: the mean and the variance of data that come batch by batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnx.backends import is_array, is_tabular, table_problem, to_numpy

_BLOCK = 1 << 20  # elements that are looked at at a time


class Moments:
    """Mean and variance along some axes, in one pass over blocks of the data, in float64 on the host.

    kept : the axes that keep their sizes, counted from the front.
    count, mean, variance : of all blocks so far: how many numbers each mean is of, the means, the biased variances.

    Blocks are merged by the formula of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for
    computing sample variances", 1979), which does not lose the digits that a sum of squares loses.
    """

    def __init__(self, kept: Sequence[int]) -> None:
        self.count = 0
        self.mean = np.zeros(())
        self._deviations = np.zeros(())  # sums of squares of the distances from the mean
        self._kept = tuple(kept)

    def add(self, block: np.ndarray) -> None:
        """Take a block (rows, ...) into the moments."""
        others = tuple(axis for axis in range(block.ndim) if axis not in self._kept)
        count = math.prod(block.shape[axis] for axis in others)
        if not count:
            return
        mean = block.mean(axis=others, dtype=np.float64, keepdims=True)
        deviations = np.square(block - mean).sum(axis=others)
        shift = mean.reshape(deviations.shape) - self.mean
        total = self.count + count
        self.mean = self.mean + shift * (count / total)
        self._deviations = self._deviations + deviations + np.square(shift) * (self.count * (count / total))
        self.count = total

    @property
    def variance(self) -> np.ndarray:
        """The biased variance of all blocks so far."""
        return np.asarray(self._deviations / max(self.count, 1))


def batches_of(data: Any, owner: str) -> Iterator[Any]:
    """The arrays that data are made of: themselves, or the inputs of an iterable of batches x, (x, y) or (x, y, w)."""
    if hasattr(data, "shape"):
        yield _numbers(data, owner)
        return
    if isinstance(data, list | tuple) and data and not hasattr(data[0], "shape") and not isinstance(data[0], tuple):
        yield _numbers(data, owner)
        return
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise TypeError(f"{owner} expects an array or an iterable of batches, got {type(data).__name__}")
    for item in data if hasattr(data, "__iter__") else (data[index] for index in range(len(data))):
        batch = item[0] if isinstance(item, tuple | list) and item and hasattr(item[0], "shape") else item
        if not hasattr(batch, "shape"):
            raise TypeError(f"{owner} expects batches that are arrays, or (x, y) of arrays, got {type(item).__name__}")
        yield _numbers(batch, owner)


def _numbers(data: Any, owner: str) -> Any:
    """Arrays, in memory or on disk, as they are, and tables as arrays; ValueError for what is not made of numbers."""
    kind = getattr(getattr(data, "dtype", None), "kind", None)
    numbers = kind in tuple("fbiu") and not is_tabular(data)
    if numbers or (is_array(data) and not isinstance(data, np.ndarray)):
        return data
    host = to_numpy(data)
    if host.dtype.kind not in "fbiu":
        problem = table_problem(data, "data") or f"got others, {type(data).__name__} of dtype {host.dtype}"
        raise ValueError(f"{owner} expects numbers: {problem}")
    return host


def blocks_of(array: Any) -> Iterator[np.ndarray]:
    """Successive rows of an array, a memory map or the like, on the host, about a million numbers at a time."""
    rows = max(_BLOCK // max(math.prod(array.shape[1:]), 1), 1)
    for start, stop in itertools.pairwise([*range(0, array.shape[0], rows), array.shape[0]]):
        yield to_numpy(array[start:stop, ...] if is_array(array) else array[start:stop])
