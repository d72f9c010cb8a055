"""CuPy's form of the affine map: GEMMs that write where their result belongs, and the bias's gradient as one more."""

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


def _is_plain(x: Array, kernel: Array, bias: Array | None = None) -> bool:
    return is_floating(x, kernel, bias) and x.ndim > 1


@kernel(CUPY, accepts=_is_plain)
def dense(x: Array, kernel: Array, bias: Array | None = None) -> tuple[Array, Pullback]:
    n, m = kernel.shape
    rows = math.prod(x.shape[:-1])
    flat_x = x.reshape(rows, n)
    y = product(flat_x, kernel)
    if bias is not None:
        y += bias

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        flat_dy = dy.reshape(rows, m)
        dx = None if out[0] is SKIP else product(flat_dy, kernel.T).reshape(x.shape)
        dkernel = None if out[1] is SKIP else product(flat_x.T, flat_dy, out[1])
        if bias is None:
            return dx, dkernel
        return dx, dkernel, None if out[2] is SKIP else column_sums(flat_dy, out[2])

    return y.reshape(*x.shape[:-1], m), pullback
