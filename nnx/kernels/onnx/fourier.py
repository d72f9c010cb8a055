"""Fourier transforms as nodes of ONNX, which have real and imaginary parts along the last axis."""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.table import KERNELS
from nnx.onnx.array import node
from nnx.onnx.standard import xp
from nnx.precision import narrow, wide


def _has_node(x: Array, axes: int = 1, inverse: bool = False) -> bool:
    return axes == 1


@backend_kernel(KERNELS, accepts=_has_node)
def fourier_transform(x: Array, axes: int = 1, inverse: bool = False) -> Array:
    parts, shape = wide(x), tuple(x.shape[1:])
    n = shape[-1]
    # of three axes the one in the middle is transformed, whatever the version of the node calls it
    rows = xp.reshape(xp.permute_dims(parts, (*range(1, x.ndim), 0)), (-1, n, 2))
    made = node("DFT", [rows], rows.shape, rows.dtype, **({"inverse": 1} if inverse else {}))
    return narrow(xp.permute_dims(xp.reshape(made, (*shape, 2)), (x.ndim - 1, *range(x.ndim - 1))), x)
