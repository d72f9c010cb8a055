"""Pooling for NumPy: along one axis, then along the other, some images at a time.

Only few elementwise operations on long runs are needed for each tap of an axis, none on windows. Measured on float32
(64, 24, 24, 64) with 2 x 2 windows, forward and backward on one thread: the maximum takes a fifth of the time of the
generic form and 0.3 times that of PyTorch, the mean 0.8 times and a quarter.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.memory import empty, scratch
from nnx.kernels.numpy.table import KERNELS
from nnx.pullbacks import Pullback
from nnx.windows import Axis, Windows

_BLOCK = 1 << 21  # bytes of the images of one block

_ROWS, _COLUMNS = 1, 2


def image_blocks(x: np.ndarray, nbytes: int = _BLOCK) -> Iterator[slice]:
    """Slices of some images at a time, which have about that many bytes."""
    step = max(1, nbytes * len(x) // max(1, x.nbytes))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


def _at(axis: int, positions: slice) -> tuple[slice, ...]:
    """The index of these positions along an axis."""
    return (slice(None),) * axis + (positions,)


@functools.lru_cache(maxsize=256)
def _taps(axis: Axis, along: int) -> tuple[tuple[tuple[slice, ...], tuple[slice, ...]], ...]:
    """For each tap, an index of the windows and one of the positions where it lies in them."""
    reaches = map(axis.inside, range(axis.window))
    return tuple((_at(along, windows), _at(along, positions)) for windows, positions in reaches)


def _reduce(function: Any, nothing: float, x: np.ndarray, axis: Axis, along: int, out: np.ndarray) -> np.ndarray:
    """Reduction of each window along an axis, by a function of two elements."""
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


def _reduce_windows(function: Any, nothing: float, x: np.ndarray, windows: Windows) -> np.ndarray:
    """Reduction of each window, by a function of two elements: along the rows first, whose runs are long."""
    y = empty(x, (len(x), *windows.counts, x.shape[3]))
    for block in image_blocks(x):
        images = x[block]
        between = scratch("between", x, (len(images), windows.rows.count, *x.shape[2:]))
        _reduce(function, nothing, images, windows.rows, _ROWS, between)
        _reduce(function, nothing, between, windows.columns, _COLUMNS, y[block])
    return y


def _between(x: np.ndarray, windows: Windows) -> np.ndarray:
    """An array for what is left when the columns of windows are reduced and their rows are not."""
    return scratch("between", x, (*x.shape[:2], windows.columns.count, x.shape[3]))


@backend_kernel(KERNELS)
def largest_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    y = _reduce_windows(np.maximum, -np.inf, x, windows)

    def pullback(dy: Array) -> Array:
        dx = empty(x, x.shape)
        if windows.tiled:
            for block in image_blocks(x, _BLOCK // 4):
                _to_largest_of_tile(dy[block], y[block], x[block], windows, dx[block])
            return dx
        for block in image_blocks(x):
            images = x[block]
            largest = _reduce(np.maximum, -np.inf, images, windows.columns, _COLUMNS, _between(images, windows))
            dlargest = scratch("dlargest", x, largest.shape)
            _to_largest(dy[block], y[block], largest, windows.rows, _ROWS, dlargest)
            _to_largest(dlargest, largest, images, windows.columns, _COLUMNS, dx[block])
        return dx

    return y, pullback


def _to_largest(dy: np.ndarray, y: np.ndarray, x: np.ndarray, axis: Axis, along: int, dx: np.ndarray) -> None:
    """Send the cotangent of the maximum y of each window to the first element of x that is equal to it."""
    dx[...] = 0.0
    rest = dy.copy()  # what no tap has taken yet
    for windows, positions in _taps(axis, along):
        left, reached = rest[windows], dx[positions]
        taken = left * (x[positions] == y[windows])
        left -= taken
        reached += taken


def _to_largest_of_tile(dy: np.ndarray, y: np.ndarray, x: np.ndarray, windows: Windows, dx: np.ndarray) -> None:
    """Send it along both axes at once, for windows that lie side by side: each element of x is in one at most."""
    rows, columns = windows.rows, windows.columns
    _clear(dx, rows, _ROWS)
    _clear(dx, columns, _COLUMNS)
    pairs = itertools.product(_taps(rows, _ROWS), _taps(columns, _COLUMNS))
    taps = [(*down, across[_COLUMNS]) for (_, down), (_, across) in pairs]
    rest = dy  # what no tap has taken yet
    for number, positions in enumerate(taps[:-1]):
        left = scratch(f"left {number % 2}", dy, dy.shape)
        np.multiply(rest, x[positions] != y, out=left)
        np.subtract(rest, left, out=dx[positions])
        rest = left
    dx[taps[-1]] = rest


@backend_kernel(KERNELS)
def sum_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    shape = x.shape

    def pullback(dy: Array) -> Array:
        dx = empty(dy, shape)
        for block in image_blocks(dx):
            images = dx[block]
            sums = _between(images, windows)
            _to_all(dy[block], windows.rows, _ROWS, sums)
            _to_all(sums, windows.columns, _COLUMNS, images)
        return dx

    return _reduce_windows(np.add, 0.0, x, windows), pullback


def _to_all(dy: np.ndarray, axis: Axis, along: int, dx: np.ndarray) -> None:
    """Send the cotangent of each window's sum to all its elements."""
    _clear(dx, axis, along)
    for windows, positions in _taps(axis, along):
        if axis.tiled:
            np.copyto(dx[positions], dy)
        else:
            reached = dx[positions]
            reached += dy[windows]


def _clear(dx: np.ndarray, axis: Axis, along: int) -> None:
    """Zeros where no window is, if windows lie side by side; zeros everywhere if they may overlap."""
    dx[_at(along, slice(axis.count * axis.window if axis.tiled else 0, None))] = 0.0
