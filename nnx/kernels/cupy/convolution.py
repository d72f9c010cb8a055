"""Convolutions for CuPy: windows are copied into columns by one launch, and multiplied by one GEMM.

The gradient of the images goes the other way: one GEMM, then a launch in which each pixel adds up its elements of the
columns. A window for every pixel, or one for the whole image, needs no columns at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.matrix_products import product
from nnx.kernels.cupy.table import KERNELS
from nnx.kernels.cupy.window_geometry import GEOMETRY, PIXEL_PLACE, columns_fit, fits, geometry, over_windows
from nnx.windows import Windows

_MOST = 256 << 20
"""Bytes of columns that are made at a time. Columns are as many times larger than the images as windows have taps, and
would otherwise decide how large a batch can be; a GEMM of this size keeps every GPU busy."""

# (groups, n * positions, taps * depth) from (n, h, w, c), where depth = c / groups
_UNFOLD = ElementwiseKernel(
    "unfold",
    f"raw T x, {GEOMETRY}, int32 c, int32 depth, int32 n",
    "T columns",
    """
    unsigned int rest = i;
    int channel = rest % depth; rest /= depth;
    int b = rest % kw; rest /= kw;
    int a = rest % kh; rest /= kh;
    int across = rest % ow; rest /= ow;
    int down = rest % oh; rest /= oh;
    int image = rest % n, group = rest / n;
    int row = down * sh + a * dh - bh, column = across * sw + b * dw - bw;
    W found = 0;
    if (row >= 0 && row < h && column >= 0 && column < w)
        found = x[((image * h + row) * w + column) * c + group * depth + channel];
    columns = found;
    """,
)
_FOLD = ElementwiseKernel(
    "fold",
    f"raw T columns, {GEOMETRY}, int32 c, int32 depth, int32 n",
    "T x",
    PIXEL_PLACE
    + "int first = channel / depth * n + image, of_group = channel % depth; W sum = 0;"
    + over_windows(
        "sum += (W)columns[(((first * oh + down) * ow + across) * kh * kw + a * kw + b) * depth + of_group];"
    )
    + "x = sum;",
)


def _accepts_correlate(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> bool:
    f, c = kernel.shape[3], x.shape[3]
    return is_floating(x, kernel) and fits(x.shape[0], windows, max(c, f)) and columns_fit(windows, c)


def _accepts_transposed(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> bool:
    f, c = kernel.shape[3], kernel.shape[2] * groups
    return is_floating(y, kernel) and fits(y.shape[0], windows, max(c, f)) and columns_fit(windows, c)


def _accepts_kernel(x: Array, y: Array, windows: Windows, groups: int = 1, out: Any = None) -> bool:
    c, f = x.shape[3], y.shape[3]
    return is_floating(x, y) and fits(x.shape[0], windows, max(c, f)) and columns_fit(windows, c)


@backend_kernel(KERNELS, accepts=_accepts_correlate)
def correlate(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    f = kernel.shape[3]
    y = _empty((x.shape[0], *windows.counts, f), x)
    filters = _filters(kernel, groups)
    for images in _pieces(x.shape[0], windows, x.shape[3], groups, x):
        rows = y[images].reshape(-1, f)
        if groups == 1:
            product(_columns(x[images], windows, groups), filters, rows)
        else:
            parts = _columns(x[images], windows, groups) @ filters
            rows.reshape(-1, groups, f // groups)[...] = parts.transpose(1, 0, 2)
    return y


@backend_kernel(KERNELS, accepts=_accepts_transposed)
def correlate_transposed(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    n, f, depth = y.shape[0], kernel.shape[3], kernel.shape[2]
    c = depth * groups
    filters = _filters(kernel, groups).swapaxes(-2, -1)
    if _needs_no_columns(windows, groups):
        return product(y.reshape(-1, f), filters).reshape(n, *windows.sizes, c)
    x = _empty((n, *windows.sizes, c), y)
    for images in _pieces(n, windows, c, groups, y):
        rows, part = _rows(y[images], groups), x[images]
        columns = product(rows, filters) if groups == 1 else rows @ filters
        _FOLD(columns, *geometry(windows), c, depth, part.shape[0], part)
    return x


@backend_kernel(KERNELS, accepts=_accepts_kernel)
def correlate_kernel(x: Array, y: Array, windows: Windows, groups: int = 1, out: Any = None) -> Array:
    depth, f = x.shape[3] // groups, y.shape[3]
    if out is None or not out.flags.c_contiguous:
        out = _empty((windows.rows.window, windows.columns.window, depth, f), x)
    total = out.reshape(-1, f)
    for images in _pieces(x.shape[0], windows, x.shape[3], groups, x):
        columns, rows = _columns(x[images], windows, groups), _rows(y[images], groups)
        if groups == 1:
            part = product(columns.T, rows, None if images.start else total)
        else:
            part = (columns.swapaxes(1, 2) @ rows).transpose(1, 0, 2)
        del columns  # its memory is that of the next piece
        if images.start:
            total.reshape(part.shape)[...] += part
        elif groups > 1:
            total.reshape(part.shape)[...] = part
    return out


def _needs_no_columns(windows: Windows, groups: int) -> bool:
    """Whether the columns are the images themselves."""
    return groups == 1 and (windows.single or windows.whole)


def _pieces(n: int, windows: Windows, c: int, groups: int, like: Array) -> Iterator[slice]:
    """Slices of some images at a time, whose columns are not too large; also no images are a piece."""
    of_image = windows.counts[0] * windows.counts[1] * windows.taps * c * like.itemsize
    step = max(1, n if _needs_no_columns(windows, groups) else _MOST // max(1, of_image))
    for start in range(0, max(1, n), step):
        yield slice(start, start + step)


def _columns(x: Array, windows: Windows, groups: int) -> Array:
    """Columns of windows: (n, rows, columns, c)  ->  (n * windows, taps * c), or one such matrix for each group"""
    n, c = x.shape[0], x.shape[3]
    if _needs_no_columns(windows, groups):
        return x.reshape(n * windows.counts[0] * windows.counts[1], windows.taps * c)
    depth = c // groups
    shape = (groups, n * windows.counts[0] * windows.counts[1], windows.taps * depth)
    columns = _empty(shape if groups > 1 else shape[1:], x)
    _UNFOLD(contiguous(x), *geometry(windows), c, depth, n, columns)
    return columns


def _filters(kernel: Array, groups: int) -> Array:
    """Filters as a matrix: (kh, kw, depth, f)  ->  (taps * depth, f), or one such matrix for each group"""
    tall, wide, depth, f = kernel.shape
    if groups == 1:
        return kernel.reshape(tall * wide * depth, f)
    return kernel.reshape(tall * wide * depth, groups, f // groups).transpose(1, 0, 2)


def _rows(y: Array, groups: int) -> Array:
    """Rows of windows: (n, down, across, f)  ->  (n * windows, f), or one such matrix for each group"""
    f = y.shape[3]
    return y.reshape(-1, f) if groups == 1 else y.reshape(-1, groups, f // groups).transpose(1, 0, 2)


def _empty(shape: tuple[int, ...], like: Array) -> Array:
    return CUPY.xp.empty(shape, dtype=like.dtype, device=like.device)
