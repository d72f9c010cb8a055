"""Activation functions: each one entry of a tape, with the derivative of `nnx.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import functional
from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.ops.operation import as_array, as_floats, is_float, name_of_dtype, namespace, operation, positive_axis

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
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
    "swish",
    "tanh_shrink",
    "threshold",
]

_celu, _elu, _gelu, _leaky_relu, _selu = map(
    primitive, (functional.celu, functional.elu, functional.gelu, functional.leaky_relu, functional.selu)
)
_relu, _relu6, _sigmoid, _silu, _softplus, _softsign = map(
    primitive,
    (
        functional.relu,
        functional.relu6,
        functional.sigmoid,
        functional.silu,
        functional.softplus,
        functional.softsign,
    ),
)
_hard_shrink, _hard_sigmoid, _hard_silu, _hard_tanh = map(
    primitive, (functional.hard_shrink, functional.hard_sigmoid, functional.hard_silu, functional.hard_tanh)
)
_log_sigmoid, _log_softmax, _softmax, _sparsemax = map(
    primitive, (functional.log_sigmoid, functional.log_softmax, functional.softmax, functional.sparsemax)
)
_soft_shrink, _sparse_plus, _sparse_sigmoid, _squareplus, _tanh_shrink, _threshold = map(
    primitive,
    (
        functional.soft_shrink,
        functional.sparse_plus,
        functional.sparse_sigmoid,
        functional.squareplus,
        functional.tanh_shrink,
        functional.threshold,
    ),
)


@operation
def relu(x: Any) -> Array:
    """Rectified linear unit: max(x, 0). Integers stay integers, and bools become them.

    >>> relu([-1.0, 2.0])
    array([0., 2.], dtype=float32)
    """
    array = as_array(x)
    if is_float(array):
        return _relu(array)
    return as_array(array, "int32") if name_of_dtype(array) == "bool" else namespace(array).clip(array, 0, None)


@operation
def relu6(x: Any) -> Array:
    """Rectified linear unit with a bound: min(max(x, 0), 6).

    >>> relu6([-1.0, 2.0, 8.0])
    array([0., 2., 6.], dtype=float32)
    """
    return _relu6(as_floats(x))


@operation
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Array:
    """Leaky rectified linear unit: x, or negative_slope * x below 0.

    >>> leaky_relu([-1.0, 2.0])
    array([-0.2,  2. ], dtype=float32)
    """
    return _leaky_relu(as_floats(x), negative_slope)


@operation
def elu(x: Any, alpha: float = 1.0) -> Array:
    """Exponential linear unit: x, or alpha * (exp(x) - 1) below 0.

    >>> elu([-1.0, 2.0]).round(4)
    array([-0.6321,  2.    ], dtype=float32)
    """
    return _elu(as_floats(x), alpha)


@operation
def celu(x: Any, alpha: float = 1.0) -> Array:
    """Continuously differentiable exponential linear unit: x, or alpha * (exp(x / alpha) - 1) below 0.

    >>> celu([-1.0, 2.0], alpha=2.0).round(4)
    array([-0.7869,  2.    ], dtype=float32)
    """
    return _celu(as_floats(x), alpha)


@operation
def selu(x: Any) -> Array:
    """Scaled exponential linear unit, which keeps mean 0 and variance 1 through layers.

    >>> selu([-1.0, 2.0]).round(4)
    array([-1.1113,  2.1014], dtype=float32)
    """
    return _selu(as_floats(x))


@operation
def gelu(x: Any, approximate: bool = True) -> Array:
    """Gaussian error linear unit: x times the normal distribution function of x.

    approximate : by a hyperbolic tangent, which is the default here.

    >>> gelu([-1.0, 2.0]).round(4)
    array([-0.1588,  1.9546], dtype=float32)
    """
    return _gelu(as_floats(x), approximate)


@operation
def glu(x: Any, axis: int = -1) -> Array:
    """Gated linear unit: the first half of x along an axis, times the sigmoid of the second half.

    ValueError for an axis of odd length.

    >>> glu([1.0, 2.0, 0.0, 0.0])
    array([0.5, 1. ], dtype=float32)
    """
    array = as_floats(x)
    axis = positive_axis(axis, len(array.shape), "glu")
    size = array.shape[axis]
    if size % 2:
        raise ValueError(f"glu: axis {axis} is split in half, but its length is {size}")
    before = (slice(None),) * axis
    return array[(*before, slice(None, size // 2), ...)] * _sigmoid(array[(*before, slice(size // 2, None), ...)])


@operation
def sigmoid(x: Any) -> Array:
    """Logistic function: 1 / (1 + exp(-x)).

    >>> sigmoid([0.0, 2.0]).round(4)
    array([0.5   , 0.8808], dtype=float32)
    """
    return _sigmoid(as_floats(x))


@operation
def log_sigmoid(x: Any) -> Array:
    """Logarithm of the logistic function, finite for finite x.

    >>> log_sigmoid([0.0, -1000.0]).round(4)
    array([-6.931e-01, -1.000e+03], dtype=float32)
    """
    return _log_sigmoid(as_floats(x))


@operation
def silu(x: Any) -> Array:
    """Sigmoid linear unit, also called swish: x * sigmoid(x).

    >>> silu([0.0, 2.0]).round(4)
    array([0.    , 1.7616], dtype=float32)
    """
    return _silu(as_floats(x))


swish = silu


@operation
def hard_sigmoid(x: Any) -> Array:
    """Straight line in place of the logistic function: min(max(x + 3, 0), 6) / 6.

    >>> hard_sigmoid([-4.0, 0.0, 1.5])
    array([0.  , 0.5 , 0.75], dtype=float32)
    """
    return _hard_sigmoid(as_floats(x))


@operation
def hard_silu(x: Any) -> Array:
    """Product of x and its `hard_sigmoid`, also called hard swish.

    >>> hard_silu([-4.0, 0.0, 1.5])
    array([-0.   ,  0.   ,  1.125], dtype=float32)
    """
    return _hard_silu(as_floats(x))


hard_swish = hard_silu


@operation
def hard_tanh(x: Any) -> Array:
    """Straight line in place of the hyperbolic tangent: min(max(x, -1), 1).

    >>> hard_tanh([-4.0, 0.5])
    array([-1. ,  0.5], dtype=float32)
    """
    return _hard_tanh(as_floats(x))


@operation
def hard_shrink(x: Any, threshold: float = 0.5) -> Array:
    """Hard shrinkage: x where |x| is larger than the threshold, else 0.

    >>> hard_shrink([0.5, 0.2, 1.0])
    array([0., 0., 1.], dtype=float32)
    """
    return _hard_shrink(as_floats(x), threshold)


@operation
def soft_shrink(x: Any, threshold: float = 0.5) -> Array:
    """Soft shrinkage: x moved towards 0 by the threshold, and no further.

    >>> soft_shrink([-1.5, 0.2, 1.0])
    array([-1. ,  0. ,  0.5], dtype=float32)
    """
    return _soft_shrink(as_floats(x), threshold)


@operation
def tanh_shrink(x: Any) -> Array:
    """Difference of x and its hyperbolic tangent: x - tanh(x).

    >>> tanh_shrink([0.0, 2.0]).round(4)
    array([0.   , 1.036], dtype=float32)
    """
    return _tanh_shrink(as_floats(x))


@operation
def threshold(x: Any, threshold: float, default_value: float) -> Array:
    """Values above a threshold, and `default_value` in place of the others.

    >>> threshold([-1.0, 0.5, 2.0], 0.5, -7.0)
    array([-7., -7.,  2.], dtype=float32)
    """
    return _threshold(as_floats(x), threshold, default_value)


@operation
def softplus(x: Any) -> Array:
    """Softplus, a smooth rectifier: log(1 + exp(x)).

    >>> softplus([0.0, 100.0]).round(4)
    array([  0.6931, 100.    ], dtype=float32)
    """
    return _softplus(as_floats(x))


@operation
def softsign(x: Any) -> Array:
    """Softsign: x / (1 + |x|).

    >>> softsign([-1.0, 3.0])
    array([-0.5 ,  0.75], dtype=float32)
    """
    return _softsign(as_floats(x))


@operation
def squareplus(x: Any, b: float = 4) -> Array:
    """Squareplus, a rectifier without exponentials: (x + sqrt(x**2 + b)) / 2.

    >>> squareplus([0.0, 3.0]).round(4)
    array([1.    , 3.3028], dtype=float32)
    """
    return _squareplus(as_floats(x), b)


@operation
def sparse_plus(x: Any) -> Array:
    """Sparse softplus: 0 up to -1, (x + 1)**2 / 4 up to 1, then x.

    >>> sparse_plus([-2.0, 0.0, 3.0])
    array([0.  , 0.25, 3.  ], dtype=float32)
    """
    return _sparse_plus(as_floats(x))


@operation
def sparse_sigmoid(x: Any) -> Array:
    """Sparse sigmoid: 0 up to -1, (x + 1) / 2 up to 1, then 1.

    >>> sparse_sigmoid([-2.0, 0.0, 3.0])
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return _sparse_sigmoid(as_floats(x))


