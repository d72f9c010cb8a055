"""Matrix products for NumPy: by BLAS or, where they are large and oneDNN is there, by oneDNN.

Those of float32 take oneDNN 0.8 times as long as OpenBLAS on one core of an Intel Xeon (Sapphire Rapids). With AVX2
alone, on an AMD EPYC (Zen 3), that is so of many rows with short sums, (3200, 128) @ (128, 512); others, and above all
long sums, as gradients of kernels are, take up to half as long again, and are BLAS'.

Where one matrix has few elements, as those of convolutions with few channels, they are made in pieces. OpenBLAS
multiplies matrices with m * n * k up to a million without packing them first, and with one thread; packing costs more
than the product where one of them has few elements: (7840, 25) @ (25, 6) takes half as long in two pieces, and its
transposed form a third. NumPy's `matmul` of a stack of pieces is one call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import onednn
from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.memory import empty
from nnx.kernels.numpy.table import KERNELS

LARGE = 2_000_000
"""m * n * k from which on a call of oneDNN, some 6 microseconds, takes less time than NumPy's."""

_SMALL = 1_000_000  # m * n * k of a piece
_FEW = 1024  # elements of the other matrix
_TALL = 8  # rows for each term of a sum
_NARROW = 16  # rows, columns or sums of a product that reads more than it computes
_LEAST = 1 << 17  # bytes of a result whose memory is used again
_CLEARED = 1 << 18  # bytes of a result from which on it takes longer to clear its memory, as `dot` does, than a look


def product(a: Array, b: Array, out: Any = None) -> Array:
    """The matrix product a @ b, in the array `out` if it is given."""
    rows, columns, terms = a.shape[0], b.shape[1], a.shape[1]
    if rows * columns * terms >= LARGE and _is_onednns(a, b, out):
        out = empty(a, (rows, columns)) if out is None else out
        onednn.multiply(out, a, b)
        return out
    if out is None and rows * columns * a.itemsize >= _LEAST and a.dtype == b.dtype:
        out = empty(a, (rows, columns))
    if rows * columns * a.itemsize >= _CLEARED and _is_blas(a, b, out):
        return np.matmul(a, b, out=out)
    return np.dot(a, b, out=out)


def _is_blas(a: Array, b: Array, out: Any) -> bool:
    """Whether `matmul` passes a product to BLAS as `dot` does, with the same result.

    Its own loops, for memory with gaps and for other dtypes than these, take far longer.
    """
    of_one_dtype = out is not None and a.dtype == b.dtype == out.dtype and a.dtype.char in "fd"
    return of_one_dtype and a.flags.forc and b.flags.forc and out.flags.forc


def _is_onednns(a: Array, b: Array, out: Any) -> bool:
    """Whether oneDNN is there for a large product of these, none of them close to a vector, and the faster one."""
    if not onednn.is_onednn_used() or a.shape[0] < _NARROW or a.shape[1] < _NARROW or b.shape[1] < _NARROW:
        return False
    if a.shape[0] < _TALL * a.shape[1] and not onednn.has_wide_vectors():
        return False
    plain = onednn.is_plain(a) and onednn.is_plain(b) and (out is None or onednn.is_plain(out))
    return plain and onednn.can_multiply(a, b, out)


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Product out = a @ b, where a has many rows."""
    step = _step(len(a), b.size)
    if not step:
        np.matmul(a, b, out=out)
        return
    whole = len(a) // step * step
    np.matmul(_pieces(a[:whole], step), b, out=_pieces(out[:whole], step))
    if whole < len(a):
        np.matmul(a[whole:], b, out=out[whole:])


def multiply_transposed(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Product out = a.T @ b, where both have many rows."""
    step = _step(len(a), out.size)
    if not step:
        if out.flags.c_contiguous:
            product(a.T, b, out)  # `matmul` keeps other threads out while it makes a small result
        else:
            np.matmul(a.T, b, out=out)
        return
    whole = len(a) // step * step
    parts = np.matmul(_pieces(a[:whole], step).transpose(0, 2, 1), _pieces(b[:whole], step))
    np.add.reduce(parts, axis=0, out=out)
    if whole < len(a):
        out += np.matmul(a[whole:].T, b[whole:])


def _step(rows: int, elements: int) -> int:
    """Number of rows that a piece should have; 0 for a product in one piece."""
    if not 0 < elements <= _FEW or rows * elements <= _SMALL:
        return 0
    pieces = -(-rows * elements // _SMALL)
    return -(-rows // pieces)


def _pieces(a: np.ndarray, step: int) -> np.ndarray:
    """A view of (n * step, m) as (n, step, m)."""
    return a.reshape(-1, step, a.shape[1])


def _accepts(a: Array, b: Array) -> bool:
    """Whether the stacks have one shape, and nothing is promoted."""
    return bool(a.dtype == b.dtype and a.ndim == b.ndim > 1 and a.shape[:-2] == b.shape[:-2])


@backend_kernel(KERNELS, accepts=_accepts)
def matrix_products(a: Array, b: Array) -> Array:
    if a.ndim == 2:
        return product(a, b)
    shape = *a.shape[:-1], b.shape[-1]
    swapped = b.ndim == 4 and not b.flags.c_contiguous and b.swapaxes(1, 2).flags.c_contiguous
    if not swapped:
        return np.matmul(a, b, out=empty(a, shape))
    # Heads that are views of (batch, steps, heads, size) give heads of that kind, which become rows without a copy.
    out = empty(a, (shape[0], shape[2], shape[1], shape[3])).swapaxes(1, 2)
    return np.matmul(a, b, out=out)
