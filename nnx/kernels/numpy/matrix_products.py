"""Matrix products for NumPy where one matrix has few elements, as those of convolutions with few channels.

OpenBLAS multiplies matrices with m * n * k up to a million without packing them first, and with one thread. Where one
of them has few elements, packing the other costs more than the product: (7840, 25) @ (25, 6) takes half as long in two
pieces, and its transposed form a third. NumPy's `matmul` of a stack of pieces is one call.
"""

from __future__ import annotations

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.memory import empty
from nnx.kernels.numpy.table import KERNELS

_SMALL = 1_000_000  # m * n * k of a piece
_FEW = 1024  # elements of the other matrix


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
            np.dot(a.T, b, out=out)  # `matmul` keeps other threads out while it makes a small result
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
    return bool(a.dtype == b.dtype and a.ndim > 2 and a.shape[:-2] == b.shape[:-2])


@backend_kernel(KERNELS, accepts=_accepts)
def matrix_products(a: Array, b: Array) -> Array:
    return np.matmul(a, b, out=empty(a, (*a.shape[:-1], b.shape[-1])))
