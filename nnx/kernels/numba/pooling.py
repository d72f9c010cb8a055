"""Maximum and mean of windows that lie side by side, compiled: each is read once, all of its channels together."""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels.numba.compilation import compiled
from nnx.kernels.numba.table import are_plain, compiled_kernel, plain
from nnx.kernels.numpy.memory import empty
from nnx.pullbacks import Pullback
from nnx.windows import Windows

_LEAST = 65_536
_LEAST_CHANNELS = 32  # with 16 loops are short, and take 1.8 of the time of NumPy's kernel


def _accepts(x: Array, windows: Windows) -> bool:
    return windows.tiled and x.size > 0 and x.ndim == 4 and x.shape[1:3] == windows.sizes and are_plain(x)


def _accepts_largest(x: Array, windows: Windows) -> bool:
    return _accepts(x, windows) and bool(x.shape[3] >= _LEAST_CHANNELS)


@compiled_kernel(least=_LEAST, accepts=_accepts)
def mean_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    rows, columns = windows.rows, windows.columns
    y, share = empty(x, (len(x), *windows.counts, x.shape[3])), x.dtype.type(1.0 / windows.taps)
    _mean(y, x, rows.window, columns.window, share)

    def pullback(dy: Array) -> Array:
        dx = empty(x, x.shape)
        dx[:, rows.count * rows.window :] = 0.0  # what is in no window
        dx[:, :, columns.count * columns.window :] = 0.0
        _to_all(dx, plain(dy, y), rows.window, columns.window, share)
        return dx

    return y, pullback


@compiled_kernel(least=_LEAST, accepts=_accepts_largest)
def largest_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    rows, columns = windows.rows, windows.columns
    y = empty(x, (len(x), *windows.counts, x.shape[3]))
    _largest(y, x, rows.window, columns.window)

    def pullback(dy: Array) -> Array:
        dx = empty(x, x.shape)
        dx[:, rows.count * rows.window :] = 0.0  # what is in no window
        dx[:, :, columns.count * columns.window :] = 0.0
        _to_largest(dx, empty(x, (x.shape[3],)), plain(dy, y), y, x, rows.window, columns.window)
        return dx

    return y, pullback


@compiled
def _mean(y: Any, x: Any, down: int, across: int, share: Any) -> None:
    images, rows, columns, channels = y.shape
    for n in range(images):
        for i in range(rows):
            for j in range(columns):
                mean = y[n, i, j]
                for c in range(channels):
                    mean[c] = x[n, i * down, j * across, c]
                for tap in range(1, down * across):
                    part = x[n, i * down + tap // across, j * across + tap % across]
                    for c in range(channels):
                        mean[c] += part[c]
                for c in range(channels):
                    mean[c] *= share


@compiled
def _to_all(dx: Any, dy: Any, down: int, across: int, share: Any) -> None:
    images, rows, columns, channels = dy.shape
    for n in range(images):
        for row in range(rows * down):
            for j in range(columns):
                given = dy[n, row // down, j]
                for tap in range(across):
                    reached = dx[n, row, j * across + tap]
                    for c in range(channels):
                        reached[c] = given[c] * share


@compiled
def _largest(y: Any, x: Any, down: int, across: int) -> None:
    images, rows, columns, channels = y.shape
    for n in range(images):
        for i in range(rows):
            for j in range(columns):
                largest = y[n, i, j]
                for tap in range(down * across):
                    part = x[n, i * down + tap // across, j * across + tap % across]
                    if tap == 0:
                        for c in range(channels):
                            largest[c] = part[c]
                    else:
                        for c in range(channels):  # NaN, where it is in the window
                            kept = largest[c] >= part[c] or largest[c] != largest[c]
                            largest[c] = largest[c] if kept else part[c]


@compiled
def _to_largest(dx: Any, rest: Any, dy: Any, y: Any, x: Any, down: int, across: int) -> None:
    images, rows, columns, channels = y.shape
    last = down * across - 1
    zero = dx.dtype.type(0)
    for n in range(images):
        for i in range(rows):
            for j in range(columns):
                largest, given = y[n, i, j], dy[n, i, j]
                for c in range(channels):
                    rest[c] = given[c]  # what no tap has taken yet
                for tap in range(last):
                    row, column = i * down + tap // across, j * across + tap % across
                    part, reached = x[n, row, column], dx[n, row, column]
                    for c in range(channels):
                        taken = part[c] == largest[c]
                        reached[c] = rest[c] if taken else zero
                        rest[c] = zero if taken else rest[c]
                reached = dx[n, i * down + down - 1, j * across + across - 1]
                for c in range(channels):
                    reached[c] = rest[c]
