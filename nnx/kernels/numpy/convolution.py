"""Convolutions for NumPy: windows are copied into columns a few images at a time, and each block is one GEMM.

The columns of a block stay in the cache and are made anew in the backward pass, so no memory grows with the size of
the window. Measured against copying all windows at once: 0.6 times as long for 64 images of 26 x 26 x 32 and 3 x 3
windows. The GEMMs use the threads of BLAS. More threads for the copies were measured and not kept: those of BLAS spin
for a while after a product and hold the cores.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.column_sums import largest_divisor
from nnx.kernels.numpy.matrix_products import multiply, multiply_transposed
from nnx.kernels.numpy.memory import empty, scratch, zeros
from nnx.kernels.numpy.table import KERNELS
from nnx.windows import Axis, Windows

_BLOCK = 1 << 21  # bytes that one block reads and writes; measured: half as many are 5 % slower, more are as fast
_SHORT = 192  # bytes of a run, for which NumPy takes less when it is one element: 0.6 to 0.9 of the time
_FILTERS = 32  # of the windows that are taken together; see `_together`
_WIDE = 64  # channels of sequences; see `correlate_transposed`
_MANY = 16  # channels, for which the rows of a kernel are multiplied together; see `_spread`

Block = tuple[slice, slice]
"""Some images and some rows of their windows: all rows, or one image."""


def blocks(images: int, rows: int, bytes_of_row: int) -> Iterator[Block]:
    """Cut a batch into blocks of about `_BLOCK` bytes, for so many bytes in a row of windows."""
    if rows * bytes_of_row <= _BLOCK:
        step = max(1, _BLOCK // max(1, rows * bytes_of_row))
        for start in range(0, images, step):
            yield slice(start, min(start + step, images)), slice(0, rows)
        return
    step = max(1, _BLOCK // bytes_of_row)
    for image in range(images):
        for start in range(0, rows, step):
            yield slice(image, image + 1), slice(start, min(start + step, rows))


class _Columns:
    """Windows of images as rows of a matrix (windows, taps * c), block by block."""

    def __init__(self, x: np.ndarray, windows: Windows, bytes_beside: int) -> None:
        """bytes_beside : what is read or written for a row of windows besides the columns."""
        self._x, self._windows = x, windows
        (_, across), taps, c = windows.counts, windows.taps, x.shape[3]
        self._width = taps * c
        self._bytes_of_row = across * self._width * x.itemsize + bytes_beside
        # Whatever is contiguous in the source is one run of the copy: a row of taps, or a row of windows.
        rows, columns = windows.rows, windows.columns
        axis, along = (columns, across) if columns.size > 1 else (rows, rows.count)
        run = c * axis.window if axis.dilation == 1 else c
        self._by_taps = 2 * run <= along
        self._short = 0 < c * columns.window * x.itemsize <= _SHORT and columns.dilation == 1 and type(x) is np.ndarray

    def __iter__(self) -> Iterator[tuple[Block, np.ndarray]]:
        """The blocks, and for each the matrix, in a buffer that is used again for the next one."""
        x, windows = self._x, self._windows
        down, across = windows.counts
        if windows.single or windows.whole:  # no window has an element of another one
            yield (slice(0, len(x)), slice(0, down)), x.reshape(-1, self._width)
            return
        padded = _Padding(x, windows.rows, windows.columns)
        for images, rows in blocks(len(x), down, self._bytes_of_row):
            view = _windows_of(padded[images], windows)[:, rows]
            count = view.shape[0] * view.shape[1] * across
            flat = scratch("columns", x, (count * self._width,))
            if self._by_taps:
                view = view.transpose(3, 4, 5, 0, 1, 2)
                np.copyto(flat.reshape(view.shape), view)
                yield (images, rows), flat.reshape(self._width, count).T
            else:
                target = flat.reshape(view.shape)
                np.copyto(*map(_as_runs, (target, view)) if self._short else (target, view))
                yield (images, rows), flat.reshape(count, self._width)


class _Padding:
    """Some images of a batch as a contiguous array, with their padding."""

    def __init__(self, x: np.ndarray, rows: Axis, columns: Axis) -> None:
        self._x = x
        self._direct = x.flags.c_contiguous and not (rows.padded or columns.padded)
        self._sides = (rows.before, rows.after), (columns.before, columns.after)
        self._buffer = x[:0]
        self._last = slice(0, 0)

    def __getitem__(self, images: slice) -> np.ndarray:
        if self._direct:
            return self._x[images]
        if images == self._last:  # the next rows of the same image
            return self._buffer[: images.stop - images.start]
        (top, bottom), (left, right) = self._sides
        _, height, width, c = self._x.shape
        count = images.stop - images.start
        if len(self._buffer) < count:
            shape = (count, top + height + bottom, left + width + right, c)
            self._buffer = scratch("padding", self._x, shape)
            self._buffer[...] = 0.0
        self._buffer[:count, top : top + height, left : left + width] = self._x[images]
        self._last = images
        return self._buffer[:count]


def _windows_of(images: np.ndarray, windows: Windows) -> np.ndarray:
    """Windows (n, rows, columns, kh, kw, c): a view of contiguous, padded images, which nobody may write to."""
    rows, columns = windows.rows, windows.columns
    if type(images) is not np.ndarray:
        reach = [1 + (axis.window - 1) * axis.dilation for axis in (rows, columns)]
        every = np.lib.stride_tricks.sliding_window_view(images, reach, axis=(1, 2))
        some = every[:, :: rows.stride, :: columns.stride, :, :: rows.dilation, :: columns.dilation]
        return some[:, : rows.count, : columns.count].transpose(0, 1, 2, 4, 5, 3)
    n, row, column, channel = images.strides
    shape = (len(images), *windows.counts, rows.window, columns.window, images.shape[3])
    steps = (n, row * rows.stride, column * columns.stride, row * rows.dilation, column * columns.dilation, channel)
    return np.ndarray(shape, images.dtype, images, 0, steps)  # what `as_strided` gives, in a tenth of the time


def _as_runs(windows: np.ndarray) -> np.ndarray:
    """Windows (n, rows, columns, kh, kw, c) whose rows, which are contiguous, are one element each."""
    rows = windows.reshape(*windows.shape[:4], -1)
    return rows.view(f"V{rows.shape[4] * rows.itemsize}")


def have_one_dtype(*arguments: Any, **options: Any) -> bool:
    """Whether all arrays among the arguments have one dtype, so that nothing is promoted."""
    arrays = [argument for argument in (*arguments, *options.values()) if hasattr(argument, "dtype")]
    return all(array.dtype == arrays[0].dtype for array in arrays)


def _split(groups: int, size: int) -> list[slice]:
    """The channels of each group."""
    return [slice(start, start + size // groups) for start in range(0, size, size // groups)]


def _neighbours(columns: Axis, filters: int, most: int = _FILTERS) -> int:
    """How many windows along the columns are taken together, so that they have `most` filters; see `_together`."""
    if filters == 0 or columns.dilation > 1 or columns.window == 1:
        return 1
    return largest_divisor(columns.count, min(most // filters, 2 * columns.window // columns.stride))


def _together(windows: Windows, several: int) -> Windows:
    """Windows that hold `several` neighbours each, whose filters are those of one window.

    BLAS takes nearly as long for few filters as for more, and so does the copy of windows: for 6 filters and 5 x 5
    windows of one channel 0.7 times as long with four at a time, though each of these 24 filters has zeros where its
    own window does not reach.
    """
    columns, rows = windows.columns, windows.rows
    window, count = (several - 1) * columns.stride + columns.window, columns.count // several
    return Windows(rows, dataclasses.replace(columns, window=window, stride=several * columns.stride, count=count))


def _is_finite(array: np.ndarray) -> bool:
    """Whether there is no NaN and no infinity, which zeros of filters would spread to the windows beside."""
    return bool(np.isfinite(array).all())


def _repeated(kernel: np.ndarray, several: int, stride: int) -> np.ndarray:
    """The kernel of windows that are taken together: (tall, wide, c, f)  ->  (tall, wider, c, several * f)"""
    tall, wide, c, f = kernel.shape
    repeated = zeros(kernel, (tall, (several - 1) * stride + wide, c, several, f))
    for part in _parts(repeated, wide, stride):
        part[...] = kernel
    return repeated.reshape(*repeated.shape[:3], several * f)


def _parts(repeated: np.ndarray, wide: int, stride: int) -> list[np.ndarray]:
    """For each window its own part of a kernel (tall, wider, c, several, f)."""
    several = repeated.shape[3]
    return [repeated[:, number * stride : number * stride + wide, :, number] for number in range(several)]


@backend_kernel(KERNELS, accepts=have_one_dtype)
def correlate(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    tall, wide, c, f = kernel.shape
    down, across = windows.counts
    several = _neighbours(windows.columns, f) if groups == 1 else 1
    if several > 1 and _is_finite(x):
        filters = _repeated(kernel, several, windows.columns.stride)
        return correlate(x, filters, _together(windows, several)).reshape(len(x), down, across, f)
    y = empty(x, (len(x), down, across, f))
    for inputs, outputs in zip(_split(groups, x.shape[3]), _split(groups, f), strict=True):
        filters = kernel[..., outputs].reshape(tall * wide * c, -1)
        for block, columns in _Columns(x[..., inputs], windows, across * filters.shape[1] * x.itemsize):
            multiply(columns, filters, out=y[block][..., outputs].reshape(len(columns), filters.shape[1]))
    return y


@backend_kernel(KERNELS, accepts=have_one_dtype)
def correlate_transposed(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    tall, wide, c, f = kernel.shape
    x = empty(y, (len(y), windows.rows.size, windows.columns.size, c * groups))
    x[...] = 0.0
    rows, columns = windows.rows, windows.columns
    swapped = c >= max(f // groups, _WIDE) and columns.size == columns.window == columns.count == 1
    if swapped:  # a sequence, whose windows are copied where that takes less than to add up wide products
        windows, kernel = Windows(columns, rows), kernel.swapaxes(0, 1)
    for inputs, outputs in zip(_split(groups, c * groups), _split(groups, f), strict=True):
        filters, of_x, of_y = kernel[..., outputs], x[..., inputs], y[..., outputs]
        if swapped:
            of_x, of_y = of_x.swapaxes(1, 2), of_y.swapaxes(1, 2)
        if windows.single or windows.whole:
            filters = filters.reshape(tall * wide * c, -1)
            found = np.matmul(of_y.reshape(-1, filters.shape[1]), filters.T)
            of_x[...] = found.reshape(of_x.shape)
        else:
            step = _step(windows.columns)
            for phase in range(min(step, windows.columns.window)):  # others have no taps
                _spread(of_y, filters[:, phase::step], windows, phase, of_x)
    return x


def _step(axis: Axis) -> int:
    """From which tap to which the places where they lie differ by a multiple of the stride."""
    return axis.stride // math.gcd(axis.stride, axis.dilation)


def _spread(y: np.ndarray, kernel: np.ndarray, windows: Windows, phase: int, x: np.ndarray) -> None:
    """Add to x, in the columns that they reach, what the taps `phase`, `phase + step`, ... of a row give.

    kernel : those taps alone.

    Along the columns they are a correlation of y with stride 1, as a GEMM of copied windows. Along the rows the
    result of each row of the kernel is added where it belongs: long runs, which cost less than larger windows. With
    many channels all rows are in one product, with few each has its own: measured, 32 channels take 0.85 times as long
    together, 6 channels 1.2 times.
    """
    rows, columns = windows.rows, windows.columns
    filters = kernel[:, ::-1].transpose(0, 1, 3, 2)
    tall, taps, f, c = filters.shape
    place = phase * columns.dilation - columns.before  # of the first tap in the first window
    first = place % columns.stride
    if not taps or first >= columns.size:
        return
    # Column first + t * stride of x gets from the windows start + t, start + t + spacing, ... of y.
    spacing = _step(columns) * columns.dilation // columns.stride
    start = (first - place) // columns.stride - (taps - 1) * spacing
    y = y[:, :, max(0, start) :]
    across = (columns.size - 1 - first) // columns.stride + 1
    along = Windows(
        Axis(rows.count, 1, 1, 1, 0, rows.count), Axis(y.shape[2], taps, 1, spacing, max(0, -start), across)
    )
    several = _neighbours(along.columns, c, _MANY) if c > 1 else 1  # one channel is a product with a vector
    if several > 1 and _is_finite(y):
        filters, along = _repeated(filters, several, 1), _together(along, several)
        taps, c, across = taps + several - 1, several * c, across // several
    else:
        several = 1
    each = tall if c >= _MANY else 1  # rows of the kernel in one product
    filters = filters.reshape(tall // each, each, taps * f, c).transpose(0, 2, 1, 3)
    filters = filters.copy().reshape(tall // each, taps * f, each * c)
    for (images, block), matrix in _Columns(y, along, (each + 1) * across * c * x.itemsize):
        part = scratch("products", x, (len(matrix), each * c))
        shape = images.stop - images.start, block.stop - block.start, across, each, several, c // several
        of_rows = part.reshape(shape)
        for tap in range(tall):
            if tap % each == 0:
                multiply(matrix, filters[tap // each], out=part)
            inside, _ = rows.inside(tap)
            one, other = max(block.start, inside.start), min(block.stop, inside.stop)
            if one < other:
                begin = one * rows.stride + tap * rows.dilation - rows.before
                end = begin + (other - one - 1) * rows.stride + 1
                reached = x[images, begin : end : rows.stride, first :: columns.stride]
                reached = reached.reshape(*reached.shape[:2], across, several, c // several)
                reached += of_rows[:, one - block.start : other - block.start, :, tap % each]


@backend_kernel(KERNELS, accepts=have_one_dtype)
def correlate_kernel(x: Array, y: Array, windows: Windows, groups: int = 1, out: Any = None) -> Array:
    c, f, across = x.shape[3] // groups, y.shape[3], windows.counts[1]
    window = windows.rows.window, windows.columns.window
    several = _neighbours(windows.columns, f) if groups == 1 else 1
    if several > 1:
        of_y = y.reshape(len(y), windows.rows.count, across // several, several * f)
        repeated = correlate_kernel(x, of_y, _together(windows, several))
        first, *others = _parts(repeated.reshape(*repeated.shape[:3], several, f), window[1], windows.columns.stride)
        out = empty(x, (*window, c, f)) if out is None else out
        np.copyto(out, first)
        for other in others:
            np.add(out, other, out=out)
        return out
    if out is None or not out.flags.c_contiguous:
        out = empty(x, (*window, c, f))
    for inputs, outputs in zip(_split(groups, x.shape[3]), _split(groups, f), strict=True):
        total = out[..., outputs].reshape(windows.taps * c, -1)
        part = None
        for block, columns in _Columns(x[..., inputs], windows, across * total.shape[1] * x.itemsize):
            of_y = y[block][..., outputs].reshape(len(columns), total.shape[1])
            if part is None:
                multiply_transposed(columns, of_y, out=total)
                part = scratch("products", x, total.shape)
            else:
                multiply_transposed(columns, of_y, out=part)
                total += part
        if part is None:  # no images
            total[...] = 0.0
    return out
