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

    In general: x where x > threshold, but at most `max_value`; negative_slope * (x - threshold) elsewhere.

    x : floating, of any shape.
    negative_slope : of the part below `threshold`, by default 0.
    max_value : by default None, no upper limit. With one, what is between a negative `threshold` and 0 becomes 0.
    threshold : where the two parts meet, by default 0.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx: dy where x is passed on, negative_slope * dy below
    the threshold, 0 elsewhere. `nnx.activations.relu` returns y alone.

    Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.relu(np.asarray([-1.0, 2.0]))
    >>> y, pullback(np.ones(2))
    (array([0., 2.]), array([0., 1.]))
    >>> functional.relu(np.asarray([-2.0, 2.0, 8.0]), negative_slope=0.5, max_value=6.0)[0]
    array([-1.,  2.,  6.])
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

    x : floating, of any shape.
    negative_slope : by default 0.2. The layer LeakyReLU has another default, 0.3, as in Keras.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where x > 0, else negative_slope * dy.
    `nnx.activations.leaky_relu` returns y alone.

    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.leaky_relu(np.asarray([-1.0, 2.0]))
    >>> y, pullback(np.ones(2))
    (array([-0.2,  2. ]), array([0.2, 1. ]))
    """
    xp = array_namespace(x)
    larger_or_smaller = xp.maximum if negative_slope <= 1.0 else xp.minimum
    y = larger_or_smaller(x, negative_slope * x)
    return y, lambda dy: dy * (xp.astype(x > 0.0, dy.dtype) * (1.0 - negative_slope) + negative_slope)


@accelerated
def elu(x: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    """Exponential linear unit: x where it is positive, else alpha * (exp(x) - 1)

    x : floating, of any shape.
    alpha : minus the limit for small x, by default 1.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where x > 0, else dy * alpha * exp(x).
    `nnx.activations.elu` returns y alone.

    Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2015, arXiv:1511.07289.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.elu(np.asarray([-1.0, 2.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([-0.6321,  2.    ]), array([0.3679, 1.    ]))
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

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = scale * dy where x > 0, else scale * alpha * exp(x)
    * dy. `nnx.activations.selu` returns y alone.

    alpha is 1.6732632..., scale 1.0507009...: with them, the means and variances of layers with weights of
    `lecun_normal` converge to 0 and 1.

    Klambauer et al., "Self-normalizing neural networks", 2017, arXiv:1706.02515.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.selu(np.asarray([-1.0, 2.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([-1.1113,  2.1014]), array([0.6468, 1.0507]))
    """
    y, pullback = elu(x, _SELU_ALPHA)
    return _SELU_SCALE * y, lambda dy: pullback(_SELU_SCALE * dy)


@accelerated
def gelu(x: Array, approximate: bool = False) -> tuple[Array, Pullback]:
    """Gaussian error linear unit: x * P(a standard normal number is below x)

    x : floating, of any shape.
    approximate : use the form with tanh, 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))). By default False.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * (P(x) + x * p(x)), p the normal density (of the
    approximation, its own derivative). `nnx.activations.gelu` returns y alone.

    Hendrycks and Gimpel, "Gaussian error linear units", 2016, arXiv:1606.08415.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.gelu(np.asarray([-1.0, 2.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([-0.1587,  1.9545]), array([-0.0833,  1.0852]))
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

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * (s + x * s * (1 - s)), s = sigmoid(x).
    `nnx.activations.silu` returns y alone.

    Ramachandran et al., "Searching for activation functions", 2017, arXiv:1710.05941.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.silu(np.asarray([-1.0, 0.0, 1.0]))
    >>> y.round(4), pullback(np.ones(3)).round(4)
    (array([-0.2689,  0.    ,  0.7311]), array([0.0723, 0.5   , 0.9277]))
    """
    s, _ = sigmoid(x)
    y = x * s
    return y, lambda dy: dy * (s + y * (1.0 - s))


@accelerated
def sigmoid(x: Array) -> tuple[Array, Pullback]:
    """Logistic sigmoid: 1 / (1 + exp(-x))

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * y * (1 - y). `nnx.activations.sigmoid` returns
    y alone.

    No exponential of a positive number is computed, so nothing overflows, and small values keep their digits.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.sigmoid(np.asarray([-1.0, 0.0, 1000.0]))
    >>> y.round(4), pullback(np.ones(3)).round(4)
    (array([0.2689, 0.5   , 1.    ]), array([0.1966, 0.25  , 0.    ]))
    """
    xp = array_namespace(x)
    # numerator and denominator times exp(x) where x is negative: no exponent is positive, and no digit is lost
    y = xp.exp(xp.minimum(x, 0.0)) / (1.0 + xp.exp(-xp.abs(x)))
    return y, lambda dy: dy * (y - y * y)


@accelerated
def log_sigmoid(x: Array) -> tuple[Array, Pullback]:
    """Logarithm of the sigmoid: log(sigmoid(x)) = -softplus(-x)

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * (1 - sigmoid(x)). `nnx.activations.log_sigmoid`
    returns y alone.

    It is finite where sigmoid(x) underflows to 0.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.log_sigmoid(np.asarray([-50.0, 0.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([-50.    ,  -0.6931]), array([1. , 0.5]))
    """
    xp = array_namespace(x)
    y = xp.minimum(x, 0.0) - xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda dy: -dy * xp.expm1(y)  # 1 - sigmoid(x) = 1 - exp(y)


@accelerated
def softplus(x: Array) -> tuple[Array, Pullback]:
    """Softplus, a smooth rectifier: log(1 + exp(x))

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * sigmoid(x). `nnx.activations.softplus` returns
    y alone.

    Dugas et al., "Incorporating second-order functional knowledge for better option pricing", 2000.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.softplus(np.asarray([-1.0, 0.0, 50.0]))
    >>> y.round(4), pullback(np.ones(3)).round(4)
    (array([ 0.3133,  0.6931, 50.    ]), array([0.2689, 0.5   , 1.    ]))
    """
    xp = array_namespace(x)
    y = xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda dy: -dy * xp.expm1(-y)  # sigmoid(x) = 1 - exp(-y)


@accelerated
def tanh(x: Array) -> tuple[Array, Pullback]:
    """Hyperbolic tangent: tanh(x)

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * (1 - y**2). `nnx.activations.tanh` returns y
    alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.tanh(np.asarray([-1.0, 0.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([-0.7616,  0.    ]), array([0.42, 1.  ]))
    """
    y = array_namespace(x).tanh(x)
    return y, lambda dy: dy - dy * (y * y)


def exponential(x: Array) -> tuple[Array, Pullback]:
    """Exponential: exp(x), held at the largest power of e of the dtype with an integer exponent (88 for float32)

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * y, and 0 where y is held.
    `nnx.activations.exponential` returns y alone.

    The exponents are 11 for float16, 88 for float32 and 709 for float64.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.exponential(np.asarray([0.0, 1.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([1.    , 2.7183]), array([1.    , 2.7183]))
    """
    xp = array_namespace(x)
    limit = math.floor(math.log(xp.finfo(x.dtype).max))
    y = xp.exp(xp.minimum(x, limit))
    return y, lambda dy: dy * (y * xp.astype(x < limit, y.dtype))


@accelerated
def softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Softmax: exp(x) / sum(exp(x)) along an axis

    x : floating, of any shape with that axis. The largest element of the axis is subtracted first: nothing overflows.
    axis : along which y sums to 1, by default the last.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = y * (dy - sum(dy * y)). `nnx.activations.softmax`
    returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.softmax(np.asarray([[0.0, 0.0], [0.0, 1000.0]]))
    >>> y, pullback(np.asarray([[1.0, 0.0], [1.0, 0.0]]))
    (array([[0.5, 0.5],
           [0. , 1. ]]), array([[ 0.25, -0.25],
           [ 0.  ,  0.  ]]))
    """
    xp = array_namespace(x)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    y = narrow(e / wide_sum(e, axis=axis, keepdims=True), x)
    return y, lambda dy: narrow(y * (dy - wide_sum(dy * y, axis=axis, keepdims=True)), dy)


@accelerated
def log_softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Logarithm of the softmax: x - log(sum(exp(x))) along an axis

    x : floating, of any shape with that axis. It is finite where the softmax underflows to 0.
    axis : along which exp(y) sums to 1, by default the last.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy - exp(y) * sum(dy). `nnx.activations.log_softmax`
    returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.log_softmax(np.asarray([[0.0, 0.0], [0.0, 50.0]]))
    >>> y.round(4), pullback(np.asarray([[1.0, 0.0], [1.0, 0.0]]))
    (array([[ -0.6931,  -0.6931],
           [-50.    ,   0.    ]]), array([[ 0.5, -0.5],
           [ 1. , -1. ]]))
    """
    xp = array_namespace(x)
    z = x - xp.max(x, axis=axis, keepdims=True)
    y = narrow(z - xp.log(wide_sum(xp.exp(z), axis=axis, keepdims=True)), x)
    return y, lambda dy: narrow(dy - xp.exp(y) * wide_sum(dy, axis=axis, keepdims=True), dy)


def relu6(x: Array) -> tuple[Array, Pullback]:
    """Rectifier up to 6: min(max(x, 0), 6)

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where 0 < x < 6, else 0. `nnx.activations.relu6`
    returns y alone.

    Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.relu6(np.asarray([-1.0, 2.0, 8.0]))
    >>> y, pullback(np.ones(3))
    (array([0., 2., 6.]), array([0., 1., 0.]))
    """
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x, 0.0), 6.0)
    return y, lambda dy: dy * xp.astype((y > 0.0) & (y < 6.0), dy.dtype)


@accelerated
def prelu(x: Array, alpha: Array) -> tuple[Array, Pullback]:
    """Parametric rectifier: x where it is positive, else alpha * x with a learned alpha

    x (batch, ...) : floating.
    alpha : of the same dtype, broadcast against a sample of x: (channels,) for one number for each channel of
        (batch, rows, columns, channels), or the shape of a sample with 1 along the axes that share a number.

    Returns y of the shape of x, and pullback(dy) -> (dx, dalpha): dx is dy where x > 0, else alpha * dy, and dalpha,
    of alpha's shape, the sum of dy * min(x, 0) over the batch and what shares a number.

    He et al., "Delving deep into rectifiers", 2015, arXiv:1502.01852.

    >>> import numpy as np
    >>> y, pullback = prelu(np.asarray([[-2.0, 4.0], [-6.0, 8.0]]), np.asarray([0.5, 0.5]))
    >>> y
    array([[-1.,  4.],
           [-3.,  8.]])
    >>> dx, dalpha = pullback(np.ones((2, 2)))
    >>> dx, dalpha
    (array([[0.5, 1. ],
           [0.5, 1. ]]), array([-8.,  0.]))
    """
    xp = array_namespace(x)
    negative = xp.minimum(x, 0.0)
    y = xp.maximum(x, 0.0) + alpha * negative
    shape = (1,) * (len(x.shape) - len(alpha.shape)) + tuple(alpha.shape)
    shared = tuple(axis for axis, (size, full) in enumerate(zip(shape, x.shape, strict=True)) if size != full)

    def pullback(dy: Array) -> tuple[Array, Array]:
        above = xp.astype(x > 0.0, dy.dtype)
        dalpha = narrow(wide_sum(dy * negative, axis=shared), alpha) if shared else dy * negative
        return dy * (alpha * (1.0 - above) + above), xp.reshape(dalpha, alpha.shape)

    return y, pullback


def celu(x: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    """Continuously differentiable ELU: x where it is positive, else alpha * (exp(x / alpha) - 1)

    x : floating, of any shape.
    alpha : minus the limit for small x, positive, by default 1.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where x > 0, else dy * exp(x / alpha).
    `nnx.activations.celu` returns y alone. ValueError for an alpha that is not positive.

    Barron, "Continuously differentiable exponential linear units", 2017, arXiv:1704.07483.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.celu(np.asarray([-1.0, 2.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([-0.6321,  2.    ]), array([0.3679, 1.    ]))
    """
    if alpha <= 0.0:
        raise ValueError(f"celu: alpha must be positive, got {alpha}")
    xp = array_namespace(x)
    e = xp.expm1(xp.minimum(x, 0.0) / alpha)
    return xp.maximum(x, 0.0) + alpha * e, lambda dy: dy + dy * e


@accelerated
def mish(x: Array) -> tuple[Array, Pullback]:
    """Mish: x * tanh(softplus(x))

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * (t + x * (1 - t**2) * sigmoid(x)), t =
    tanh(softplus(x)). `nnx.activations.mish` returns y alone.

    Misra, "Mish: a self regularized non-monotonic activation function", 2019, arXiv:1908.08681.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.mish(np.asarray([-1.0, 0.0, 1.0]))
    >>> y.round(4), pullback(np.ones(3)).round(4)
    (array([-0.3034,  0.    ,  0.8651]), array([0.0592, 0.6   , 1.049 ]))
    """
    xp = array_namespace(x)
    softplus = xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))
    t = xp.tanh(softplus)
    return x * t, lambda dy: dy * (t - x * (1.0 - t * t) * xp.expm1(-softplus))


def softsign(x: Array) -> tuple[Array, Pullback]:
    """Softsign: x / (1 + |x|)

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy / (1 + |x|)**2. `nnx.activations.softsign`
    returns y alone.

    Bergstra et al., "Quadratic polynomials learn better image features", 2009.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.softsign(np.asarray([-1.0, 3.0]))
    >>> y, pullback(np.ones(2))
    (array([-0.5 ,  0.75]), array([0.25  , 0.0625]))
    """
    d = 1.0 + array_namespace(x).abs(x)
    return x / d, lambda dy: dy / d / d  # d * d could overflow


def squareplus(x: Array, b: float = 4) -> tuple[Array, Pullback]:
    """Squareplus, a rectifier without exponentials: (x + sqrt(x**2 + b)) / 2

    x : floating, of any shape.
    b : how far it is rounded off, positive, by default 4.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * y / sqrt(x**2 + b).
    `nnx.activations.squareplus` returns y alone. ValueError for a b that is not positive.

    Barron, "Squareplus: a softplus-like algebraic rectifier", 2021, arXiv:2112.11687.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.squareplus(np.asarray([-1.5, 0.0, 1.5]))
    >>> y, pullback(np.ones(3))
    (array([0.5, 1. , 2. ]), array([0.2, 0.5, 0.8]))
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
    """Piecewise linear sigmoid: x / 6 + 1/2, held between 0 and 1

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy / 6 where 0 < y < 1, else 0.
    `nnx.activations.hard_sigmoid` returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.hard_sigmoid(np.asarray([-4.0, 0.0, 1.5]))
    >>> y.round(4), pullback(np.ones(3)).round(4)
    (array([0.  , 0.5 , 0.75]), array([0.    , 0.1667, 0.1667]))
    """
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x / 6.0 + 0.5, 0.0), 1.0)
    return y, lambda dy: dy * (xp.astype((y > 0.0) & (y < 1.0), dy.dtype) / 6.0)


def hard_silu(x: Array) -> tuple[Array, Pullback]:
    """Piecewise form of SiLU, also called hard swish: x * hard_sigmoid(x)

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * (h + x / 6) where 0 < h < 1, else dy * h, h =
    hard_sigmoid(x). `nnx.activations.hard_silu` returns y alone.

    Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.hard_silu(np.asarray([-1.5, 0.0, 4.0]))
    >>> y, pullback(np.ones(3))
    (array([-0.375,  0.   ,  4.   ]), array([0. , 0.5, 1. ]))
    """
    h, pullback = hard_sigmoid(x)
    return x * h, lambda dy: dy * h + pullback(dy * x)


def hard_tanh(x: Array) -> tuple[Array, Pullback]:
    """Piecewise linear tanh: x held between -1 and 1

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where -1 < x < 1, else 0.
    `nnx.activations.hard_tanh` returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.hard_tanh(np.asarray([-2.0, 0.5]))
    >>> y, pullback(np.ones(2))
    (array([-1. ,  0.5]), array([0., 1.]))
    """
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(x, -1.0), 1.0)
    return y, lambda dy: dy * xp.astype(xp.abs(x) < 1.0, dy.dtype)


def hard_shrink(x: Array, threshold: float = 0.5) -> tuple[Array, Pullback]:
    """Hard shrinkage: x where |x| > threshold, else 0

    x : floating, of any shape.
    threshold : by default 0.5.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where |x| > threshold, else 0.
    `nnx.activations.hard_shrink` returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.hard_shrink(np.asarray([-2.0, 0.25]))
    >>> y, pullback(np.ones(2))
    (array([-2.,  0.]), array([1., 0.]))
    """
    xp = array_namespace(x)
    kept = xp.astype(xp.abs(x) > threshold, x.dtype)
    return x * kept, lambda dy: dy * kept


def soft_shrink(x: Array, threshold: float = 0.5) -> tuple[Array, Pullback]:
    """Soft shrinkage: x moved towards 0 by threshold, and 0 where |x| <= threshold

    x : floating, of any shape.
    threshold : by default 0.5.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where |x| > threshold, else 0.
    `nnx.activations.soft_shrink` returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.soft_shrink(np.asarray([-2.0, 0.25]))
    >>> y, pullback(np.ones(2))
    (array([-1.5,  0. ]), array([1., 0.]))
    """
    xp = array_namespace(x)
    y = x - xp.minimum(xp.maximum(x, -threshold), threshold)
    return y, lambda dy: dy * xp.astype(y != 0.0, dy.dtype)


def tanh_shrink(x: Array) -> tuple[Array, Pullback]:
    """Tanh shrinkage: x - tanh(x)

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * tanh(x)**2. `nnx.activations.tanh_shrink`
    returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.tanh_shrink(np.asarray([0.0, 1.0]))
    >>> y.round(4), pullback(np.ones(2)).round(4)
    (array([0.    , 0.2384]), array([0.  , 0.58]))
    """
    t = array_namespace(x).tanh(x)
    return x - t, lambda dy: dy * (t * t)


def threshold(x: Array, threshold: float = 0.0, default_value: float = 0.0) -> tuple[Array, Pullback]:
    """Threshold: x where it is larger than threshold, else default_value

    x : floating, of any shape.
    threshold, default_value : numbers, by default 0.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy where x > threshold, else 0.
    `nnx.activations.threshold` returns y alone.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.threshold(np.asarray([-2.0, 0.5, 3.0]), 1.0, default_value=-1.0)
    >>> y, pullback(np.ones(3))
    (array([-1., -1.,  3.]), array([0., 0., 1.]))
    """
    xp = array_namespace(x)
    above = x > threshold
    return xp.where(above, x, default_value), lambda dy: dy * xp.astype(above, dy.dtype)


def step(x: Array) -> tuple[Array, Pullback]:
    """Heaviside step, the perceptron's: 1 where x >= 0, else 0

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = 0 everywhere. `nnx.activations.step` returns y
    alone.

    As it has no gradient, it is for networks whose weights are given, or learned by a rule of their own.

    Rosenblatt, "The perceptron", 1958.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.step(np.asarray([-2.0, 0.0, 3.0]))
    >>> y, pullback(np.ones(3))
    (array([0., 1., 1.]), array([0., 0., 0.]))
    """
    xp = array_namespace(x)
    return xp.astype(x >= 0.0, x.dtype), lambda dy: xp.zeros_like(dy)


def sparse_plus(x: Array) -> tuple[Array, Pullback]:
    """Sparse plus, a rectifier with a parabola: 0 up to -1, (x + 1)**2 / 4 up to 1, x from there

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy * sparse_sigmoid(x).
    `nnx.activations.sparse_plus` returns y alone.

    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", 2020, arXiv:1901.02324.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.sparse_plus(np.asarray([-2.0, 0.0, 3.0]))
    >>> y, pullback(np.ones(3))
    (array([0.  , 0.25, 3.  ]), array([0. , 0.5, 1. ]))
    """
    xp = array_namespace(x)
    slope = 0.5 + 0.5 * xp.minimum(xp.maximum(x, -1.0), 1.0)
    return slope * slope + xp.maximum(x - 1.0, 0.0), lambda dy: dy * slope


def sparse_sigmoid(x: Array) -> tuple[Array, Pullback]:
    """Sparse sigmoid: (x + 1) / 2, held between 0 and 1

    x : floating, of any shape.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx = dy / 2 where 0 < y < 1, else 0.
    `nnx.activations.sparse_sigmoid` returns y alone.

    Blondel, Martins and Niculae, "Learning with Fenchel-Young losses", 2020, arXiv:1901.02324.

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.sparse_sigmoid(np.asarray([-2.0, 0.0, 0.5]))
    >>> y, pullback(np.ones(3))
    (array([0.  , 0.5 , 0.75]), array([0. , 0.5, 0.5]))
    """
    xp = array_namespace(x)
    y = xp.minimum(xp.maximum(0.5 * x + 0.5, 0.0), 1.0)
    return y, lambda dy: dy * (0.5 * xp.astype((y > 0.0) & (y < 1.0), dy.dtype))


def sparsemax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    """Sparsemax, the nearest point of the probability simplex: max(x - t, 0), with t such that the sum is 1

    x : floating, of any shape with that axis.
    axis : along which y sums to 1, by default the last.

    Returns y of the shape and dtype of x, and pullback(dy) -> dx: where y > 0, dy without the mean of dy over these
    elements, else 0. `nnx.activations.sparsemax` returns y alone.

    Martins and Astudillo, "From softmax to sparsemax", 2016, arXiv:1602.02068. (Keras 3.15 adds up cumulative sums
    where the sum belongs, so its values do not sum to 1 where more than one of them is positive; here they do.)

    >>> import numpy as np
    >>> from nnx import functional
    >>> y, pullback = functional.sparsemax(np.asarray([[1.0, 0.5, -2.0]]))
    >>> y, pullback(np.asarray([[1.0, 0.0, 5.0]]))
    (array([[0.75, 0.25, 0.  ]]), array([[ 0.5, -0.5,  0. ]]))
    """
    xp = array_namespace(x)
    z = wide(x)
    z = xp.maximum(z - xp.max(z, axis=axis, keepdims=True), -1.0)  # t >= -1 now: what is below gets 0 all the same
    falling = xp.sort(z, axis=axis, descending=True)
    place = xp.cumulative_sum(xp.ones_like(z), axis=axis)
    support = xp.astype(1.0 + place * falling > xp.cumulative_sum(falling, axis=axis), z.dtype)
    size = xp.sum(support, axis=axis, keepdims=True)
    y = xp.maximum(z - (xp.sum(falling * support, axis=axis, keepdims=True) - 1.0) / size, 0.0)

    def pullback(dy: Array) -> Array:
        slope = wide(dy)
        positive = xp.astype(y > 0.0, slope.dtype)
        mean = xp.sum(positive * slope, axis=axis, keepdims=True) / xp.sum(positive, axis=axis, keepdims=True)
        return narrow(positive * (slope - mean), dy)

    return narrow(y, x), pullback
