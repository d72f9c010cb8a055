"""Bias and relu of convolutions, compiled: one pass over the result, and one over its cotangent."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import name_of
from nnx.kernels.numba.compilation import compiled
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape, plain
from nnx.kernels.numba.wide_rows import WideRows
from nnx.kernels.numpy.column_sums import deliver
from nnx.kernels.numpy.memory import empty
from nnx.pullbacks import SKIP, Differentiable, Pullback

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
