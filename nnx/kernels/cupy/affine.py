"""Affine map for CuPy: GEMMs, also for the bias's gradient, and one launch for a bias and an activation."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel, name_of
from nnx.kernels.cupy.activations import BIASED_ACTIVATIONS, ENDINGS, with_sums
from nnx.kernels.cupy.cuda_kernels import contiguous, is_floating
from nnx.kernels.cupy.matrix_products import product
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Differentiable, Ending, Pullback, linear


def _accepts_dense(x: Array, kernel: Array, bias: Array | None = None, activate: Any = None) -> bool:
    return is_floating(x, kernel, bias) and x.ndim > 1


def _accepts_bias_activation(z: Array, bias: Array | None, activate: Any) -> bool:
    return bias is not None and is_floating(z, bias) and z.ndim > 1


@backend_kernel(KERNELS, accepts=_accepts_dense)
def dense(
    x: Array, kernel: Array, bias: Array | None = None, activate: Differentiable = linear
) -> tuple[Array, Pullback]:
    n, m = kernel.shape
    rows = math.prod(x.shape[:-1])
    flat_x = x.reshape(rows, n)
    y = product(flat_x, kernel).reshape(*x.shape[:-1], m)
    y, pull_end = activate(y) if bias is None else bias_activation(y, bias, activate)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = contiguous(dy)  # it is read more than once
        dz, *dbias = (pull_end(dy),) if bias is None else pull_end(dy, (None, *out[2:]))
        flat_dz = dz.reshape(rows, m)
        dx = None if out[0] is SKIP else product(flat_dz, kernel.T).reshape(x.shape)
        dkernel = None if out[1] is SKIP else product(flat_x.T, flat_dz, out[1])
        return dx, dkernel, *dbias

    return y, pullback


@backend_kernel(KERNELS, accepts=_accepts_bias_activation)
def bias_activation(z: Array, bias: Array, activate: Differentiable) -> tuple[Array, Pullback]:
    end = activate if isinstance(activate, Ending) and is_floating(z, activate.residual) else None
    ended = None if end is None else ENDINGS.get(name_of(end.activate) or ("linear" if end.activate is linear else ""))
    fused = BIASED_ACTIVATIONS.get(name_of(activate) or "")
    if end is not None and ended is not None and end.residual.shape == z.shape:
        return ended(z, bias, end)
    if fused is not None:
        return fused.of_biased(z, bias)
    z += bias
    y, pull_activation = activate(z)
    return y, lambda dy, out=(None, None): with_sums(pull_activation(dy), out)
