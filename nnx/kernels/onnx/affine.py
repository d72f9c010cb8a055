"""Affine maps as nodes of ONNX: Gemm for vectors, MatMul for all else; a bias goes into the convolution before it."""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.table import KERNELS
from nnx.onnx.array import made_by, node
from nnx.onnx.standard import xp
from nnx.pullbacks import Differentiable, Pullback, linear

_CONVOLUTIONS = ("Conv", "ConvTranspose")


@backend_kernel(KERNELS)
def dense(
    x: Array, kernel: Array, bias: Array | None = None, activate: Differentiable = linear
) -> tuple[Array, Pullback]:
    if x.ndim == 2 and bias is not None and x.dtype == kernel.dtype and x.shape[1] == kernel.shape[0]:
        return activate(node("Gemm", [x, kernel, bias], (x.shape[0], kernel.shape[1]), x.dtype))
    return bias_activation(_product(x, kernel), bias, activate)


def _product(x: Array, kernel: Array) -> Array:
    """x @ kernel, with a Transpose of x behind it, where onnxruntime takes it in every dtype."""
    turned = made_by(x, "Transpose")
    if turned is None or turned.attributes["perm"][-1] != x.ndim - 1:
        return xp.matmul(x, kernel)
    return xp.permute_dims(xp.matmul(turned.inputs[0], kernel), turned.attributes["perm"])


@backend_kernel(KERNELS)
def bias_activation(z: Array, bias: Array | None, activate: Differentiable) -> tuple[Array, Pullback]:
    return activate(z if bias is None else _with_bias(z, bias))


def _with_bias(z: Array, bias: Array) -> Array:
    squeezed = made_by(z, "Squeeze")
    inside = z if squeezed is None else squeezed.inputs[0]
    turned = made_by(inside, "Transpose")
    images = inside if turned is None else turned.inputs[0]
    made = images.node
    if turned is None or made is None or made.operator not in _CONVOLUTIONS or len(made.inputs) > 2:
        return z + bias
    y = node(made.operator, [*made.inputs, bias], images.shape, images.dtype, **made.attributes)
    y = xp.permute_dims(y, turned.attributes["perm"])
    return y if squeezed is None else xp.squeeze(y, axis=tuple(squeezed.inputs[1].value.tolist()))
