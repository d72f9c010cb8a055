"""Convolutions by oneDNN: no copies of windows, and sums of many channels at a time in the registers.

Measured on one core of an Intel Xeon (Sapphire Rapids) against NumPy's kernels: with 3 x 3 windows 0.6 times as long
for 26 x 26 images with 32 channels, 0.3 times for 32 x 32 images with 16, 0.25 times for 5 x 5 windows of few channels;
depthwise with 3 x 3 windows a tenth to a thirtieth.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.backends.onednn import convolve, has_convolution, is_plain
from nnx.backends.routines import Routine
from nnx.kernels.numpy.memory import empty
from nnx.kernels.onednn.table import onednn_kernel
from nnx.pullbacks import SKIP, Pullback
from nnx.windows import Axis, Windows

_LEAST = 200_000  # products of two numbers, for which the call pays

Shape = tuple[int, ...]


def _geometry(kind: str, images: Shape, kernel: Shape, windows: Windows, groups: int) -> tuple[Any, ...]:
    """What oneDNN's convolution is made from."""
    n, c = images[0], images[3]
    rows, columns = windows.rows, windows.columns
    if columns.size == columns.window == columns.count == 1:  # a sequence, which it has along the columns
        rows, columns = columns, rows
    axes = rows, columns
    return (
        kind,
        (n, rows.size, columns.size, c),
        (groups, rows.window, columns.window, c // groups, kernel[3] // groups),
        (n, rows.count, columns.count, kernel[3]),
        tuple(axis.stride for axis in axes),
        tuple(axis.dilation - 1 for axis in axes),
        tuple(axis.before for axis in axes),
        tuple(map(_after, axes)),
    )


def _after(axis: Axis) -> int:
    """Padding behind the input, negative where the last positions are in no window."""
    return (axis.count - 1) * axis.stride + axis.extent - axis.before - axis.size


def _takes(kind: str, images: Shape, kernel: Shape, windows: Windows, groups: int, *arrays: Array) -> bool:
    fit = images[1:] == (*windows.sizes, kernel[2] * groups) and kernel[:2] == _taps(windows) and 0 not in images
    # Of windows with one tap and strides, oneDNN 3.2 to 3.12 writes beyond its memory: its issue #6035.
    strided = windows.taps == 1 and max(windows.rows.stride, windows.columns.stride) > 1
    if strided or not fit or not all(map(is_plain, arrays)):
        return False
    return has_convolution(*_geometry(kind, images, kernel, windows, groups))


def _taps(windows: Windows) -> Shape:
    return windows.rows.window, windows.columns.window


def _accepts(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> bool:
    return _takes("forward", x.shape, kernel.shape, windows, groups, x, kernel)


def _products(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> int:
    return len(x) * math.prod(windows.counts) * int(kernel.size)


def _accepts_transposed(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> bool:
    images = len(y), *windows.sizes, kernel.shape[2] * groups
    fit = y.shape[1:] == (*windows.counts, kernel.shape[3])
    return fit and _takes("backward_data", images, kernel.shape, windows, groups, y, kernel)


def _accepts_kernel(x: Array, y: Array, windows: Windows, groups: int = 1, out: Any = None) -> bool:
    fit = y.shape[:3] == (len(x), *windows.counts)
    return fit and _takes("backward_weights", x.shape, _shape_of_kernel(x, y, windows, groups), windows, groups, x, y)


def _products_of_kernel(x: Array, y: Array, windows: Windows, groups: int = 1, out: Any = None) -> int:
    return int(y.size) * windows.taps * int(x.shape[3] // groups)


def _shape_of_kernel(x: Array, y: Array, windows: Windows, groups: int) -> Shape:
    return *_taps(windows), x.shape[3] // groups, y.shape[3]


@onednn_kernel(least=_LEAST, accepts=_accepts, measured=_products)
def correlate(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    y = empty(x, (len(x), *windows.counts, kernel.shape[3]))
    _correlate(y, *map(_contiguous, (x, kernel)), windows, groups)
    return y


@onednn_kernel(least=_LEAST, accepts=_accepts_transposed, measured=_products)
def correlate_transposed(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    x = empty(y, (len(y), *windows.sizes, kernel.shape[2] * groups))
    _correlate_transposed(x, *map(_contiguous, (y, kernel)), windows, groups)
    return x


@onednn_kernel(least=_LEAST, accepts=_accepts_kernel, measured=_products_of_kernel)
def correlate_kernel(x: Array, y: Array, windows: Windows, groups: int = 1, out: Any = None) -> Array:
    if out is None or not out.flags.c_contiguous or out.dtype != x.dtype:
        out = empty(x, _shape_of_kernel(x, y, windows, groups))
    _correlate_kernel(out, *map(_contiguous, (x, y)), windows, groups)
    return out


def _accepts_depthwise(x: Array, kernel: Array, windows: Windows) -> bool:
    of_groups = _of_groups(kernel)
    kinds = "forward", "backward_data", "backward_weights"  # the pullback needs them
    return all(_takes(kind, x.shape, of_groups.shape, windows, kernel.shape[2], x, kernel) for kind in kinds)


@onednn_kernel(least=_LEAST, accepts=_accepts_depthwise, measured=_products)
def correlate_depthwise(x: Array, kernel: Array, windows: Windows) -> tuple[Array, Pullback]:
    of_groups, groups = _of_groups(kernel), kernel.shape[2]
    y = correlate(x, of_groups, windows, groups)

    def pullback(dy: Array, out: Any = (None, None)) -> tuple[Array | None, ...]:
        dy = dy.reshape(y.shape)
        dy = dy if dy.dtype == x.dtype else dy.astype(x.dtype)
        dx = None if out[0] is SKIP else correlate_transposed(dy, of_groups, windows, groups)
        dkernel = None if out[1] is SKIP else correlate_kernel(x, dy, windows, groups).reshape(kernel.shape)
        return dx, dkernel

    return y, pullback


def _of_groups(kernel: Array) -> Array:
    """A kernel (rows, columns, c, m) as one of c groups, which have a channel each."""
    return kernel.reshape(*kernel.shape[:2], 1, -1)


def _contiguous(array: Array) -> Array:
    return array if array.flags.c_contiguous else array.copy()


@Routine
def _correlate(y: np.ndarray, x: np.ndarray, kernel: np.ndarray, windows: Windows, groups: int) -> None:
    convolve(x, kernel, y, *_geometry("forward", x.shape, kernel.shape, windows, groups))


@Routine
def _correlate_transposed(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, windows: Windows, groups: int) -> None:
    convolve(x, kernel, y, *_geometry("backward_data", x.shape, kernel.shape, windows, groups))


@Routine
def _correlate_kernel(kernel: np.ndarray, x: np.ndarray, y: np.ndarray, windows: Windows, groups: int) -> None:
    convolve(x, kernel, y, *_geometry("backward_weights", x.shape, kernel.shape, windows, groups))
