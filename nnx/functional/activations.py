"""Activation functions: element-wise, over one axis, and one with a parameter.

Formulas, defaults and argument names are those of Keras 3; x is a floating array of any shape, y has its shape and
dtype. Arguments of exponentials are made non-positive first, so that nothing overflows. A choice by the sign of x is
written with maximum, minimum or a product with a mask: on NumPy these are up to 20 times as fast as `where`.
"""

from __future__ import annotations

import math

from nnx.backends import Array, array_namespace
from nnx.functional.erf import erfc
from nnx.kernels import accelerated
from nnx.precision import narrow, wide, wide_sum
from nnx.pullbacks import Pullback

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "step",
    "tanh",
    "tanh_shrink",
    "threshold",
]

_SELU_ALPHA = 1.6732632423543772848170429916717  # Klambauer et al., "Self-normalizing neural networks", 2017
_SELU_SCALE = 1.0507009873554804934193349852946
_SATURATED = 25.0  # from here on gelu has reached its limits in every dtype, and no power overflows


@accelerated
def relu(
    x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> tuple[Array, Pullback]:
    """Rectified linear unit: max(x, 0)

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
    """Leaky rectifier: x where it is positive, else negative_slope * x

    The layer LeakyReLU has another default, 0.3, as in Keras.
    """
    xp = array_namespace(x)
    larger_or_smaller = xp.maximum if negative_slope <= 1.0 else xp.minimum
    y = larger_or_smaller(x, negative_slope * x)
    return y, lambda dy: dy * (xp.astype(x >= 0.0, dy.dtype) * (1.0 - negative_slope) + negative_slope)


@accelerated
def elu(x: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    """Exponential linear unit: x where it is positive, else alpha * (exp(x) - 1)

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
    """Scaled exponential linear unit: scale * elu(x, alpha), with the constants that keep mean 0 and variance 1

    Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    y, pullback = elu(x, _SELU_ALPHA)
    return _SELU_SCALE * y, lambda dy: pullback(_SELU_SCALE * dy)


@accelerated
def gelu(x: Array, approximate: bool = False) -> tuple[Array, Pullback]:
    """Gaussian error linear unit: x * P(a standard normal number is below x)

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
    """Sigmoid linear unit, also called swish: x * sigmoid(x)

    Ramachandran et al., "Searching for activation functions", 2017.
    """
    s, _ = sigmoid(x)
    y = x * s
    return y, lambda dy: dy * (s + y * (1.0 - s))


@accelerated
def sigmoid(x: Array) -> tuple[Array, Pullback]:
    """Logistic sigmoid: 1 / (1 + exp(-x))"""
    xp = array_namespace(x)
    # numerator and denominator times exp(x) where x is negative: no exponent is positive, and no digit is lost
    y = xp.exp(xp.minimum(x, 0.0)) / (1.0 + xp.exp(-xp.abs(x)))
    return y, lambda dy: dy * (y - y * y)


@accelerated
def log_sigmoid(x: Array) -> tuple[Array, Pullback]:
    """Logarithm of the sigmoid: log(sigmoid(x)) = -softplus(-x)"""
    xp = array_namespace(x)
    y = xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda dy: -dy * xp.expm1(y)  # 1 - sigmoid(x) = 1 - exp(y)


@accelerated
def softplus(x: Array) -> tuple[Array, Pullback]:
    """Softplus, a smooth rectifier: log(1 + exp(x))"""
    xp = array_namespace(x)
    y = xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda dy: -dy * xp.expm1(-y)  # sigmoid(x) = 1 - exp(-y)


@accelerated
def tanh(x: Array) -> tuple[Array, Pullback]:
    """Hyperbolic tangent: tanh(x)"""
    y = array_namespace(x).tanh(x)
    return y, lambda dy: dy - dy * (y * y)


def exponential(x: Array) -> tuple[Array, Pullback]:
    """Exponential: exp(x), held at the largest power of e of the dtype with an integer exponent (88 for float32)"""
    xp = array_namespace(x)
    limit = math.floor(math.log(xp.finfo(x.dtype).max))
    y = xp.exp(xp.minimum(x, limit))
    return y, lambda dy: dy * (y * xp.astype(x < limit, y.dtype))


@accelerated
def softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Softmax: exp(x) / sum(exp(x)) along an axis"""
    xp = array_namespace(x)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    y = narrow(e / wide_sum(e, axis=axis, keepdims=True), x)
    return y, lambda dy: narrow(y * (dy - wide_sum(dy * y, axis=axis, keepdims=True)), dy)


@accelerated
def log_softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Logarithm of the softmax: x - log(sum(exp(x))) along an axis"""
    xp = array_namespace(x)
    z = x - xp.max(x, axis=axis, keepdims=True)
    y = narrow(z - xp.log(wide_sum(xp.exp(z), axis=axis, keepdims=True)), x)
    return y, lambda dy: narrow(dy - xp.exp(y) * wide_sum(dy, axis=axis, keepdims=True), dy)


def relu6(x: Array) -> tuple[Array, Pullback]:
    """Rectifier up to 6: min(max(x, 0), 6)"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x, 0.0), 6.0)
    return y, lambda dy: dy * xp.astype((y > 0.0) & (y < 6.0), dy.dtype)


@accelerated
def prelu(x: Array, alpha: Array) -> tuple[Array, Pullback]:
    """Parametric rectifier (He et al., 2015): x where it is positive, else alpha * x with a learned alpha

    x (batch, ...), alpha broadcasts against a sample of x  ->  y of x's shape; pullback(dy) -> (dx, dalpha)
    """
    xp = array_namespace(x)
    negative = xp.minimum(x, 0.0)
    y = xp.maximum(x, 0.0) + alpha * negative
    shape = (1,) * (len(x.shape) - len(alpha.shape)) + tuple(alpha.shape)
    shared = tuple(axis for axis, (size, full) in enumerate(zip(shape, x.shape, strict=True)) if size != full)

    def pullback(dy: Array) -> tuple[Array, Array]:
        above = xp.astype(x >= 0.0, dy.dtype)
        dalpha = narrow(wide_sum(dy * negative, axis=shared), alpha) if shared else dy * negative
        return dy * (above + alpha * (1.0 - above)), xp.reshape(dalpha, alpha.shape)

    return y, pullback


def celu(x: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    """Continuously differentiable ELU: x where it is positive, else alpha * (exp(x / alpha) - 1); alpha > 0

    Barron, "Continuously differentiable exponential linear units", 2017.
    """
    if alpha <= 0.0:
        raise ValueError(f"celu: alpha must be positive, got {alpha}")
    xp = array_namespace(x)
    e = xp.expm1(xp.minimum(x, 0.0) / alpha)
    return xp.maximum(x, 0.0) + alpha * e, lambda dy: dy + dy * e


@accelerated
def mish(x: Array) -> tuple[Array, Pullback]:
    """Mish: x * tanh(softplus(x))

    Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    """
    xp = array_namespace(x)
    softplus = xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))
    t = xp.tanh(softplus)
    return x * t, lambda dy: dy * (t - x * (1.0 - t * t) * xp.expm1(-softplus))


def softsign(x: Array) -> tuple[Array, Pullback]:
    """Softsign: x / (1 + |x|)"""
    d = 1.0 + array_namespace(x).abs(x)
    return x / d, lambda dy: dy / d / d  # d * d could overflow


def squareplus(x: Array, b: float = 4) -> tuple[Array, Pullback]:
    """Squareplus, a rectifier without exponentials: (x + sqrt(x**2 + b)) / 2; b > 0

    Barron, "Squareplus: a softplus-like algebraic rectifier", 2021.
    """
    if b <= 0.0:
        raise ValueError(f"squareplus: b must be positive, got {b}")
    xp = array_namespace(x)
    size = xp.abs(x)
    large = xp.maximum(size, math.sqrt(b))
    ratio = xp.minimum(size, math.sqrt(b)) / large
    root = large * xp.sqrt(1.0 + ratio * ratio)  # sqrt(x**2 + b) without squaring a large number
    upper = 0.5 * size + 0.5 * root
    y = xp.where(x >= 0.0, upper, 0.25 * b / upper)  # the two roots of y**2 - x y = b / 4, without cancellation
    return y, lambda dy: dy * (y / root)


def hard_sigmoid(x: Array) -> tuple[Array, Pullback]:
    """Piecewise linear sigmoid: x / 6 + 1/2, held between 0 and 1"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x / 6.0 + 0.5, 0.0), 1.0)
    return y, lambda dy: dy * (xp.astype((y > 0.0) & (y < 1.0), dy.dtype) / 6.0)


def hard_silu(x: Array) -> tuple[Array, Pullback]:
    """Piecewise form of SiLU, also called hard swish: x * hard_sigmoid(x)

    Howard et al., "Searching for MobileNetV3", 2019.
    """
    h, pullback = hard_sigmoid(x)
    return x * h, lambda dy: dy * h + pullback(dy * x)


def hard_tanh(x: Array) -> tuple[Array, Pullback]:
    """Piecewise linear tanh: x held between -1 and 1"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x, -1.0), 1.0)
    return y, lambda dy: dy * xp.astype(y == x, dy.dtype)


def hard_shrink(x: Array, threshold: float = 0.5) -> tuple[Array, Pullback]:
    """Hard shrinkage: x where |x| > threshold, else 0"""
    xp = array_namespace(x)
    kept = xp.astype(xp.abs(x) > threshold, x.dtype)
    return x * kept, lambda dy: dy * kept


def soft_shrink(x: Array, threshold: float = 0.5) -> tuple[Array, Pullback]:
    """Soft shrinkage: x moved towards 0 by threshold, and 0 where |x| <= threshold"""
    xp = array_namespace(x)
    y = x - xp.minimum(xp.maximum(x, -threshold), threshold)
    return y, lambda dy: dy * xp.astype(y != 0.0, dy.dtype)


def tanh_shrink(x: Array) -> tuple[Array, Pullback]:
    """Tanh shrinkage: x - tanh(x)"""
    t = array_namespace(x).tanh(x)
    return x - t, lambda dy: dy * (t * t)


def threshold(x: Array, threshold: float = 0.0, default_value: float = 0.0) -> tuple[Array, Pullback]:
    """Threshold: x where it is larger than threshold, else default_value"""
    xp = array_namespace(x)
    above = x > threshold
    return xp.where(above, x, default_value), lambda dy: dy * xp.astype(above, dy.dtype)


def step(x: Array) -> tuple[Array, Pullback]:
    """Heaviside step, the perceptron's: 1 where x >= 0, else 0. Its gradient is zero."""
    xp = array_namespace(x)
    return xp.astype(x >= 0.0, x.dtype), lambda dy: xp.zeros_like(dy)


def sparse_plus(x: Array) -> tuple[Array, Pullback]:
    """Sparse plus, a rectifier with a parabola: 0 up to -1, (x + 1)**2 / 4 up to 1, x from there"""
    xp = array_namespace(x)
    slope = 0.5 + 0.5 * xp.minimum(xp.maximum(x, -1.0), 1.0)
    return slope * slope + xp.maximum(x - 1.0, 0.0), lambda dy: dy * slope


def sparse_sigmoid(x: Array) -> tuple[Array, Pullback]:
    """Sparse sigmoid: (x + 1) / 2, held between 0 and 1"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(0.5 * x + 0.5, 0.0), 1.0)
    return y, lambda dy: dy * (0.5 * xp.astype((y > 0.0) & (y < 1.0), dy.dtype))


def sparsemax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Sparsemax, the nearest point of the probability simplex: max(x - t, 0), with t such that the sum is 1

    Martins and Astudillo, "From softmax to sparsemax", 2016. (Keras 3.15 adds up cumulative sums where the sum belongs,
    so its values do not sum to 1 where more than one of them is positive; here they do.)
    """
    xp = array_namespace(x)
    z = wide(x)
    z = xp.maximum(z - xp.max(z, axis=axis, keepdims=True), -1.0)  # t >= -1 now: what is below gets 0 all the same
    falling = xp.sort(z, axis=axis, descending=True)
    place = xp.cumulative_sum(xp.ones_like(z), axis=axis)
    support = xp.astype(1.0 + place * falling > xp.cumulative_sum(falling, axis=axis), z.dtype)
    size = xp.sum(support, axis=axis, keepdims=True)
    y = xp.maximum(z - (xp.sum(support * falling, axis=axis, keepdims=True) - 1.0) / size, 0.0)

    def pullback(dy: Array) -> Array:
        slope = wide(dy)
        positive = xp.astype(y > 0.0, slope.dtype)
        mean = xp.sum(positive * slope, axis=axis, keepdims=True) / xp.sum(positive, axis=axis, keepdims=True)
        return narrow(positive * (slope - mean), dy)

    return narrow(y, x), pullback
