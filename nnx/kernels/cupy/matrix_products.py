"""Matrix products for CuPy: GEMMs that write where their result belongs, and sums of columns, which are one more."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from nnx.backends.base import Array


def product(a: Array, b: Array, out: Any = None) -> Array:
    """a @ b of matrices, in `out` if that is an array that a GEMM can write to. Transposed matrices are not copied."""
    cupy = importlib.import_module("cupy")
    if out is None or not out.flags.c_contiguous:
        return cupy.matmul(a, b)
    return cupy.matmul(a, b, out=out)


def column_sums(matrix: Array, out: Any = None) -> Array:
    """The sums of the columns of a matrix, by a GEMM: CuPy's `sum` of the first axis misses the fast path of CUB."""
    rows = matrix.shape[0]
    line = None if out is None else out.reshape(1, -1)
    power = 1 << max(0, rows - 1).bit_length()  # few lengths, so that rows of ones are few
    return product(ones(power, matrix.dtype.name, matrix.device.id)[:, :rows], matrix, line).reshape(-1)


@functools.lru_cache(maxsize=64)
def ones(length: int, dtype: str, device: int) -> Array:
    """A row of ones on a device, which nobody may change."""
    cupy = importlib.import_module("cupy")
    with cupy.cuda.Device(device):
        return cupy.ones((1, length), dtype)
