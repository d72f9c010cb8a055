"""Linear algebra of matrices in the last two axes: the names of `keras.ops.linalg`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, lower
from nnx.autodiff.transforms import differentiable
from nnx.backends import Array, backend_of, to_numpy
from nnx.ops.operation import as_floats, namespace, operation, positive_axis, promote

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eig",
    "eigh",
    "inv",
    "jvp",
    "logdet",
    "lstsq",
    "lu_factor",
    "matrix_rank",
    "norm",
    "pinv",
    "qr",
    "solve",
    "solve_triangular",
    "svd",
]


@operation
def cholesky(x: Any, upper: bool = False) -> Array:
    """Cholesky factor L of symmetric positive definite matrices: x = L @ L.T, or x = U.T @ U if `upper`.

    ValueError for a matrix that is not positive definite, where the library says so.

    >>> cholesky([[4.0, 0.0], [0.0, 9.0]])
    array([[2., 0.],
           [0., 3.]], dtype=float32)
    """
    array = as_floats(x)
    return namespace(array).linalg.cholesky(array, upper=upper)


@operation
def cholesky_inverse(x: Any, upper: bool = False) -> Array:
    """Inverse of the matrix whose Cholesky factor is given: inv(x @ x.T), or inv(x.T @ x) if `upper`.

    >>> cholesky_inverse([[2.0, 0.0], [0.0, 4.0]])
    array([[0.25  , 0.    ],
           [0.    , 0.0625]], dtype=float32)
    """
    array = as_floats(x)
    xp = namespace(array)
    inverse = xp.linalg.inv(xp.triu(array) if upper else xp.tril(array))
    transposed = xp.matrix_transpose(inverse)
    return xp.matmul(inverse, transposed) if upper else xp.matmul(transposed, inverse)


@operation
def det(x: Any) -> Array:
    """Determinants of square matrices.

    >>> round(float(det([[1.0, 2.0], [3.0, 4.0]])), 4)
    -2.0
    """
    array = as_floats(x)
    return namespace(array).linalg.det(array)


@operation
def logdet(x: Any) -> Array:
    """Logarithm of the absolute value of determinants; -inf for singular matrices.

    >>> float(logdet([[1.0, 0.0], [0.0, 1.0]]))
    0.0
    """
    array = as_floats(x)
    return namespace(array).linalg.slogdet(array)[1]


@operation
def eig(x: Any) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors, as columns, of square matrices: complex, and without derivative.

    They are computed on the host, because the Array API standard has them of symmetric matrices alone; see `eigh`.

    >>> values, vectors = eig([[0.0, -1.0], [1.0, 0.0]])
    >>> sorted(values.imag.tolist())
    [-1.0, 1.0]
    """
    array = as_floats(x)
    if isinstance(array, TrackedArray):
        raise NotImplementedError("eig has no derivative in nnx: eigh, of symmetric matrices, has one")
    host = to_numpy(array)
    dtype = np.result_type(host.dtype, np.complex64)
    backend = backend_of(array)
    values, vectors = (backend.put_beside(array, part.astype(dtype)) for part in np.linalg.eig(host))
    return values, vectors


