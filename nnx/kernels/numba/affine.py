"""Bias and relu after products and convolutions, compiled: one pass over the result, and one over its cotangent."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import name_of
from nnx.kernels.numba.compilation import compiled
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape, plain
from nnx.kernels.numba.wide_rows import WideRows
from nnx.kernels.numpy.column_sums import deliver
from nnx.kernels.numpy.matrix_products import product
from nnx.kernels.numpy.memory import empty
from nnx.pullbacks import SKIP, Differentiable, Pullback, linear

_LEAST = 65_536


def _accepts(z: Array, bias: Array | None, activate: Differentiable) -> bool:
    usable = bias is not None and z.ndim > 1 and z.size > 0 and name_of(activate) == "relu"
    return usable and are_plain(z, bias) and have_shape(z.shape[-1:], bias)


@compiled_kernel(least=_LEAST, accepts=_accepts)
def bias_activation(z: Array, bias: Array, activate: Differentiable) -> tuple[Array, Pullback]:
    layout = WideRows(z)
    y = z.reshape(layout.shape)
    _add_and_rectify(y, layout.spread(bias))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[Array | None, ...]:
        dz = empty(y, y.shape)
        sums = np.zeros_like(y, shape=(layout.shape[1],), dtype=np.float64)
        _pull_rectified(dz, sums, empty(y, sums.shape), plain(dy, y), y, layout.step)
        total = layout.gather(sums).astype(layout.dtype)
        return None if out[0] is SKIP else dz.reshape(z.shape), deliver(total, out[1])

    return z, pullback


def _accepts_dense(x: Array, kernel: Array, bias: Array | None = None, activate: Differentiable = linear) -> bool:
    usable = bias is not None and x.ndim > 1 and x.size > 0 and kernel.size > 0 and name_of(activate) == "relu"
    fit = kernel.ndim == 2 and kernel.shape[0] == x.shape[-1]
    return usable and fit and are_plain(x, bias) and kernel.dtype == x.dtype and have_shape(kernel.shape[1:], bias)


def _elements(x: Array, kernel: Array, *_: Any, **__: Any) -> int:
    return x.size // x.shape[-1] * kernel.shape[1] if x.size else 0


@compiled_kernel(least=_LEAST, accepts=_accepts_dense, measured=_elements)
def dense(
    x: Array, kernel: Array, bias: Array | None = None, activate: Differentiable = linear
) -> tuple[Array, Pullback]:
    flat_x = x.reshape(-1, x.shape[-1])
    y, pull_end = bias_activation(product(flat_x, kernel), bias, activate)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dz, dbias = pull_end(dy, (None, out[2]))
        dx = None if out[0] is SKIP else product(dz, kernel.T).reshape(x.shape)
        dkernel = None if out[1] is SKIP else product(flat_x.T, dz, out[1])
        return dx, dkernel, dbias

    return y.reshape(*x.shape[:-1], kernel.shape[1]), pullback


@compiled
def _add_and_rectify(z: Any, bias: Any) -> None:
    zero = z.dtype.type(0)
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            value = z[i, j] + bias[j]
            z[i, j] = zero if value <= zero else value  # NaN stays


@compiled
def _pull_rectified(dz: Any, sums: Any, part: Any, dy: Any, y: Any, step: int) -> None:
    rows, width = y.shape
    zero = y.dtype.type(0)
    for start in range(0, rows, step):
        part[:] = 0
        for i in range(start, min(start + step, rows)):
            for j in range(width):
                dz[i, j] = dy[i, j] if y[i, j] > zero else zero
                part[j] += dz[i, j]
        for j in range(width):
            sums[j] += part[j]
