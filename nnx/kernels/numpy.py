"""NumPy's form of the affine map: GEMMs that write where their result belongs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from nnx import kernels
from nnx.backends.base import Array, find_backend
from nnx.protocol import SKIP, Pullback


def _is_plain(x: Array, kernel: Array, bias: Array | None = None) -> bool:
    """One dtype, so that nothing is promoted, and no view that `dot` cannot write to."""
    return x.dtype == kernel.dtype and x.ndim > 1 and (bias is None or bias.dtype == kernel.dtype)


@kernels.kernel(find_backend("numpy"), accepts=_is_plain)
def dense(x: Array, kernel: Array, bias: Array | None = None) -> tuple[Array, Pullback]:
    n, m = kernel.shape
    flat_x = x if x.ndim == 2 else x.reshape(-1, n)
    y = np.dot(flat_x, kernel)  # on small arrays twice as fast as matmul
    if bias is not None:
        y += bias

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        flat_dy = dy if dy.ndim == 2 else dy.reshape(-1, m)
        dx = dkernel = dbias = None
        if out[0] is not SKIP:
            dx = np.dot(flat_dy, kernel.T)
            dx = dx if x.ndim == 2 else dx.reshape(x.shape)
        if out[1] is not SKIP:
            dkernel = np.dot(flat_x.T, flat_dy, out=out[1])
        if bias is None:
            return dx, dkernel
        if out[2] is not SKIP:
            dbias = np.dot(_ones(flat_dy.shape[0], dy.dtype), flat_dy, out=out[2])  # a GEMV, faster than a sum
        return dx, dkernel, dbias

    return (y if x.ndim == 2 else y.reshape(*x.shape[:-1], m)), pullback


@functools.lru_cache(maxsize=64)
def _ones(length: int, dtype: np.dtype[Any]) -> np.ndarray:
    ones = np.ones(length, dtype)
    ones.flags.writeable = False
    return ones
