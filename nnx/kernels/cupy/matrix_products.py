"""Matrix products for CuPy: GEMMs that write where their result belongs, and sums of columns, which are one more."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels.cupy.cuda_kernels import CUPY, contiguous, expect_current_device

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


def products(a: Array, b: Array, out: Array | None = None, alpha: float = 1.0, beta: float = 0.0) -> Array:
    """alpha * a @ b of several matrices (count, rows, k) and (count, k, columns), by one batched GEMM; + beta * out.

    Matrices are read where they lie: transposed, with any step from row to row, and any from matrix to matrix, also 0;
    only what has a step between neighbours in both directions is copied. out : where the products are written, in rows.

    ValueError as for `product`.
    """
    cuda = importlib.import_module("cupy").cuda
    expect_current_device(a, b)
    (count, rows, inner), columns = a.shape, b.shape[2]
    if max(count, rows, inner, columns) > _MOST:
        raise ValueError(f"cuBLAS has 32-bit numbers for rows and columns of matrices, got {a.shape} and {b.shape}")
    if out is None:
        out = CUPY.xp.empty((count, rows, columns), dtype=a.dtype, device=a.device)
    a, b = (x if _steps(x) else contiguous(x) for x in (a, b))
    name, of_factors, code, end = _GEMMS[a.dtype.name]
    factors = [np.asarray(number, of_factors) for number in (alpha, beta)]
    steps = [_steps(x) or (0, 0) for x in (b, a, out)]
    operands = [
        (x.data.ptr, *code, step, x.strides[0] // x.itemsize) for x, (_, step) in zip((b, a, out), steps, strict=True)
    ]
    # To cuBLAS, which counts along columns, all matrices are transposed: it computes b.T @ a.T.
    getattr(cuda.cublas, name)(
        *(cuda.get_cublas_handle(), steps[0][0], steps[1][0], columns, rows, inner, factors[0].ctypes.data),
        *(*operands[0], *operands[1], factors[1].ctypes.data, *operands[2], count, *end),
    )
    return out


# For each dtype the function of cuBLAS, the dtype of its factors, and what it wants to know besides: the code of the
# dtype after each address, and at the end that sums are of float32 (68), by an algorithm of its choice (-1).
_GEMMS: dict[str, tuple[str, str, tuple[int, ...], tuple[int, ...]]] = {
    "float16": ("gemmStridedBatchedEx", "float32", (2,), (68, -1)),
    "float32": ("sgemmStridedBatched", "float32", (), ()),
    "float64": ("dgemmStridedBatched", "float64", (), ()),
}


def _steps(x: Array) -> tuple[int, int] | None:
    """How matrices lie: 0 and the step from row to row, or 1 and that from column to column.

    None where neither the elements of a row nor those of a column are neighbours.
    """
    _, rows, columns = x.shape
    _, down, across = (step // x.itemsize for step in x.strides)
    if (columns == 1 or across == 1) and (rows == 1 or down >= columns):
        return 0, down if rows > 1 else columns
    if (rows == 1 or down == 1) and (columns == 1 or across >= rows):
        return 1, across if columns > 1 else rows
    return None


def column_sums(matrix: Array, out: Any = None) -> Array:
    """The sums of the columns of a matrix, by a GEMM: CuPy's `sum` of the first axis misses the fast path of CUB."""
    rows = matrix.shape[0]
    line = None if out is None else out.reshape(1, -1)
    return product(ones(rows, matrix), matrix, line).reshape(-1)


def ones(length: int, like: Array) -> Array:
    """A row of ones (1, length) beside an array and of its dtype, which nobody may change: it is kept."""
    power = 1 << max(0, length - 1).bit_length()  # few lengths, so that rows of ones are few
    key = power, like.dtype.name, like.device.id
    found = _ONES.get(key)
    if found is None:
        found = _ONES[key] = CUPY.keep(like, lambda: CUPY.xp.ones((1, power), dtype=like.dtype))
    return found[:, :length]


_ONES: dict[tuple[int, str, int], Array] = {}
"""By length, dtype and device. All of them together are no longer than two of the longest."""
