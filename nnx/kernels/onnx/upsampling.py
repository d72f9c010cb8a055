"""Up-sampling as a node of ONNX."""

from __future__ import annotations

from collections.abc import Sequence

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.table import KERNELS, has_node, no_pullback
from nnx.onnx.array import constant, node
from nnx.onnx.standard import FIRST_FROM_LAST, LAST_FROM_FIRST, xp
from nnx.pullbacks import Pullback


def _is_linear(x: Array, factors: Sequence[int], interpolation: str) -> bool:
    return has_node(x) and interpolation == "bilinear"


@backend_kernel(KERNELS, accepts=_is_linear)
def interpolated(x: Array, factors: Sequence[int], interpolation: str) -> tuple[Array, Pullback]:
    n, height, width, c = x.shape
    images = xp.permute_dims(x, FIRST_FROM_LAST[4])
    scales, shape = constant([1.0, 1.0, *factors], dtype="float32"), (n, c, height * factors[0], width * factors[1])
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    y = node("Resize", [images, None, scales], shape, x.dtype, **how)
    return xp.permute_dims(y, LAST_FROM_FIRST[4]), no_pullback
