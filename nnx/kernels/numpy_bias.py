"""A bias and an activation for NumPy, in place and a block at a time.

Measured on float32 (64, 24, 24, 64) with relu: the value takes 0.85 times as long as an addition and `maximum`, and
no memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array, find_backend
from nnx.kernels import kernel, name_of
from nnx.kernels.numpy_activations import relu_pullback
from nnx.kernels.numpy_columns import Columns, deliver, is_plain
from nnx.protocol import SKIP, Differentiable, Pullback

_BLOCK = 1 << 16  # elements that stay in the cache from the one step to the next


def _accepts(z: Array, bias: Array | None, activate: Differentiable) -> bool:
    return bias is not None and is_plain(z, bias) and z.flags.c_contiguous


@kernel(find_backend("numpy"), accepts=_accepts)
def bias_activation(z: Array, bias: Array, activate: Differentiable) -> tuple[Array, Pullback]:
    columns = Columns(z.size // bias.size, bias.size)
    matrix, row = z.reshape(columns.shape), columns.spread(bias)
    rectified = name_of(activate) == "relu"
    step = max(1, _BLOCK // row.size)
    for start in range(0, len(matrix), step):
        block = matrix[start : start + step]
        block += row
        if rectified:
            np.maximum(block, 0.0, out=block)
    y, pull_activation = (z, None) if rectified else activate(z)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[Array | None, ...]:
        dz = relu_pullback(dy, y) if pull_activation is None else pull_activation(dy)
        dbias = None
        if out[1] is not SKIP:
            dbias = deliver(columns.gather(columns.sums(dz.reshape(columns.shape))), out[1])
        return None if out[0] is SKIP else dz, dbias

    return y, pullback