@operation
def softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Array:
    """Softmax: exp(x) divided by its sum along an axis.

    axis : one, by default the last; several, or None for all, are taken together.

    >>> softmax([[0.0, 0.0], [1.0, 1.0]])
    array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32)
    """
    return _over_axes(_softmax, as_floats(x), axis)


@operation
def log_softmax(x: Any, axis: int | Sequence[int] | None = -1) -> Array:
    """Logarithm of the softmax, finite for finite x.

    axis : one, by default the last; several, or None for all, are taken together.

    >>> log_softmax([0.0, -1000.0])
    array([    0., -1000.], dtype=float32)
    """
    return _over_axes(_log_softmax, as_floats(x), axis)


@operation
def sparsemax(x: Any, axis: int = -1) -> Array:
    """Sparsemax: the point of the probability simplex that is nearest to x along an axis.

    >>> sparsemax([4.0, 4.0, 0.0])
    array([0.5, 0.5, 0. ], dtype=float32)
    """
    return _sparsemax(as_floats(x), axis)


def _over_axes(function: Any, x: Array, axis: int | Sequence[int] | None) -> Array:
    if isinstance(axis, int):
        return function(x, axis)
    xp, rank = namespace(x), len(x.shape)
    axes = tuple(range(rank)) if axis is None else tuple(positive_axis(a, rank, "softmax") for a in axis)
    order = (*(a for a in range(rank) if a not in axes), *axes)
    moved = xp.permute_dims(x, order)
    y = function(xp.reshape(moved, (*moved.shape[: rank - len(axes)], -1)), -1)
    return xp.permute_dims(xp.reshape(y, moved.shape), tuple(order.index(a) for a in range(rank)))
