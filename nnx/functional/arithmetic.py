"""Arithmetic of two arrays with broadcasting, and indexing: what operators on symbolic values stand for."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.precision import narrow, wide_sum
from nnx.pullbacks import Pullback

__all__ = ["add", "divide", "getitem", "matmul", "multiply", "negative", "power", "subtract", "sum_to"]


def add(a: Array, b: Array | float) -> tuple[Array, Pullback]:
    """Sum: a + b

    a, b : arrays that broadcast; b may be a number. pullback(dy) -> (da, db), each summed over what was repeated, and
    None for a number.

    >>> import numpy as np
    >>> y, pullback = add(np.asarray([1.0, 2.0]), 3.0)
    >>> y, pullback(np.ones(2))
    (array([4., 5.]), (array([1., 1.]), None))
    """
    return a + b, lambda dy: (sum_to(dy, a), sum_to(dy, b))


def subtract(a: Array | float, b: Array | float) -> tuple[Array, Pullback]:
    """Difference: a - b

    a, b : arrays that broadcast; one may be a number. pullback(dy) -> (da, db), each summed over what was repeated, and
    None for a number.

    >>> import numpy as np
    >>> y, pullback = subtract(3.0, np.asarray([1.0, 2.0]))
    >>> y, pullback(np.ones(2))
    (array([2., 1.]), (None, array([-1., -1.])))
    """
    return a - b, lambda dy: (sum_to(dy, a), sum_to(-dy, b))


def multiply(a: Array, b: Array | float) -> tuple[Array, Pullback]:
    """Product, element by element: a * b

    a, b : arrays that broadcast; b may be a number. pullback(dy) -> (dy * b, dy * a), each summed over what was
    repeated, and None for a number.

    >>> import numpy as np
    >>> y, pullback = multiply(np.asarray([1.0, 2.0]), np.asarray([3.0]))
    >>> y, pullback(np.ones(2))
    (array([3., 6.]), (array([3., 3.]), array([3.])))
    """
    return a * b, lambda dy: (sum_to(dy * b, a), sum_to(dy * a, b))


def divide(a: Array | float, b: Array | float) -> tuple[Array, Pullback]:
    """Quotient: a / b

    a, b : arrays that broadcast; one may be a number. pullback(dy) -> (dy / b, -dy * y / b), each summed over what was
    repeated, and None for a number.

    >>> import numpy as np
    >>> y, pullback = divide(np.asarray([1.0, 2.0]), 4.0)
    >>> y, pullback(np.ones(2))
    (array([0.25, 0.5 ]), (array([0.25, 0.25]), None))
    """
    y = a / b
    return y, lambda dy: (sum_to(dy / b, a), sum_to(-dy * y / b, b))


def power(a: Array, exponent: float) -> tuple[Array, Pullback]:
    """Power: a ** exponent, for an exponent that is a number

    pullback(dy) -> (dy * exponent * a ** (exponent - 1), None)

    >>> import numpy as np
    >>> y, pullback = power(np.asarray([1.0, 2.0]), 3.0)
    >>> y, pullback(np.ones(2))
    (array([1., 8.]), (array([ 3., 12.]), None))
    """
    if exponent == 2.0:
        return a * a, lambda dy: (2.0 * dy * a, None)
    return a**exponent, lambda dy: (dy * exponent * a ** (exponent - 1.0), None)


def negative(a: Array) -> tuple[Array, Pullback]:
    """Negation: -a, with pullback(dy) -> -dy

    >>> import numpy as np
    >>> y, pullback = negative(np.asarray([1.0, -2.0]))
    >>> y, pullback(np.ones(2))
    (array([-1.,  2.]), array([-1., -1.]))
    """
    return -a, lambda dy: -dy


def matmul(a: Array, b: Array) -> tuple[Array, Pullback]:
    """Matrix product a @ b of matrices, or stacks of matrices, of at least two axes; stacks broadcast

    a (..., n, k), b (..., k, m) -> y (..., n, m); pullback(dy) -> (dy @ b.T, a.T @ dy), each summed over what was
    repeated

    >>> import numpy as np
    >>> y, pullback = matmul(np.asarray([[1.0, 2.0]]), np.asarray([[3.0], [4.0]]))
    >>> y.tolist(), [cotangent.tolist() for cotangent in pullback(np.ones((1, 1)))]
    ([[11.0]], [[[3.0, 4.0]], [[1.0], [2.0]]])
    """
    xp = array_namespace(a)

    def pullback(dy: Array) -> tuple[Array, Array]:
        return sum_to(dy @ xp.matrix_transpose(b), a), sum_to(xp.matrix_transpose(a) @ dy, b)

    return a @ b, pullback


def getitem(x: Array, key: Any) -> tuple[Array, Pullback]:
    """Elements x[key], for integers, slices, None and Ellipsis

    pullback(dy) -> dx, of x's shape: dy where the elements were read, 0 elsewhere

    >>> import numpy as np
    >>> y, pullback = getitem(np.asarray([1.0, 2.0, 3.0]), slice(1, None))
    >>> y, pullback(np.ones(2))
    (array([2., 3.]), array([0., 1., 1.]))
    """
    xp = array_namespace(x)

    parts = key if isinstance(key, tuple) else (key,)
    without_new = tuple(part for part in parts if part is not None)  # the standard knows None only for reading

    def pullback(dy: Array) -> Array:
        dx = xp.zeros_like(x)
        dx[without_new] = xp.reshape(dy, x[without_new].shape)
        return dx

    return x[key], pullback


def sum_to(dy: Array, like: Any) -> Array | None:
    """Cotangent of an array that was broadcast: summed over the axes along which it was repeated.

    like : the array; for a number, whose cotangent nobody asks for, None is returned.

    >>> import numpy as np
    >>> sum_to(np.ones((2, 3)), np.zeros((1, 3)))
    array([[2., 2., 2.]])
    """
    if isinstance(like, int | float):
        return None
    xp = array_namespace(dy)
    shape, wanted = tuple(dy.shape), tuple(like.shape)
    if shape == wanted:
        return dy
    extra = len(shape) - len(wanted)
    axes = (*range(extra), *(i + extra for i, size in enumerate(wanted) if size == 1 and shape[i + extra] != 1))
    return narrow(xp.reshape(wide_sum(dy, axis=axes), wanted), dy)
