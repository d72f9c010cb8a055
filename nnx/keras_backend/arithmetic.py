"""Arithmetic, comparisons and products by the names of Keras 2's backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnx import ops
from nnx.backends import Array
from nnx.keras_backend.shapes import number_of_elements
from nnx.ops import (
    abs,
    all,
    any,
    cos,
    equal,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    logsumexp,
    max,
    maximum,
    mean,
    min,
    minimum,
    not_equal,
    prod,
    round,
    sign,
    sin,
    sqrt,
    square,
    std,
    sum,
    tanh,
    var,
)

__all__ = [
    "abs",
    "all",
    "any",
    "argmax",
    "argmin",
    "batch_dot",
    "bias_add",
    "clip",
    "cos",
    "cumprod",
    "cumsum",
    "dot",
    "equal",
    "exp",
    "greater",
    "greater_equal",
    "in_top_k",
    "l2_normalize",
    "less",
    "less_equal",
    "log",
    "logsumexp",
    "map_fn",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "not_equal",
    "pow",
    "prod",
    "round",
    "sign",
    "sin",
    "sqrt",
    "square",
    "std",
    "sum",
    "switch",
    "tanh",
    "var",
]


def argmax(x: Any, axis: int = -1) -> Array:
    """Indices of the largest elements, by default along the last axis.

    >>> argmax([[1.0, 3.0], [2.0, 0.0]]).tolist()
    [1, 0]
    """
    return ops.argmax(x, axis=axis)


def argmin(x: Any, axis: int = -1) -> Array:
    """Indices of the smallest elements, by default along the last axis.

    >>> argmin([[1.0, 3.0], [2.0, 0.0]]).tolist()
    [0, 1]
    """
    return ops.argmin(x, axis=axis)


def cumsum(x: Any, axis: int = 0) -> Array:
    """Running sum, by default along the first axis.

    >>> cumsum([1.0, 2.0]).tolist()
    [1.0, 3.0]
    """
    return ops.cumsum(x, axis=axis)


def cumprod(x: Any, axis: int = 0) -> Array:
    """Running product, by default along the first axis.

    >>> cumprod([1.0, 2.0, 3.0]).tolist()
    [1.0, 2.0, 6.0]
    """
    return ops.cumprod(x, axis=axis)


def clip(x: Any, min_value: Any = None, max_value: Any = None) -> Array:
    """Elements between two bounds.

    >>> clip([-1.0, 0.5], 0.0, 1.0).tolist()
    [0.0, 0.5]
    """
    return ops.clip(x, min_value, max_value)


def pow(x: Any, a: Any) -> Array:
    """Powers of elements.

    >>> pow([2.0, 3.0], 2).tolist()
    [4.0, 9.0]
    """
    return ops.power(x, a)


def dot(x: Any, y: Any) -> Array:
    """Product along the last axis of x and the last but one of y.

    >>> dot([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    return ops.dot(x, y)


def batch_dot(x: Any, y: Any, axes: int | Sequence[int] | None = None) -> Array:
    """Products of the samples of two batches along an axis of each; a number becomes an axis of length 1.

    axes : one for both, or one for each; by default the last of x and the last but one of y, or its last if it has two.
    ValueError for axes of other lengths, and for the axis of the batch.

    >>> batch_dot(ops.ones((2, 3)), ops.ones((2, 3))).tolist()
    [[3.0], [3.0]]
    """
    ranks = len(ops.shape(x)), len(ops.shape(y))
    if axes is None:
        first, second = ranks[0] - 1, ranks[1] - (1 if ranks[1] == 2 else 2)
    else:
        first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % ranks[0], second % ranks[1]
    size, other = ops.shape(x)[first], ops.shape(y)[second]
    if 0 in (first, second) or size != other:
        raise ValueError(
            f"K.batch_dot: axes {first} and {second} of shapes {ops.shape(x)} and {ops.shape(y)} must be as long, and "
            f"not those of the batch"
        )
    a, b = ops.moveaxis(x, first, -1), ops.moveaxis(y, second, 1)
    left, right = ops.shape(a)[1:-1], ops.shape(b)[2:]
    product = ops.matmul(
        ops.reshape(a, (-1, number_of_elements("batch_dot", left), size)),
        ops.reshape(b, (-1, size, number_of_elements("batch_dot", right))),
    )
    return ops.reshape(product, (-1, *((*left, *right) or (1,))))


def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Array:
    """Sum of an array and a bias of its channels, which are last, or behind the batch for "channels_first".

    >>> bias_add(ops.zeros((1, 2)), [1.0, 2.0]).tolist()
    [[1.0, 2.0]]
    """
    if data_format == "channels_first":
        bias = ops.reshape(bias, (-1, *[1] * (len(ops.shape(x)) - 2)))
    return ops.add(x, bias)


def l2_normalize(x: Any, axis: Any = None) -> Array:
    """Array divided by its norm along axes, by default all.

    >>> l2_normalize([3.0, 4.0]).round(2).tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    return ops.divide(x, ops.maximum(ops.norm(x, axis=axis, keepdims=True), 1e-6))


def in_top_k(predictions: Any, targets: Any, k: int) -> Array:
    """Whether the prediction of each target class is among the k largest.

    >>> in_top_k([[0.1, 0.9]], [1], 1).tolist()
    [True]
    """
    return ops.in_top_k(targets, predictions, k)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two values, by a condition: one for all, or for each element or sample.

    then_expression, else_expression : arrays, or functions without arguments that return them.

    >>> switch([True, False], [1.0, 1.0], [2.0, 2.0]).tolist()
    [1.0, 2.0]
    """
    then, other = (v() if callable(v) else v for v in (then_expression, else_expression))
    missing = len(ops.shape(then)) - len(ops.shape(condition))
    for _ in range(missing if ops.shape(condition) else 0):
        condition = ops.expand_dims(condition, -1)
    return ops.where(condition, then, other)


def map_fn(fn: Callable[[Any], Any], elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """Results of a function of each element of the first axis, stacked.

    >>> map_fn(lambda x: 2.0 * x, [1.0, 2.0]).tolist()
    [2.0, 4.0]
    """
    return ops.map(fn, elems)
