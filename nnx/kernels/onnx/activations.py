"""Activations that are nodes of ONNX."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import GENERIC, backend_kernel
from nnx.kernels.onnx.table import KERNELS, has_node, no_pullback
from nnx.onnx.array import made_by, node
from nnx.onnx.standard import elementwise, xp
from nnx.pullbacks import Pullback

_NODES = {"sigmoid": "Sigmoid", "softplus": "Softplus", "selu": "Selu", "mish": "Mish", "tanh": "Tanh"}


def _activation(name: str, operator: str) -> None:
    def function(x: Array) -> tuple[Array, Pullback]:
        return elementwise(operator, x), no_pullback

    function.__name__ = name
    backend_kernel(KERNELS, accepts=has_node)(function)


for _name, _operator in _NODES.items():
    _activation(_name, _operator)


@backend_kernel(KERNELS)
def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> tuple[Array, Pullback]:
    if threshold == 0.0 and max_value is None and negative_slope == 0.0:
        return elementwise("Relu", x), no_pullback
    return GENERIC["relu"](x, negative_slope, max_value, threshold)  # type: ignore[no-any-return]


@backend_kernel(KERNELS, accepts=has_node)
def leaky_relu(x: Array, negative_slope: float = 0.2) -> tuple[Array, Pullback]:
    return elementwise("LeakyRelu", x, alpha=float(negative_slope)), no_pullback


@backend_kernel(KERNELS, accepts=has_node)
def elu(x: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    return elementwise("Elu", x, alpha=float(alpha)), no_pullback


@backend_kernel(KERNELS, accepts=has_node)
def gelu(x: Array, approximate: bool = False) -> tuple[Array, Pullback]:
    if approximate:
        return GENERIC["gelu"](x, approximate)  # type: ignore[no-any-return]
    # the node Gelu came with opset 20
    return x * (0.5 * elementwise("Erf", x * math.sqrt(0.5)) + 0.5), no_pullback


@backend_kernel(KERNELS, accepts=has_node)
def erfc(x: Array) -> Array:
    return 1.0 - elementwise("Erf", x)


@backend_kernel(KERNELS)
def silu(x: Array) -> tuple[Array, Pullback]:
    return x * elementwise("Sigmoid", x), no_pullback  # the node Swish came with opset 24


def _is_slope(x: Array, alpha: Array) -> bool:
    return has_node(x) and alpha.value is not None


@backend_kernel(KERNELS, accepts=_is_slope)
def prelu(x: Array, alpha: Array) -> tuple[Array, Pullback]:
    return elementwise("PRelu", x, alpha), no_pullback


def _normalised(name: str, operator: str) -> None:
    def function(x: Any, axis: int = -1) -> tuple[Array, Pullback]:
        axis %= x.ndim
        turned = made_by(x, "Transpose")
        if turned is not None:
            order = turned.attributes["perm"]
            return xp.permute_dims(function(turned.inputs[0], order[axis])[0], order), no_pullback
        return node(operator, [x], x.shape, x.dtype, axis=-1 if axis == x.ndim - 1 else axis), no_pullback

    function.__name__ = name
    backend_kernel(KERNELS)(function)


_normalised("softmax", "Softmax")
_normalised("log_softmax", "LogSoftmax")
