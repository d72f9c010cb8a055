"""Pooling for NumPy: first along the columns, then along the rows, some images at a time.

Only few elementwise operations on long runs are needed for each tap of an axis, none on windows. Measured on float32
(64, 24, 24, 64) with 2 x 2 windows: maximum over two axes of a reshaped array 3.8 ms, this 0.6 ms; its pullback 2.8 ms.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx.backends.base import Array, find_backend
from nnx.kernels import kernel
from nnx.kernels.numpy_scratch import scratch
from nnx.protocol import Pullback
from nnx.windows import Axis, Windows, shares_of_windows

_numpy = find_backend("numpy")
_BLOCK = 1 << 21  # bytes of the images of one block

_ROWS, _COLUMNS = 1, 2


def image_blocks(x: np.ndarray) -> Iterator[slice]:
    """Some images at a time."""
    step = max(1, _BLOCK * len(x) // max(1, x.nbytes))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


def _at(axis: int, positions: slice) -> tuple[slice, ...]:
    """The index of these positions along an axis."""
    return (slice(None),) * axis + (positions,)


def _taps(axis: Axis, along: int) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each tap, an index of the windows and one of the positions where it lies in them."""
    reaches = map(axis.inside, range(axis.window))
    return [(_at(along, windows), _at(along, positions)) for windows, positions in reaches]


def _reduce(function: Any, nothing: float, x: np.ndarray, axis: Axis, along: int, out: np.ndarray) -> np.ndarray:
    """A function of two elements, over the elements of each window along an axis."""
    taps = _taps(axis, along)
    if axis.padded:
        out[...] = nothing
    else:  # all windows have all taps
        first, second = x[taps[0][1]], x[taps[min(1, len(taps) - 1)][1]]
        if len(taps) == 1:
            np.copyto(out, first)
        else:
            function(first, second, out=out)
        taps = taps[2:]
    for windows, positions in taps:
        part = out[windows]
        function(part, x[positions], out=part)
    return out


def _between(x: np.ndarray, windows: Windows) -> np.ndarray:
    """An array for what is left when the columns of windows are reduced and their rows are not."""
    return scratch("between", (*x.shape[:2], windows.columns.count, x.shape[3]), x.dtype)


@kernel(_numpy)
def largest_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    y = np.empty((len(x), *windows.counts, x.shape[3]), x.dtype)
    low = -np.inf
    for block in image_blocks(x):
        largest = _reduce(np.maximum, low, x[block], windows.columns, _COLUMNS, _between(x[block], windows))
        _reduce(np.maximum, low, largest, windows.rows, _ROWS, y[block])

    def pullback(dy: Array) -> Array:
        dx = np.empty(x.shape, x.dtype)
        for block in image_blocks(x):
            images = x[block]
            largest = _reduce(np.maximum, low, images, windows.columns, _COLUMNS, _between(images, windows))
            dlargest = scratch("dlargest", largest.shape, x.dtype)
            _to_largest(dy[block], y[block], largest, windows.rows, _ROWS, dlargest)
            _to_largest(dlargest, largest, images, windows.columns, _COLUMNS, dx[block])
        return dx

    return y, pullback


def _to_largest(dy: np.ndarray, y: np.ndarray, x: np.ndarray, axis: Axis, along: int, dx: np.ndarray) -> None:
    """Send the cotangent of the maximum y of each window to the first element of x that is equal to it."""
    taps = _taps(axis, along)
    if not axis.tiled:
        dx[...] = 0.0
        rest = dy.copy()  # what no tap has taken yet
        for windows, positions in taps:
            left, reached = rest[windows], dx[positions]
            taken = left * (x[positions] == y[windows])
            left -= taken
            reached += taken
        return
    if axis.count * axis.window < axis.size:
        dx[_at(along, slice(axis.count * axis.window, None))] = 0.0
    rest = dy
    for (_, positions), (_, after) in itertools.pairwise(taps):
        left = np.multiply(rest, x[positions] != y, out=dx[after])  # of all taps to come, until one of them takes it
        np.subtract(rest, left, out=dx[positions])
        rest = left
    if len(taps) == 1:
        np.copyto(dx[taps[0][1]], dy)


@kernel(_numpy)
def mean_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    y = np.empty((len(x), *windows.counts, x.shape[3]), x.dtype)
    share = shares_of_windows(windows, x.dtype.name) if windows.padded else 1.0 / windows.taps
    for block in image_blocks(x):
        part = y[block]
        sums = _reduce(np.add, 0.0, x[block], windows.columns, _COLUMNS, _between(x[block], windows))
        _reduce(np.add, 0.0, sums, windows.rows, _ROWS, part)
        part *= share

    def pullback(dy: Array) -> Array:
        dx = np.zeros(x.shape, x.dtype)
        for block in image_blocks(x):
            sums = _between(x[block], windows)
            sums[...] = 0.0
            _to_all(dy[block] * share, windows.rows, _ROWS, sums)
            _to_all(sums, windows.columns, _COLUMNS, dx[block])
        return dx

    return y, pullback


def _to_all(dy: np.ndarray, axis: Axis, along: int, dx: np.ndarray) -> None:
    """Add the cotangent of each window's sum to all its elements."""
    for windows, positions in _taps(axis, along):
        reached = dx[positions]
        reached += dy[windows]
