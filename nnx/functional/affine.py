"""Affine maps."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated
from nnx.protocol import SKIP, Pullback


@accelerated
def dense(x: Array, kernel: Array, bias: Array | None = None) -> tuple[Array, Pullback]:
    """Affine map of the last axis.

    x (..., n), kernel (n, m), bias (m,) or None  ->  y (..., m) = x @ kernel + bias
    pullback(dy) -> (dx, dkernel, dbias), or (dx, dkernel) without a bias
    """
    xp = array_namespace(x)
    n, m = kernel.shape
    rows = math.prod(x.shape[:-1])
    flat_x = xp.reshape(x, (rows, n))  # one 2-D GEMM is what every library does best
    y = flat_x @ kernel
    if bias is not None:
        y = y + bias

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        flat_dy = xp.reshape(dy, (rows, m))
        dx = None if out[0] is SKIP else xp.reshape(flat_dy @ xp.matrix_transpose(kernel), x.shape)
        dkernel = None if out[1] is SKIP else xp.matrix_transpose(flat_x) @ flat_dy
        if bias is None:
            return dx, dkernel
        return dx, dkernel, None if out[2] is SKIP else xp.sum(flat_dy, axis=0)

    return xp.reshape(y, (*x.shape[:-1], m)), pullback
