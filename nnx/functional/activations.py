"""The common activation functions: element-wise, and over one axis.

Formulas, defaults and argument names are those of Keras 3; x is a floating array of any shape, y has its shape and
dtype. Arguments of exponentials are made non-positive first, so that nothing overflows. A choice by the sign of x is
written with maximum, minimum or a product with a mask: on NumPy these are up to 20 times as fast as `where`.
"""

from __future__ import annotations

import math

from nnx.backends import Array, array_namespace
from nnx.functional.erf import erfc
from nnx.kernels import accelerated
from nnx.protocol import Pullback

_SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al., "Self-normalizing neural networks", 2017
_SELU_SCALE = 1.0507009873554804934193349852946
_SATURATED = 25.0  # from here on gelu has reached its limits in every dtype, and no power overflows


@accelerated
def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> tuple[Array, Pullback]:
    """max(x, 0)

    In general: x above `threshold`, but at most `max_value`; negative_slope * (x - threshold) below it.
    """
    xp = array_namespace(x)
    if max_value is None and threshold == 0.0:
        if negative_slope != 0.0:
            return leaky_relu(x, negative_slope)
        y = xp.maximum(x, 0.0)
        return y, lambda dy: dy * xp.astype(y > 0.0, dy.dtype)

    ceiling = math.inf if max_value is None else max_value
    active = x > (threshold if max_value is None else max(threshold, 0.0))
    y = xp.where(active, xp.minimum(x, ceiling), 0.0) + negative_slope * xp.minimum(x - threshold, 0.0)

    def pullback(dy: Array) -> Array:
        slope = xp.astype(active & (x < ceiling), dy.dtype) + negative_slope * xp.astype(x < threshold, dy.dtype)
        return dy * slope

    return y, pullback


@accelerated
def leaky_relu(x: Array, negative_slope: float = 0.2) -> tuple[Array, Pullback]:
    """x where it is positive, else negative_slope * x

    The layer LeakyReLU has another default, 0.3, as in Keras.
    """
    xp = array_namespace(x)
    larger_or_smaller = xp.maximum if negative_slope <= 1.0 else xp.minimum
    y = larger_or_smaller(x, negative_slope * x)
    return y, lambda dy: dy * (xp.astype(x >= 0.0, dy.dtype) * (1.0 - negative_slope) + negative_slope)


@accelerated
def elu(x: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    """x where it is positive, else alpha * (exp(x) - 1)

    Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2015.
    """
    xp = array_namespace(x)
    e = xp.expm1(xp.minimum(x, 0.0))
    y = xp.maximum(x, 0.0) + alpha * e

    def pullback(dy: Array) -> Array:
        if alpha == 1.0:
            return dy + dy * e
        return dy * (alpha * (e + 1.0) + (1.0 - alpha) * xp.astype(x > 0.0, dy.dtype))

    return y, pullback


@accelerated
def selu(x: Array) -> tuple[Array, Pullback]:
    """scale * elu(x, alpha), with the constants that keep mean 0 and variance 1

    Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    y, pullback = elu(x, _SELU_ALPHA)
    return _SELU_SCALE * y, lambda dy: pullback(_SELU_SCALE * dy)


@accelerated
def gelu(x: Array, approximate: bool = False) -> tuple[Array, Pullback]:
    """x * P(a standard normal number is below x)

    approximate : use the form with tanh, 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))).

    Hendrycks and Gimpel, "Gaussian error linear units", 2016.
    """
    if approximate:
        return _gelu_tanh(x)
    xp = array_namespace(x)
    p = 0.5 * erfc(x * -math.sqrt(0.5))

    def pullback(dy: Array) -> Array:
        near = xp.minimum(xp.abs(x), _SATURATED)
        density = xp.exp(near * near * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))
        return dy * (p + x * density)

    return x * p, pullback


def _gelu_tanh(x: Array) -> tuple[Array, Pullback]:
    xp = array_namespace(x)
    near = xp.minimum(xp.maximum(x, -_SATURATED), _SATURATED)
    square = near * near
    scale = math.sqrt(8.0 / math.pi)  # 0.5 * (1 + tanh(u)) is sigmoid(2 u), which keeps its accuracy where it is small
    p, pullback_p = sigmoid(near * (scale + scale * 0.044715 * square))

    def pullback(dy: Array) -> Array:
        return dy * p + pullback_p(dy * x) * (scale + scale * 3.0 * 0.044715 * square)

    return x * p, pullback


@accelerated
def silu(x: Array) -> tuple[Array, Pullback]:
    """x * sigmoid(x), also called swish

    Ramachandran et al., "Searching for activation functions", 2017.
    """
    s, _ = sigmoid(x)
    y = x * s
    return y, lambda dy: dy * (s + y * (1.0 - s))


@accelerated
def sigmoid(x: Array) -> tuple[Array, Pullback]:
    """1 / (1 + exp(-x))"""
    xp = array_namespace(x)
    # numerator and denominator times exp(x) where x is negative: no exponent is positive, and no digit is lost
    y = xp.exp(xp.minimum(x, 0.0)) / (1.0 + xp.exp(-xp.abs(x)))
    return y, lambda dy: dy * (y - y * y)


@accelerated
def log_sigmoid(x: Array) -> tuple[Array, Pullback]:
    """log(sigmoid(x)) = -softplus(-x)"""
    xp = array_namespace(x)
    y = xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda dy: -dy * xp.expm1(y)  # 1 - sigmoid(x) = 1 - exp(y)


@accelerated
def softplus(x: Array) -> tuple[Array, Pullback]:
    """log(1 + exp(x))"""
    xp = array_namespace(x)
    y = xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda dy: -dy * xp.expm1(-y)  # sigmoid(x) = 1 - exp(-y)


@accelerated
def tanh(x: Array) -> tuple[Array, Pullback]:
    """tanh(x)"""
    y = array_namespace(x).tanh(x)
    return y, lambda dy: dy - dy * (y * y)


def exponential(x: Array) -> tuple[Array, Pullback]:
    """exp(x), held at the largest power of e of the dtype with an integer exponent (88 for float32)"""
    xp = array_namespace(x)
    limit = math.floor(math.log(xp.finfo(x.dtype).max))
    y = xp.exp(xp.minimum(x, limit))
    return y, lambda dy: dy * (y * xp.astype(x < limit, y.dtype))


@accelerated
def softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """exp(x) / sum(exp(x)) along an axis"""
    xp = array_namespace(x)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    y = e / xp.sum(e, axis=axis, keepdims=True)
    return y, lambda dy: y * (dy - xp.sum(dy * y, axis=axis, keepdims=True))


@accelerated
def log_softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """x - log(sum(exp(x))) along an axis"""
    xp = array_namespace(x)
    z = x - xp.max(x, axis=axis, keepdims=True)
    y = z - xp.log(xp.sum(xp.exp(z), axis=axis, keepdims=True))
    return y, lambda dy: dy - xp.exp(y) * xp.sum(dy, axis=axis, keepdims=True)
