"""A bias and an activation for CuPy: one launch for the value, one for its pullback, and a GEMM for the bias."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import kernel, name_of
from nnx.kernels.cupy import column_sums
from nnx.kernels.cupy_activations import OF_SUMS
from nnx.kernels.cupy_code import CUPY, is_floating
from nnx.protocol import SKIP, Differentiable, Pullback


def _accepts(z: Array, bias: Array | None, activate: Differentiable) -> bool:
    return bias is not None and is_floating(z, bias) and z.ndim > 1


@kernel(CUPY, accepts=_accepts)
def bias_activation(z: Array, bias: Array, activate: Differentiable) -> tuple[Array, Pullback]:
    matrix = math.prod(z.shape[:-1]), z.shape[-1]
    together = OF_SUMS.get(name_of(activate) or "")
    if together is not None:
        y, pull_activation = together.of_sum(z, bias)
    else:
        z += bias
        y, pull_activation = activate(z)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[Array | None, ...]:
        dz = pull_activation(dy)
        return None if out[0] is SKIP else dz, None if out[1] is SKIP else column_sums(dz.reshape(matrix), out[1])

    return y, pullback
