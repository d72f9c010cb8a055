"""Derivatives of products of matrices and vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from nnx.autodiff.array import bared, recorded
from nnx.autodiff.broadcasting import cast, sum_to
from nnx.autodiff.record import below, leaf, require_real
from nnx.autodiff.rule import Function, Pull
from nnx.backends import Array, Namespace
from nnx.functional.matrix_products import matrix_products
from nnx.kernels.numpy.matrix_products import LARGE
from nnx.parameters import Parameter

Result = tuple[Array, tuple[Pull, Pull]]


def product_of_matrices(a: Array, b: Array) -> Any:
    """The product of two plain matrices; `dot` of NumPy takes less time than `@` where they are small."""
    if type(a) is not np.ndarray:
        return a @ b
    return np.dot(a, b) if a.size * b.shape[-1] < LARGE else matrix_products(a, b)


def matrix_product(xp: Namespace, plain: Callable[..., Any]) -> Callable[..., Any]:
    """`matmul` of tracked arrays; products of two matrices of one dtype, as nearly all are, take the short way."""
    kind = xp.kind

    def product(a: Array, b: Array) -> Array:
        return product_of_matrices(a, b) if type(a) is not kind and type(b) is not kind else function(a, b)

    def pull_first(dy: Array, kept: tuple[Array, Array]) -> Array:
        return product(dy, kept[1].T)

    def pull_second(dy: Array, kept: tuple[Array, Array]) -> Array:
        return product(kept[0].T, dy)

    of_matrices = pull_first, pull_second

    def function(a: Any, b: Any, /) -> Any:
        if type(a) is Parameter:
            a = leaf(a, kind)
        if type(b) is Parameter:
            b = leaf(b, kind)
        of_a, of_b = type(a) is kind, type(b) is kind
        if of_a and of_b and a.tape is not b.tape:  # for the tape of the highest level the other one is a constant
            a, b = bared(a), bared(b)
            if a.tape is not b.tape:
                of_a = a.tape.level > b.tape.level
                of_b = not of_a
        elif not of_a and not of_b:
            return plain(a, b)
        tape = a.tape if of_a else b.tape
        va, vb = below((a, b), tape)
        pulls: tuple[Callable[..., Any], Callable[..., Any]]
        if getattr(va, "ndim", 0) == 2 == getattr(vb, "ndim", 0) and va.dtype == vb.dtype:
            y, pulls, kept = product(va, vb), of_matrices, (va, vb)
        else:
            y, pulls = _matmul(function if type(va) is kind or type(vb) is kind else plain, xp, va, vb)
            require_real(xp, y)
            kept = None
        if of_a and of_b:
            return recorded(kind, y, tape, (None, (a.index, b.index), pulls, kept))
        return recorded(kind, y, tape, (a.index if of_a else b.index, None, pulls[0 if of_a else 1], kept))

    function.__name__ = "matmul"
    return function


def _matmul(f: Function, xp: Namespace, a: Array, b: Array) -> Result:
    def pull_first(dy: Array) -> Array:
        if len(b.shape) == 1:
            product = xp.expand_dims(dy, axis=-1) * b
        elif len(a.shape) == 1:
            product = xp.matmul(b, xp.expand_dims(dy, axis=-1))[..., 0]
        else:
            product = xp.matmul(dy, xp.matrix_transpose(b))
        return sum_to(xp, product, a)

    def pull_second(dy: Array) -> Array:
        if len(a.shape) == 1:
            product = xp.expand_dims(dy, axis=-2) * xp.expand_dims(a, axis=-1) if len(b.shape) > 1 else dy * a
        elif len(b.shape) == 1:
            product = xp.matmul(xp.matrix_transpose(a), xp.expand_dims(dy, axis=-1))[..., 0]
        else:
            product = xp.matmul(xp.matrix_transpose(a), dy)
        return sum_to(xp, product, b)

    return f(a, b), (pull_first, pull_second)


def _vecdot(f: Function, xp: Namespace, a: Array, b: Array, *, axis: int = -1) -> Result:
    return f(a, b, axis=axis), (
        lambda dy: sum_to(xp, xp.expand_dims(dy, axis=axis) * b, a),
        lambda dy: sum_to(xp, xp.expand_dims(dy, axis=axis) * a, b),
    )


def _tensordot(f: Function, xp: Namespace, a: Array, b: Array, *, axes: Any = 2) -> Result:
    y = f(a, b, axes=axes)
    rank_a, rank_b = len(a.shape), len(b.shape)
    if isinstance(axes, int):
        of_a, of_b = tuple(range(rank_a - axes, rank_a)), tuple(range(axes))
    else:
        of_a, of_b = tuple(i % rank_a for i in axes[0]), tuple(i % rank_b for i in axes[1])
    free_a, free_b = [i for i in range(rank_a) if i not in of_a], [i for i in range(rank_b) if i not in of_b]

    def pull_first(dy: Array) -> Array:
        product = xp.tensordot(dy, b, axes=(tuple(range(len(free_a), len(free_a) + len(free_b))), tuple(free_b)))
        order = [*free_a, *[of_a[of_b.index(j)] for j in sorted(of_b)]]  # free, then contracted as b has them
        return cast(xp, xp.permute_dims(product, _inverse(order)), a)

    def pull_second(dy: Array) -> Array:
        product = xp.tensordot(a, dy, axes=(tuple(free_a), tuple(range(len(free_a)))))
        order = [*[of_b[of_a.index(j)] for j in sorted(of_a)], *free_b]
        return cast(xp, xp.permute_dims(product, _inverse(order)), b)

    return y, (pull_first, pull_second)


def _inverse(order: Sequence[int]) -> tuple[int, ...]:
    return tuple(order.index(i) for i in range(len(order)))


def outer(f: Function, xp: Namespace, a: Array, b: Array) -> Result:
    """Of two vectors."""
    return f(a, b), (lambda dy: cast(xp, xp.matmul(dy, b), a), lambda dy: cast(xp, xp.matmul(a, dy), b))


RULES: Final[dict[str, Callable[..., Result]]] = {"matmul": _matmul, "tensordot": _tensordot, "vecdot": _vecdot}
"""By the name in the standard."""
