"""CuPy's form of the linear map: GEMMs that write where their result belongs. What else is computed by GEMMs."""

from __future__ import annotations

import functools
import importlib
import math
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import kernel
from nnx.kernels.cupy_code import CUPY, is_floating
from nnx.protocol import SKIP, Pullback


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


@kernel(CUPY, accepts=lambda x, kernel: is_floating(x, kernel) and x.ndim > 1)
def linear_map(x: Array, kernel: Array) -> tuple[Array, Pullback]:
    n, m = kernel.shape
    rows = math.prod(x.shape[:-1])
    flat_x = x.reshape(rows, n)
    y = product(flat_x, kernel)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[Array | None, ...]:
        flat_dy = dy.reshape(rows, m)
        dx = None if out[0] is SKIP else product(flat_dy, kernel.T).reshape(x.shape)
        dkernel = None if out[1] is SKIP else product(flat_x.T, flat_dy, out[1])
        return dx, dkernel

    return y.reshape(*x.shape[:-1], m), pullback
