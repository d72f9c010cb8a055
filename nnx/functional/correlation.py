"""Correlation of images with a kernel, and its two adjoints: the linear maps that convolutions are made of.

`correlate` is linear in the images and in the kernel. Its adjoint in the images is `correlate_transposed`, which is
also what a transposed convolution computes; that in the kernel is `correlate_kernel`. Each is one GEMM.
"""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.unfolding import fold, unfold
from nnx.kernels import accelerated
from nnx.windows import Windows

__all__ = ["correlate", "correlate_kernel", "correlate_transposed"]


@accelerated
def correlate(x: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    """Correlation: x (n, rows, columns, c), kernel (kh, kw, c / groups, f)  ->  a new array (n, *windows.counts, f)

    Output g of a position is the sum of kernel * window. The channels and the f filters are split into groups,
    and a filter sees the channels of its own group.

    >>> import numpy as np
    >>> from nnx.windows import windows_of
    >>> windows = windows_of("correlate", (3, 1), (2, 1), (1, 1), "valid")
    >>> x, kernel = np.asarray([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1), np.asarray([1.0, 10.0]).reshape(2, 1, 1, 1)
    >>> correlate(x, kernel, windows).ravel()
    array([21., 42.])
    """
    xp = array_namespace(x)
    left, right = _columns(unfold(x, windows), groups), _filters(kernel, groups)
    y = _ungrouped(xp.matmul(left, right), groups)
    return xp.reshape(y, (x.shape[0], *windows.counts, kernel.shape[3]))


@accelerated
def correlate_transposed(y: Array, kernel: Array, windows: Windows, groups: int = 1) -> Array:
    """Adjoint of `correlate` in its images: y (n, *windows.counts, f)  ->  (n, rows, columns, c)"""
    xp = array_namespace(y)
    n, c = y.shape[0], kernel.shape[2] * groups
    elements = xp.matmul(_rows(y, groups), xp.matrix_transpose(_filters(kernel, groups)))
    down, across = windows.counts
    if groups > 1:  # (groups, n * windows, taps * c / groups), as `_columns` made them
        elements = xp.reshape(elements, (groups, n * down * across, windows.taps, c // groups))
        elements = xp.permute_dims(elements, (1, 2, 0, 3))
    return fold(xp.reshape(elements, (n, down * across, windows.taps, c)), windows)


@accelerated
def correlate_kernel(x: Array, y: Array, windows: Windows, groups: int = 1, out: Any = None) -> Array:
    """Adjoint of `correlate` in its kernel: x (n, rows, columns, c), y (n, *windows.counts, f)  ->  the kernel's

    out : an array for the result, which may be ignored.
    """
    xp = array_namespace(x)
    c, f = x.shape[3], y.shape[3]
    columns = _columns(unfold(x, windows), groups)
    kernel = xp.matmul(xp.matrix_transpose(columns), _rows(y, groups))
    if groups > 1:
        kernel = xp.permute_dims(xp.reshape(kernel, (groups, windows.taps, c // groups, f // groups)), (1, 2, 0, 3))
    return xp.reshape(kernel, (windows.rows.window, windows.columns.window, c // groups, f))


def _columns(elements: Array, groups: int) -> Array:
    """(n, windows, taps, c)  ->  (n * windows, taps * c), or one such matrix for each group"""
    xp = array_namespace(elements)
    n, count, taps, c = elements.shape
    if groups == 1:
        return xp.reshape(elements, (n * count, taps * c))
    split = xp.reshape(elements, (n * count, taps, groups, c // groups))
    return xp.reshape(xp.permute_dims(split, (2, 0, 1, 3)), (groups, n * count, taps * (c // groups)))


def _filters(kernel: Array, groups: int) -> Array:
    """(kh, kw, c / groups, f)  ->  (taps * c, f), or one such matrix for each group"""
    xp = array_namespace(kernel)
    tall, wide, c, f = kernel.shape
    if groups == 1:
        return xp.reshape(kernel, (tall * wide * c, f))
    return xp.permute_dims(xp.reshape(kernel, (tall * wide * c, groups, f // groups)), (1, 0, 2))


def _rows(y: Array, groups: int) -> Array:
    """(n, rows, columns, f)  ->  (n * rows * columns, f), or one such matrix for each group"""
    xp = array_namespace(y)
    n, height, width, f = y.shape
    if groups == 1:
        return xp.reshape(y, (n * height * width, f))
    return xp.permute_dims(xp.reshape(y, (n * height * width, groups, f // groups)), (1, 0, 2))


def _ungrouped(rows: Array, groups: int) -> Array:
    """One matrix from those of the groups, whose columns are put side by side."""
    xp = array_namespace(rows)
    if groups == 1:
        return rows
    _, count, f = rows.shape
    return xp.reshape(xp.permute_dims(rows, (1, 0, 2)), (count, groups * f))
