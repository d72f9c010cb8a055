"""The rarer activation functions: shrinking, piecewise polynomial, sparse, and one with a parameter.

As in `nnx.functional.activations`: Keras 3's formulas, defaults and argument names, and nothing overflows.
"""

from __future__ import annotations

import math

from nnx.backends import Array, array_namespace
from nnx.kernels import accelerated
from nnx.protocol import Pullback


def relu6(x: Array) -> tuple[Array, Pullback]:
    """min(max(x, 0), 6)"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x, 0.0), 6.0)
    return y, lambda dy: dy * xp.astype((y > 0.0) & (y < 6.0), dy.dtype)


@accelerated
def prelu(x: Array, alpha: Array) -> tuple[Array, Pullback]:
    """x where it is positive, else alpha * x with a learned alpha (He et al., 2015)

    x (batch, ...), alpha broadcasts against a sample of x  ->  y of x's shape; pullback(dy) -> (dx, dalpha)
    """
    xp = array_namespace(x)
    negative = xp.minimum(x, 0.0)
    y = xp.maximum(x, 0.0) + alpha * negative
    shape = (1,) * (len(x.shape) - len(alpha.shape)) + tuple(alpha.shape)
    shared = tuple(axis for axis, (size, full) in enumerate(zip(shape, x.shape, strict=True)) if size != full)

    def pullback(dy: Array) -> tuple[Array, Array]:
        above = xp.astype(x >= 0.0, dy.dtype)
        dalpha = xp.sum(dy * negative, axis=shared) if shared else dy * negative
        return dy * (above + alpha * (1.0 - above)), xp.reshape(dalpha, alpha.shape)

    return y, pullback


def celu(x: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    """x where it is positive, else alpha * (exp(x / alpha) - 1); alpha > 0

    Barron, "Continuously differentiable exponential linear units", 2017.
    """
    if alpha <= 0.0:
        raise ValueError(f"celu: alpha must be positive, got {alpha}")
    xp = array_namespace(x)
    e = xp.expm1(xp.minimum(x, 0.0) / alpha)
    return xp.maximum(x, 0.0) + alpha * e, lambda dy: dy + dy * e


@accelerated
def mish(x: Array) -> tuple[Array, Pullback]:
    """x * tanh(softplus(x))

    Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    """
    xp = array_namespace(x)
    softplus = xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))
    t = xp.tanh(softplus)
    return x * t, lambda dy: dy * (t - x * (1.0 - t * t) * xp.expm1(-softplus))


def softsign(x: Array) -> tuple[Array, Pullback]:
    """x / (1 + |x|)"""
    d = 1.0 + array_namespace(x).abs(x)
    return x / d, lambda dy: dy / d / d  # d * d could overflow


def squareplus(x: Array, b: float = 4) -> tuple[Array, Pullback]:
    """(x + sqrt(x**2 + b)) / 2; b > 0

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
    """x / 6 + 1/2, held between 0 and 1"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x / 6.0 + 0.5, 0.0), 1.0)
    return y, lambda dy: dy * (xp.astype((y > 0.0) & (y < 1.0), dy.dtype) / 6.0)


def hard_silu(x: Array) -> tuple[Array, Pullback]:
    """x * hard_sigmoid(x), also called hard swish

    Howard et al., "Searching for MobileNetV3", 2019.
    """
    h, pullback = hard_sigmoid(x)
    return x * h, lambda dy: dy * h + pullback(dy * x)


def hard_tanh(x: Array) -> tuple[Array, Pullback]:
    """x held between -1 and 1"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x, -1.0), 1.0)
    return y, lambda dy: dy * xp.astype(y == x, dy.dtype)


def hard_shrink(x: Array, threshold: float = 0.5) -> tuple[Array, Pullback]:
    """x where |x| > threshold, else 0"""
    xp = array_namespace(x)
    kept = xp.astype(xp.abs(x) > threshold, x.dtype)
    return x * kept, lambda dy: dy * kept


def soft_shrink(x: Array, threshold: float = 0.5) -> tuple[Array, Pullback]:
    """x moved towards 0 by threshold, and 0 where |x| <= threshold"""
    xp = array_namespace(x)
    y = x - xp.minimum(xp.maximum(x, -threshold), threshold)
    return y, lambda dy: dy * xp.astype(y != 0.0, dy.dtype)


def tanh_shrink(x: Array) -> tuple[Array, Pullback]:
    """x - tanh(x)"""
    t = array_namespace(x).tanh(x)
    return x - t, lambda dy: dy * (t * t)


def threshold(x: Array, threshold: float = 0.0, default_value: float = 0.0) -> tuple[Array, Pullback]:
    """x where it is larger than threshold, else default_value"""
    xp = array_namespace(x)
    above = x > threshold
    return xp.where(above, x, default_value), lambda dy: dy * xp.astype(above, dy.dtype)


def step(x: Array) -> tuple[Array, Pullback]:
    """1 where x >= 0, else 0: the perceptron's step. Its gradient is zero."""
    xp = array_namespace(x)
    return xp.astype(x >= 0.0, x.dtype), lambda dy: xp.zeros_like(dy)


def sparse_plus(x: Array) -> tuple[Array, Pullback]:
    """0 up to -1, (x + 1)**2 / 4 up to 1, x from there"""
    xp = array_namespace(x)
    slope = 0.5 + 0.5 * xp.minimum(xp.maximum(x, -1.0), 1.0)
    return slope * slope + xp.maximum(x - 1.0, 0.0), lambda dy: dy * slope


def sparse_sigmoid(x: Array) -> tuple[Array, Pullback]:
    """(x + 1) / 2, held between 0 and 1"""
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(0.5 * x + 0.5, 0.0), 1.0)
    return y, lambda dy: dy * (0.5 * xp.astype((y > 0.0) & (y < 1.0), dy.dtype))


def sparsemax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """The nearest point of the probability simplex along an axis: max(x - t, 0), with t such that the sum is 1

    Martins and Astudillo, "From softmax to sparsemax", 2016. (Keras 3.15 adds up cumulative sums where the sum belongs,
    so its values do not sum to 1 where more than one of them is positive; here they do.)
    """
    xp = array_namespace(x)
    z = xp.maximum(x - xp.max(x, axis=axis, keepdims=True), -1.0)  # t >= -1 now: what is below gets 0 all the same
    falling = xp.sort(z, axis=axis, descending=True)
    rank = xp.cumulative_sum(xp.ones_like(z), axis=axis)
    support = xp.astype(1.0 + rank * falling > xp.cumulative_sum(falling, axis=axis), z.dtype)
    size = xp.sum(support, axis=axis, keepdims=True)
    y = xp.maximum(z - (xp.sum(support * falling, axis=axis, keepdims=True) - 1.0) / size, 0.0)

    def pullback(dy: Array) -> Array:
        positive = xp.astype(y > 0.0, dy.dtype)
        mean = xp.sum(positive * dy, axis=axis, keepdims=True) / xp.sum(positive, axis=axis, keepdims=True)
        return positive * (dy - mean)

    return y, pullback