@operation
def eigh(x: Any) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors, as columns, of symmetric matrices.

    >>> values, vectors = eigh([[2.0, 0.0], [0.0, 1.0]])
    >>> values
    array([1., 2.], dtype=float32)
    """
    array = as_floats(x)
    found = namespace(array).linalg.eigh(array)
    return found[0], found[1]


@operation
def inv(x: Any) -> Array:
    """Inverses of square matrices.

    >>> inv([[2.0, 0.0], [0.0, 4.0]])
    array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    array = as_floats(x)
    return namespace(array).linalg.inv(array)


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Value of a function, and its derivative along a direction.

    fun : of arrays, returns an array; with has_aux, (array, something else), which then comes third.
    primals, tangents : its arguments, and the direction, of their shapes.

    >>> y, dy = jvp(lambda x: x * x, ([3.0],), ([1.0],))
    >>> float(y[0]), float(dy[0])
    (9.0, 6.0)
    """
    points = [as_floats(p) for p in primals]
    direction = [as_floats(t) for t in tangents]
    aux = []

    def value(*arguments: Any) -> Any:
        made = fun(*arguments)
        if has_aux:
            aux.append(made[1])
            return made[0]
        return made

    # The pullback is linear in its cotangent u; the derivative of it by u, pulled back, is the forward derivative.
    y = value(*points)
    zero = namespace(y).zeros_like(y)
    _, pull = differentiable(lambda u, *arguments: _as_tuple(differentiable(value)(*arguments)[1](u)))(zero, *points)
    forward = pull(tuple(direction))[0]
    return (y, forward, aux[0]) if has_aux else (y, forward)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@operation
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Array:
    """Least-squares solution of a @ x = b, of smallest norm.

    a : (m, n). b : (m,) or (m, k). rcond : singular values below rcond times the largest count as 0.

    >>> lstsq([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]], [1.0, 2.0, 3.0]).round(4)
    array([1., 1.], dtype=float32)
    """
    matrix, right = promote(as_floats(a), as_floats(b))
    return namespace(matrix, right).matmul(pinv(matrix, rcond), right)


@operation
def lu_factor(x: Any) -> tuple[Array, Array]:
    """Factors of a matrix with rows exchanged: P @ x = L @ U, both in one matrix, and the exchanges.

    x : (..., m, n). Returns L, below the diagonal, whose own is 1, and U in one matrix; and pivots (..., min(m, n)): in
    step i the rows i and pivots[i] change places.

    >>> factors, pivots = lu_factor([[1.0, 2.0], [4.0, 8.0]])
    >>> factors.tolist(), pivots.tolist()
    ([[4.0, 8.0], [0.25, 0.0]], [1, 1])
    """
    array = as_floats(x)
    if isinstance(array, TrackedArray):
        raise NotImplementedError("lu_factor has no derivative in nnx: solve, inv, det and logdet have one")
    xp, device = namespace(array), backend_of(array).device_of(array)
    rows, columns = (xp.arange(n, device=device) for n in array.shape[-2:])
    pivots = []
    for step in range(min(array.shape[-2:])):
        size = xp.where(rows >= step, xp.abs(array[..., :, step]), -1.0)
        pivot = xp.argmax(size, axis=-1, keepdims=True)
        pivots.append(pivot)
        order = xp.where(rows == pivot, step, xp.where(rows == step, pivot, rows))
        array = xp.take_along_axis(array, xp.broadcast_to(order[..., :, None], array.shape), axis=-2)
        diagonal = array[..., step : step + 1, step]
        factor = xp.astype(rows > step, array.dtype) * array[..., :, step] / xp.where(diagonal == 0.0, 1.0, diagonal)
        right = array[..., step, :] * xp.astype(columns > step, array.dtype)
        array = array - factor[..., :, None] * right[..., None, :]
        column = xp.where(rows > step, factor, array[..., :, step])
        array = xp.where(columns == step, column[..., :, None], array)
    return array, xp.concat(pivots, axis=-1) if pivots else rows[:0]


@operation
def matrix_rank(x: Any, tol: float | None = None) -> Array:
    """Numbers of singular values above a tolerance; vectors have the rank 1 unless they are 0.

    tol : by default the largest singular value times the longer side times the resolution of the dtype.

    >>> int(matrix_rank([[1.0, 1.0], [1.0, 1.0]]))
    1
    """
    array = lower(as_floats(x))
    xp = namespace(array)
    if len(array.shape) < 2:
        return xp.astype(xp.any(array != 0), xp.int32)
    values = xp.linalg.svdvals(array)
    if tol is None:
        scale = max(array.shape[-2:]) * float(xp.finfo(array.dtype).eps)
        return xp.astype(xp.count_nonzero(values > values[..., :1] * scale, axis=-1), xp.int32)
    return xp.astype(xp.count_nonzero(values > tol, axis=-1), xp.int32)


@operation
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    """Norm of vectors or matrices.

    ord : None, the root of the sum of squares; of vectors any number, inf and -inf too; of matrices 1, -1, 2, -2, inf,
        -inf, "fro" and "nuc".
    axis : one for vectors, two for matrices; by default all, where without an `ord` x may have any number of axes.

    ValueError for another ord, and for more than two axes together with an ord.

    >>> float(norm([3.0, 4.0])), float(norm([[1.0, 2.0], [3.0, 4.0]], ord=1))
    (5.0, 6.0)
    """
    array = as_floats(x)
    xp, rank = namespace(array), len(array.shape)
    axes = tuple(range(rank)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(positive_axis(a, rank, "norm") for a in axes)
    if ord is None or (ord == "fro" and len(axes) == 2):
        return xp.linalg.vector_norm(array, axis=axes, keepdims=keepdims)
    if len(axes) == 1:
        if isinstance(ord, str):
            raise ValueError(f"norm: ord={ord!r} is of matrices; the norm of vectors takes a number")
        if ord == 0:
            return xp.sum(xp.astype(array != 0, array.dtype), axis=axes, keepdims=keepdims)
        return xp.linalg.vector_norm(array, axis=axes, keepdims=keepdims, ord=ord)
    if len(axes) != 2:
        raise ValueError(f"norm: with ord={ord!r} it is over one axis or two, got {len(axes)}; name them by axis=")
    y = _matrix_norm(xp, xp.moveaxis(array, axes, (-2, -1)), ord)
    for a in sorted(axes) if keepdims else ():
        y = xp.expand_dims(y, axis=a)
    return y


def _matrix_norm(xp: Any, matrix: Array, ord: Any) -> Array:
    if ord in (1, -1, math.inf, -math.inf):
        sums = xp.sum(xp.abs(matrix), axis=-2 if abs(ord) == 1 else -1)
    elif ord in (2, -2, "nuc"):
        sums = xp.abs(xp.linalg.svdvals(matrix))  # where one is 0, its vectors are any, and so its slope is 0
    else:
        raise ValueError(f"norm: ord of matrices is 1, -1, 2, -2, inf, -inf, 'fro' or 'nuc', got {ord!r}")
    if ord == "nuc":
        return xp.sum(sums, axis=-1)
    return xp.max(sums, axis=-1) if ord > 0 else xp.min(sums, axis=-1)


@operation
def pinv(x: Any, rcond: float | None = None) -> Array:
    """Pseudo-inverses of matrices (..., m, n), which are (..., n, m).

    rcond : singular values below rcond times the largest count as 0; by default 10 times the longer side times the
        resolution of the dtype.

    >>> pinv([[2.0, 0.0], [0.0, 0.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    array = as_floats(x)
    xp = namespace(array)
    if rcond is None:
        rcond = 10.0 * max(array.shape[-2:]) * float(xp.finfo(array.dtype).eps)
    return xp.linalg.pinv(array, rtol=rcond)


@operation
def qr(x: Any, mode: str = "reduced") -> tuple[Array, Array]:
    """Orthonormal and upper triangular factors of matrices: x = q @ r.

    mode : "reduced" (default) or "complete".

    >>> q, r = qr([[3.0, 1.0], [4.0, 2.0]])
    >>> abs(r).round(4)
    array([[5. , 2.2],
           [0. , 0.4]], dtype=float32)
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode must be 'reduced' or 'complete', got {mode!r}")
    array = as_floats(x)
    found = namespace(array).linalg.qr(array, mode=mode)
    return found[0], found[1]


@operation
def solve(a: Any, b: Any) -> Array:
    """Solution x of a @ x = b.

    a : (..., n, n). b : (..., n, k), or (n,) or (..., n), one vector for each matrix.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0])
    array([1. , 0.5], dtype=float32)
    """
    matrix, right = promote(as_floats(a), as_floats(b))
    xp = namespace(matrix, right)
    if len(right.shape) == len(matrix.shape) - 1:
        return xp.linalg.solve(matrix, right[..., None])[..., 0]
    return xp.linalg.solve(matrix, right)


@operation
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Array:
    """Solution x of a @ x = b for triangular a, of which the other triangle is not read.

    a : (..., n, n), upper triangular unless `lower`. b : (..., n, k), or (..., n).

    >>> solve_triangular([[2.0, 5.0], [0.0, 4.0]], [7.0, 4.0])
    array([1., 1.], dtype=float32)
    """
    matrix = as_floats(a)
    xp = namespace(matrix)
    return solve(xp.tril(matrix) if lower else xp.triu(matrix), b)


@operation
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values of matrices, descending, and the vectors: x = u @ diag(s) @ v.

    compute_uv : whether (u, s, v) are returned, v with its vectors in rows; else s alone.

    >>> svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False)
    array([4., 3.], dtype=float32)
    """
    array = as_floats(x)
    xp = namespace(array)
    if not compute_uv:
        return xp.linalg.svdvals(array)
    found = xp.linalg.svd(array, full_matrices=full_matrices)
    return found[0], found[1], found[2]
