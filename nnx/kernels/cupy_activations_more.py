"""Activations for CuPy with more than one formula, an option by name, or a parameter."""

from __future__ import annotations

import math

from nnx.backends.base import Array
from nnx.kernels import kernel
from nnx.kernels.cupy_activations import OF_SUMS, Activation
from nnx.kernels.cupy_code import CUPY, Elementwise, is_floating
from nnx.kernels.cupy_products import column_sums
from nnx.protocol import Pullback

_ERFC = Elementwise("erfc", "T x", "T y", "y = erfc((W)x);")

# Far from zero the value is x or 0, and the squares and cubes of x would overflow.
_NEAR = "W near_ = x_ > (W)25 ? (W)25 : x_ < (W)-25 ? (W)-25 : x_;"
_GELU = OF_SUMS["gelu"] = Activation(
    "gelu",
    "x_ * p",
    "dy_ * (p + x_ * (exp(near_ * near_ * (W)-0.5) * (W)0.3989422804014327))",
    start=f"{_NEAR} W p = (W)0.5 * erfc(x_ * (W)-0.7071067811865476);",
)
# 0.5 * (1 + tanh(u)) is logistic(2 u); the factor is sqrt(8 / pi).
_GELU_TANH = Activation(
    "gelu_tanh",
    "x_ * p",
    "dy_ * p + dy_ * x_ * (p - p * p) * (scale + scale * (W)0.134145 * square)",
    start=f"{_NEAR} W square = near_ * near_, scale = (W)1.5957691216057308;"
    "W p = logistic<W>(near_ * (scale + scale * (W)0.044715 * square));",
)
_MISH = OF_SUMS["mish"] = Activation(
    "mish",
    "x_ * t",
    "dy_ * (t - x_ * ((W)1 - t * t) * expm1(-s))",
    start="W s = softened<W>(x_), t = tanh(s);",
)
_PRELU = Elementwise("prelu", "T x, T alpha", "T y", "W x_ = x; y = x_ >= 0 ? x_ + (W)alpha * (W)0 : (W)alpha * x_;")
_PRELU_PULLBACK = Elementwise(
    "prelu_pullback",
    "T dy, T x, T alpha",
    "T dx, T slope",
    """
    W dy_ = dy, x_ = x;
    dx = dy_ * (x_ >= 0 ? (W)1 + (W)alpha * (W)0 : (W)alpha);
    slope = dy_ * (x_ >= 0 ? (W)0 : x_);
    """,
)


@kernel(CUPY, accepts=is_floating)
def erfc(x: Array) -> Array:
    return _ERFC(x)


@kernel(CUPY, accepts=lambda x, approximate=False: is_floating(x))
def gelu(x: Array, approximate: bool = False) -> tuple[Array, Pullback]:
    return _GELU_TANH(x) if approximate else _GELU(x)


@kernel(CUPY, accepts=is_floating)
def mish(x: Array) -> tuple[Array, Pullback]:
    return _MISH(x)


@kernel(CUPY, accepts=is_floating)
def prelu(x: Array, alpha: Array) -> tuple[Array, Pullback]:
    shape = (1,) * (x.ndim - alpha.ndim) + alpha.shape
    shared = tuple(axis for axis, (size, full) in enumerate(zip(shape, x.shape, strict=True)) if size != full)
    leading = shared == tuple(range(len(shared)))

    def pullback(dy: Array) -> tuple[Array, Array]:
        dx, slope = _PRELU_PULLBACK(dy, x, alpha)
        if shared and leading:
            slope = column_sums(slope.reshape(math.prod(x.shape[: len(shared)]), alpha.size))
        elif shared:
            slope = slope.sum(axis=shared)
        return dx, slope.reshape(alpha.shape)

    return _PRELU(x, alpha), pullback
