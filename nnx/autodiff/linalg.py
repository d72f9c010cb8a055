"""Derivatives of linear algebra.

Of decompositions each part is a function of its own, with its own rule: values alone have a derivative where vectors
have none. What is symmetric in theory has a symmetric cotangent, although the value reads one triangle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from nnx.autodiff.array import constant, lower
from nnx.autodiff.broadcasting import cast, reopen, sum_dtype, sum_to
from nnx.autodiff.guards import divisor
from nnx.autodiff.products import outer
from nnx.autodiff.rule import Function, Pull
from nnx.backends import Array, Namespace

Result = tuple[Array, tuple[Pull, ...]]
Results = tuple[Any, tuple[Pull | None, ...]]


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and the vectors in the columns of a matrix."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """An orthonormal and an upper triangular matrix."""

    Q: Array
    R: Array


class SlogdetResult(NamedTuple):
    """Sign, and logarithm of the absolute value, of a determinant."""

    sign: Array
    logabsdet: Array


class SVDResult(NamedTuple):
    """Left singular vectors, singular values, and the right vectors in the rows of a matrix."""

    U: Array
    S: Array
    Vh: Array


def _eye(xp: Namespace, size: int, like: Array) -> Array:
    return xp.base.eye(size, dtype=like.dtype, device=xp.device_of(like))


def _inv(f: Function, xp: Namespace, x: Array) -> Result:
    y = f(x)
    transposed = xp.matrix_transpose(y)
    return y, (lambda dy: -xp.matmul(xp.matmul(transposed, dy), transposed),)


def _det(f: Function, xp: Namespace, x: Array) -> Result:
    """By cofactors, which are polynomials: right for singular matrices too."""
    return f(x), (lambda dy: dy[..., None, None] * xp.cofactors(x),)


def plain_cofactors(base: Namespace, x: Array) -> Array:
    """The derivative of the determinant, of any rank: det(U) det(V) U diag(products of the other values) V^T.

    x (..., n, n) -> (..., n, n)
    """
    u, s, vh = base.linalg.svd(x)
    return _orientation(base, u, vh)[..., None, None] * base.matmul(u * _others(base, s)[..., None, :], vh)


def _orientation(base: Namespace, u: Array, vh: Array) -> Array:
    return base.sign(base.linalg.det(u) * base.linalg.det(vh))


def _others(base: Namespace, s: Array) -> Array:
    """For each of several numbers the product of the others: (..., n) -> (..., n)"""
    eye = base.eye(s.shape[-1], dtype=s.dtype, device=s.device) > 0
    return base.prod(base.where(eye, 1.0, s[..., None, :]), axis=-1)


def cofactors(f: Function, xp: Namespace, x: Array) -> Result:
    """Their derivative in the basis of the singular vectors: products of all values but two, whatever is tied."""

    def pull(dy: Array) -> Array:
        u, s, vh = xp.linalg.svd(x)
        ut, v = xp.matrix_transpose(u), xp.matrix_transpose(vh)
        n = s.shape[-1]
        eye = _eye(xp, n, s)
        # products[i, j] = of all s but s[i] and s[j], and 0 on the diagonal
        left = (eye[:, None, :] + eye[None, :, :]) > 0
        products = xp.prod(xp.where(left, 1.0, s[..., None, None, :]), axis=-1) * (1.0 - eye)
        inside = xp.matmul(xp.matmul(ut, dy), v)
        diagonal = xp.sum(inside * eye, axis=-1)
        of_diagonal = xp.sum(diagonal[..., None, :] * products, axis=-1)
        slopes = of_diagonal[..., None] * eye - xp.matrix_transpose(inside) * products
        sign = xp.sign(xp.linalg.det(u) * xp.linalg.det(vh))[..., None, None]
        return xp.matmul(xp.matmul(u, slopes), vh) * sign

    return f(x), (pull,)


def _solve(f: Function, xp: Namespace, a: Array, b: Array) -> Result:
    y = f(a, b)
    vector = len(b.shape) == 1

    def solve_transposed(dy: Array) -> Array:
        transposed = xp.matrix_transpose(a)
        return xp.linalg.solve(transposed, dy[..., None])[..., 0] if vector else xp.linalg.solve(transposed, dy)

    def pull_first(dy: Array) -> Array:
        db = solve_transposed(dy)
        if vector:
            return sum_to(xp, -(db[..., :, None] * y[..., None, :]), a)
        return sum_to(xp, -xp.matmul(db, xp.matrix_transpose(y)), a)

    return y, (pull_first, lambda dy: sum_to(xp, solve_transposed(dy), b))


def _cholesky(f: Function, xp: Namespace, x: Array, *, upper: bool = False) -> Result:
    """Of a symmetric matrix, with a symmetric cotangent (Murray, 2016, arXiv:1602.07527)."""
    y = f(x, upper=upper)
    transpose, matmul = xp.matrix_transpose, xp.matmul

    def pull(dy: Array) -> Array:
        low, d = (transpose(y), transpose(dy)) if upper else (y, dy)
        phi = xp.tril(matmul(transpose(low), d))
        phi = phi - 0.5 * xp.tril(xp.triu(phi))
        inverse = xp.linalg.inv(low)
        s = matmul(matmul(transpose(inverse), phi), inverse)
        return 0.5 * (s + transpose(s))

    return y, (pull,)


def _trace(f: Function, xp: Namespace, x: Array, *, offset: int = 0, dtype: Any = None) -> Result:
    if dtype is not None and not xp.isdtype(dtype, "real floating"):
        raise TypeError(f"linalg.trace: a tracked array has no derivative as {dtype}; leave dtype= away")

    def pull(dy: Array) -> Array:
        rows, columns = x.shape[-2:]
        eye = xp.base.eye(rows, columns, k=offset, dtype=dy.dtype, device=xp.device_of(dy))
        return cast(xp, dy[..., None, None] * eye, x)

    return f(x, offset=offset, dtype=dtype), (pull,)


def _diagonal(f: Function, xp: Namespace, x: Array, *, offset: int = 0) -> Result:
    y = f(x, offset=offset)

    def pull(dy: Array) -> Array:
        rows, columns = x.shape[-2:]
        device, first = xp.device_of(dy), max(-offset, 0)
        eye = xp.base.eye(rows, columns, k=offset, dtype=dy.dtype, device=device)
        before = xp.base.zeros((*dy.shape[:-1], first), dtype=dy.dtype, device=device)
        after = xp.base.zeros((*dy.shape[:-1], rows - first - y.shape[-1]), dtype=dy.dtype, device=device)
        return xp.concat([before, dy, after], axis=-1)[..., :, None] * eye

    return y, (pull,)


def _vector_norm(
    f: Function, xp: Namespace, x: Array, *, axis: Any = None, keepdims: bool = False, ord: float = 2
) -> Result:
    """0 where the norm is, of which all its subgradients are a ball around 0; of the largest equal shares."""
    y = f(x, axis=axis, keepdims=keepdims, ord=ord)

    def pull(dy: Array) -> Array:
        norm, d = reopen(xp, y, x, axis, keepdims), reopen(xp, dy, x, axis, keepdims)
        if ord == 1:
            return d * xp.sign(x)
        if ord == 0:
            return xp.base.zeros(x.shape, dtype=x.dtype, device=xp.device_of(x))
        if ord in (math.inf, -math.inf):
            hit = xp.abs(x) == norm
            count = xp.sum(xp.astype(hit, sum_dtype(xp, d)), axis=axis, keepdims=True)
            return xp.where(hit, d * xp.sign(x) / cast(xp, count, d), 0.0)
        origin = norm == 0 if ord >= 1 else x == 0
        ratio = xp.where(origin, 0.0, x) / xp.where(norm == 0, 1.0, norm)
        if ord == 2:
            return d * ratio
        return d * xp.sign(ratio) * xp.where(origin, 1.0, xp.abs(ratio)) ** (ord - 1)

    return y, (pull,)


def _cross(f: Function, xp: Namespace, a: Array, b: Array, *, axis: int = -1) -> Result:
    return f(a, b, axis=axis), (
        lambda dy: sum_to(xp, xp.linalg.cross(b, dy, axis=axis), a),
        lambda dy: sum_to(xp, xp.linalg.cross(dy, a, axis=axis), b),
    )


def _pinv(f: Function, xp: Namespace, x: Array, **options: Any) -> Result:
    """Of matrices of one rank (Golub and Pereyra, 1973)."""
    y = f(x, **options)

    def pull(dy: Array) -> Array:
        transpose, matmul = xp.matrix_transpose, xp.matmul
        yt, dyt = transpose(y), transpose(dy)
        rows = xp.subtract(_eye(xp, x.shape[-2], y), matmul(x, y))
        columns = xp.subtract(_eye(xp, x.shape[-1], y), matmul(y, x))
        inner = -matmul(matmul(yt, dy), yt)
        return inner + matmul(rows, matmul(dyt, matmul(y, yt))) + matmul(matmul(yt, matmul(y, dyt)), columns)

    return y, (pull,)


def _svdvals(f: Function, xp: Namespace, x: Array) -> Result:
    def pull(dy: Array) -> Array:
        u, _, vh = xp.linalg.svd(x, full_matrices=False)
        return xp.matmul(dy[..., None, :] * u, vh)

    return f(x), (pull,)


def _symmetric(xp: Namespace, d: Array) -> Array:
    return 0.5 * (d + xp.matrix_transpose(d))


def _eigvalsh(f: Function, xp: Namespace, x: Array) -> Result:
    def pull(dy: Array) -> Array:
        vectors = xp.linalg.eigh(x)[1]
        return _symmetric(xp, xp.matmul(dy[..., None, :] * vectors, xp.matrix_transpose(vectors)))

    return f(x), (pull,)


def _over_gaps(xp: Namespace, d: Array, values: Array) -> Array:
    """d[i, j] / (values[j] - values[i]), 0 on the diagonal, and NaN where others are tied, unless d is 0."""
    eye = _eye(xp, values.shape[-1], values)
    gaps = values[..., None, :] - values[..., :, None]
    tied = xp.logical_and(gaps == 0, eye == 0)
    off = d * (1.0 - eye)
    return off / divisor(xp, off, xp.where(tied, math.nan, gaps + eye))


def _eigh(f: Function, xp: Namespace, x: Array) -> Results:
    """Vectors of equal values are not determined, and their cotangent is NaN."""
    values, vectors = f(x)

    def pull_values(dy: Array) -> Array:
        return _symmetric(xp, xp.matmul(dy[..., None, :] * vectors, xp.matrix_transpose(vectors)))

    def pull_vectors(dy: Array) -> Array:
        transposed = xp.matrix_transpose(vectors)
        inside = _over_gaps(xp, xp.matmul(transposed, dy), values)
        return _symmetric(xp, xp.matmul(xp.matmul(vectors, inside), transposed))

    return EighResult(values, vectors), (pull_values, pull_vectors)


def _svd(f: Function, xp: Namespace, x: Array, *, full_matrices: bool = True) -> Results:
    """Vectors of equal values are not determined, and their cotangent is NaN (Townsend, 2016)."""
    u, s, vh = f(x, full_matrices=full_matrices)
    rows, columns = x.shape[-2:]
    v = xp.matrix_transpose(vh)

    def check() -> None:
        if full_matrices and rows != columns:
            raise NotImplementedError(
                "linalg.svd: the vectors beyond the singular values are not determined and have no derivative; write "
                "svd(x, full_matrices=False)"
            )

    def pull_values(dy: Array) -> Array:
        left, right = (u, vh) if rows == columns or not full_matrices else xp.linalg.svd(x, full_matrices=False)[::2]
        return xp.matmul(dy[..., None, :] * left, right)

    def pull_left(dy: Array) -> Array:
        check()
        ut = xp.matrix_transpose(u)
        inside = _over_gaps(xp, xp.matmul(ut, dy), s * s)
        made = xp.matmul(xp.matmul(u, inside + xp.matrix_transpose(inside)) * s[..., None, :], vh)
        if rows > columns:
            beyond = dy - xp.matmul(u, xp.matmul(ut, dy))
            made = made + xp.matmul(beyond / divisor(xp, beyond, s[..., None, :]), vh)
        return made

    def pull_right(dy: Array) -> Array:
        check()
        d = xp.matrix_transpose(dy)
        inside = _over_gaps(xp, xp.matmul(vh, d), s * s)
        made = xp.matmul(u * s[..., None, :], xp.matmul(inside + xp.matrix_transpose(inside), vh))
        if columns > rows:
            beyond = dy - xp.matmul(xp.matmul(dy, v), vh)
            made = made + xp.matmul(u, beyond / divisor(xp, beyond, s[..., :, None]))
        return made

    return SVDResult(u, s, vh), (pull_left, pull_values, pull_right)


def _qr(f: Function, xp: Namespace, x: Array, *, mode: str = "reduced") -> Results:
    """Of a matrix of full rank (Roberts and Roberts, 2020, arXiv:2009.10071)."""
    q, r = f(x, mode=mode)
    rows, columns = x.shape[-2:]
    transpose, matmul = xp.matrix_transpose, xp.matmul
    size = min(rows, columns)
    square = r[..., :, :size]

    def check() -> None:
        if mode == "complete" and rows > columns:
            raise NotImplementedError(
                "linalg.qr: the columns of Q beyond those of x are not determined and have no derivative; write "
                'qr(x, mode="reduced")'
            )

    def pull_square(dq: Array | None, dr: Array | None) -> Array:
        """The cotangent of the first columns, from that of Q, of the square part of R, or of both."""
        inside = 0.0 if dr is None else matmul(square, transpose(dr))
        if dq is not None:
            inside = inside - matmul(transpose(dq), q)
        low = xp.tril(inside)
        symmetric = low + transpose(xp.tril(low, k=-1))
        made = matmul(q, symmetric) if dq is None else dq + matmul(q, symmetric)
        return transpose(xp.linalg.solve(square, transpose(made)))

    def pull_q(dy: Array) -> Array:
        check()
        made = pull_square(dy, None)
        if columns > rows:
            rest = xp.base.zeros((*made.shape[:-1], columns - rows), dtype=made.dtype, device=xp.device_of(made))
            made = xp.concat([made, rest], axis=-1)
        return made

    def pull_r(dy: Array) -> Array:
        check()
        if columns <= rows:
            return pull_square(None, xp.triu(dy))
        rest = dy[..., :, size:]
        first = pull_square(matmul(x[..., :, size:], transpose(rest)), xp.triu(dy[..., :, :size]))
        return xp.concat([first, matmul(q, rest)], axis=-1)

    return QRResult(q, r), (pull_q, pull_r)


def _slogdet(f: Function, xp: Namespace, x: Array) -> Results:
    sign, y = f(x)

    def pull(dy: Array) -> Array:
        singular = (y == -math.inf)[..., None, None]
        inverse = xp.linalg.inv(xp.where(singular, _eye(xp, x.shape[-1], x), x))
        slope = xp.where(singular, math.nan, xp.matrix_transpose(inverse))
        d = dy[..., None, None]
        return xp.where(xp.logical_and(d == 0, singular), 0.0, d * slope)

    return SlogdetResult(sign, y), (None, pull)


def matrix_norm(xp: Namespace, x: Array, keepdims: bool, ord: Any) -> Array:
    """A norm of matrices, made of functions that record."""
    if ord == "fro":
        return xp.linalg.vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord in (2, -2, "nuc"):
        values = xp.abs(xp.linalg.svdvals(x))  # where one is 0, its vectors are any, and so its slope is 0
        made = xp.sum(values, axis=-1) if ord == "nuc" else (xp.max if ord == 2 else xp.min)(values, axis=-1)
    elif ord in (1, -1, math.inf, -math.inf):
        sums = xp.sum(xp.abs(x), axis=-2 if abs(ord) == 1 else -1)
        made = (xp.max if ord > 0 else xp.min)(sums, axis=-1)
    else:
        raise ValueError(f'linalg.matrix_norm: ord must be "fro", "nuc", 1, 2, inf, -1, -2 or -inf, got {ord!r}')
    return xp.reshape(made, (*made.shape, 1, 1)) if keepdims else made


def matrix_power(xp: Namespace, x: Array, n: int) -> Array:
    """x to an integer power by repeated squaring, made of functions that record."""
    if n == 0:
        return constant(xp.base.linalg.matrix_power(lower(x), 0), xp.kind)
    if n < 0:
        return matrix_power(xp, xp.linalg.inv(x), -n)
    if n == 3:  # libraries have a way of their own for it
        return xp.matmul(xp.matmul(x, x), x)
    made, square = None, x
    while True:
        n, odd = divmod(n, 2)
        if odd:
            made = square if made is None else xp.matmul(made, square)
        if not n:
            return made
        square = xp.matmul(square, square)


RULES: Final[dict[str, tuple[Callable[..., Result], int]]] = {
    "cholesky": (_cholesky, 1),
    "cross": (_cross, 2),
    "det": (_det, 1),
    "diagonal": (_diagonal, 1),
    "eigvalsh": (_eigvalsh, 1),
    "inv": (_inv, 1),
    "outer": (outer, 2),
    "pinv": (_pinv, 1),
    "solve": (_solve, 2),
    "svdvals": (_svdvals, 1),
    "trace": (_trace, 1),
    "vector_norm": (_vector_norm, 1),
}
"""By the name in the standard, each with how many of its arguments are arrays."""

RULES_OF_PARTS: Final[dict[str, Callable[..., Results]]] = {
    "eigh": _eigh,
    "qr": _qr,
    "slogdet": _slogdet,
    "svd": _svd,
}
"""Of functions with several values, each of which has a pull of its own; None for a constant."""
