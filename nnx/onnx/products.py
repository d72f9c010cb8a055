"""Products of matrices and vectors, and what there is of linear algebra."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.onnx.array import node
from nnx.onnx.layout import matrix_transpose
from nnx.onnx.standard import broadcast, linalg, promoted, standard, xp


@standard
def matmul(a: Any, b: Any, /) -> Any:
    a, b = promoted(a, b)
    before = broadcast(a.shape[:-2], b.shape[:-2])
    shape = (*before, *(a.shape[-2:-1] if a.ndim > 1 else ()), *(b.shape[-1:] if b.ndim > 1 else ()))
    inner, outer = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[-1]
    if isinstance(inner, int) and isinstance(outer, int) and inner != outer:
        raise ValueError(f"matrices of shapes {a.shape} and {b.shape} cannot be multiplied")
    return node("MatMul", [a, b], shape, a.dtype)


@standard
def tensordot(a: Any, b: Any, /, *, axes: Any = 2) -> Any:
    a, b = promoted(a, b)
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    of_a, of_b = [one % a.ndim for one in axes[0]], [one % b.ndim for one in axes[1]]
    left, right = [i for i in range(a.ndim) if i not in of_a], [i for i in range(b.ndim) if i not in of_b]
    inner = functools.reduce(lambda n, i: n * a.shape[i], of_a, 1)
    rows = xp.reshape(xp.permute_dims(a, [*left, *of_a]), (-1, inner))
    columns = xp.reshape(xp.permute_dims(b, [*of_b, *right]), (inner, -1))
    return xp.reshape(rows @ columns, (*(a.shape[i] for i in left), *(b.shape[i] for i in right)))


@standard
def vecdot(a: Any, b: Any, /, *, axis: int = -1) -> Any:
    return xp.sum(a * b, axis=axis)


def outer(a: Any, b: Any, /) -> Any:
    return xp.reshape(a, (-1, 1)) * xp.reshape(b, (1, -1))


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    size = xp.abs(x)
    if ord == np.inf:
        return xp.max(size, axis=axis, keepdims=keepdims)
    if ord == 1:
        return xp.sum(size, axis=axis, keepdims=keepdims)
    if ord == 2:
        return xp.sqrt(xp.sum(x * x, axis=axis, keepdims=keepdims))
    return xp.sum(size**ord, axis=axis, keepdims=keepdims) ** (1.0 / ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    if ord != "fro":
        raise TypeError(f"matrix_norm with ord={ord!r} is not exported to ONNX; 'fro' is")
    return vector_norm(x, axis=(-2, -1), keepdims=keepdims)


def det(x: Any, /) -> Any:
    return node("Det", [x], x.shape[:-2], x.dtype)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    rows, columns = x.shape[-2:]
    count = min(rows + min(offset, 0), columns - max(offset, 0))
    first = np.arange(max(count, 0))
    places = (first - min(offset, 0)) * columns + first + max(offset, 0)
    return xp.take(xp.reshape(x, (*x.shape[:-2], rows * columns)), places, axis=-1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return xp.sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


for _function in (outer, vector_norm, matrix_norm, det, diagonal, trace):
    standard(_function, linalg)
for _name in ("matmul", "tensordot", "vecdot"):
    setattr(linalg, _name, getattr(xp, _name))
linalg.matrix_transpose = matrix_transpose

_NOT_THERE: Sequence[str] = (
    *("cholesky", "cross", "eigh", "eigvalsh", "inv", "matrix_power", "matrix_rank", "pinv", "qr", "slogdet"),
    *("solve", "svd", "svdvals"),
)


def _absent(name: str, space: Any, why: str) -> None:
    def function(*args: Any, **options: Any) -> Any:
        raise TypeError(f"{name} is not exported to ONNX{why}")

    function.__name__ = name
    standard(function, space)


for _name in _NOT_THERE:
    _absent(_name, linalg, ", which has no operator for it")
for _name in ("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"):
    _absent(_name, xp, ", since the shape of its result depends on values: where(condition, x, 0) keeps the shape")
for _name in ("cumulative_prod", "copysign", "nextafter", "imag", "bitwise_left_shift", "bitwise_right_shift"):
    _absent(_name, xp, ", which has no operator for it")
