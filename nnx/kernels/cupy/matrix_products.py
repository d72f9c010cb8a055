"""Matrix products for CuPy: GEMMs that write where their result belongs, and sums of columns, which are one more."""

from __future__ import annotations

import importlib
from typing import Any

from nnx.backends.base import Array
from nnx.kernels.cupy.cuda_kernels import CUPY, expect_current_device

_MOST = 2**31 - 1  # CuPy would pass on the last 32 bits of a larger number


def product(a: Array, b: Array, out: Any = None) -> Array:
    """a @ b of matrices, in `out` if that is an array that a GEMM can write to. Transposed matrices are not copied.

    ValueError for matrices that are not on the current device, or have more rows or columns than cuBLAS can count.
    """
    cupy = importlib.import_module("cupy")
    expect_current_device(a, b)
    if max(*a.shape, *b.shape) > _MOST:
        raise ValueError(f"cuBLAS has 32-bit numbers for rows and columns of matrices, got {a.shape} and {b.shape}")
    if out is None or not out.flags.c_contiguous:
        return cupy.matmul(a, b)
    return cupy.matmul(a, b, out=out)


def column_sums(matrix: Array, out: Any = None) -> Array:
    """The sums of the columns of a matrix, by a GEMM: CuPy's `sum` of the first axis misses the fast path of CUB."""
    rows = matrix.shape[0]
    line = None if out is None else out.reshape(1, -1)
    power = 1 << max(0, rows - 1).bit_length()  # few lengths, so that rows of ones are few
    return product(_ones(power, matrix)[:, :rows], matrix, line).reshape(-1)


def _ones(length: int, like: Array) -> Array:
    """A row of ones beside an array and of its dtype, which nobody may change: it is kept."""
    key = length, like.dtype.name, like.device.id
    found = _ONES.get(key)
    if found is None:
        found = _ONES[key] = CUPY.keep(like, lambda: CUPY.xp.ones((1, length), dtype=like.dtype))
    return found


_ONES: dict[tuple[int, str, int], Array] = {}
"""By length, dtype and device. All of them together are no longer than two of the longest."""
