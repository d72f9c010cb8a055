"""Arithmetic of two arrays with broadcasting, and indexing: what operators on symbolic values stand for."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.precision import narrow, wide_sum
from nnx.pullbacks import Pullback

__all__ = ["add", "divide", "getitem", "matmul", "multiply", "negative", "power", "subtract", "sum_to"]


def add(a: Array, b: Array | float) -> tuple[Array, Pullback]:
    """Sum: a + b"""
    return a + b, lambda dy: (sum_to(dy, a), sum_to(dy, b))


def subtract(a: Array | float, b: Array | float) -> tuple[Array, Pullback]:
    """Difference: a - b"""
    return a - b, lambda dy: (sum_to(dy, a), sum_to(-dy, b))


def multiply(a: Array, b: Array | float) -> tuple[Array, Pullback]:
    """Product, element by element: a * b"""
    return a * b, lambda dy: (sum_to(dy * b, a), sum_to(dy * a, b))


def divide(a: Array | float, b: Array | float) -> tuple[Array, Pullback]:
    """Quotient: a / b"""
    y = a / b
    return y, lambda dy: (sum_to(dy / b, a), sum_to(-dy * y / b, b))


def power(a: Array, exponent: float) -> tuple[Array, Pullback]:
    """Power: a ** exponent, for an exponent that is a number"""
    if exponent == 2.0:
        return a * a, lambda dy: (2.0 * dy * a, None)
    return a**exponent, lambda dy: (dy * exponent * a ** (exponent - 1.0), None)


def negative(a: Array) -> tuple[Array, Pullback]:
    """Negation: -a"""
    return -a, lambda dy: -dy


def matmul(a: Array, b: Array) -> tuple[Array, Pullback]:
    """Matrix product a @ b of matrices, or stacks of matrices, of at least two axes; stacks broadcast"""
    xp = array_namespace(a)

    def pullback(dy: Array) -> tuple[Array, Array]:
        return sum_to(dy @ xp.matrix_transpose(b), a), sum_to(xp.matrix_transpose(a) @ dy, b)

    return a @ b, pullback


def getitem(x: Array, key: Any) -> tuple[Array, Pullback]:
    """Elements x[key], for integers, slices, None and Ellipsis"""
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
