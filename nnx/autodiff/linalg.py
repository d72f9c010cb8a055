"""Derivatives of linear algebra."""

from __future__ import annotations

import math
from typing import Any

from nnx.autodiff.broadcasting import cast, reopen, sum_to
from nnx.autodiff.products import outer


def inv(f, xp, x):
    y = f(x)
    yt = xp.matrix_transpose(y)
    return y, (lambda dy: -xp.matmul(xp.matmul(yt, dy), yt),)


def det(f, xp, x):
    y = f(x)
    return y, (lambda dy: (dy * y)[..., None, None] * xp.matrix_transpose(xp.linalg.inv(x)),)


def solve(f, xp, a, b):
    y = f(a, b)
    vector = len(b.shape) == 1

    def pull_first(dy):
        db = xp.linalg.solve(xp.matrix_transpose(a), dy)
        if vector:
            return sum_to(xp, -(db[..., :, None] * y[..., None, :]), a)
        return sum_to(xp, -xp.matmul(db, xp.matrix_transpose(y)), a)

    return y, (pull_first, lambda dy: sum_to(xp, xp.linalg.solve(xp.matrix_transpose(a), dy), b))


def cholesky(f, xp, x, *, upper=False):
    y = f(x, upper=upper)
    t, mm = xp.matrix_transpose, xp.matmul

    def pull(dy):
        low, d = (t(y), t(dy)) if upper else (y, dy)
        phi = xp.tril(mm(t(low), d))
        phi = phi - 0.5 * xp.tril(xp.triu(phi))
        inverse = xp.linalg.inv(low)
        s = mm(mm(t(inverse), phi), inverse)
        return 0.5 * (s + t(s))

    return y, (pull,)


def trace(f, xp, x, *, offset=0, dtype=None):
    y = f(x, offset=offset, dtype=dtype)

    def pull(dy):
        rows, columns = x.shape[-2:]
        return cast(
            xp,
            dy[..., None, None] * xp.eye(rows, columns, k=offset, dtype=dy.dtype, device=xp.device_of(dy)),
            x,
        )

    return y, (pull,)


def diagonal(f, xp, x, *, offset=0):
    y = f(x, offset=offset)

    def pull(dy):
        rows, columns = x.shape[-2:]
        device, first = xp.device_of(dy), max(-offset, 0)
        eye = xp.eye(rows, columns, k=offset, dtype=dy.dtype, device=device)
        before = xp.zeros((*dy.shape[:-1], first), dtype=dy.dtype, device=device)
        after = xp.zeros((*dy.shape[:-1], rows - first - y.shape[-1]), dtype=dy.dtype, device=device)
        return xp.concat([before, dy, after], axis=-1)[..., :, None] * eye

    return y, (pull,)


def vector_norm(f, xp, x, *, axis=None, keepdims=False, ord=2):
    y = f(x, axis=axis, keepdims=keepdims, ord=ord)

    def pull(dy):
        n, d = reopen(xp, y, x, axis, keepdims), reopen(xp, dy, x, axis, keepdims)
        if ord == 2:
            return d * x / xp.where(n == 0, 1.0, n)
        if ord == 1:
            return d * xp.sign(x)
        if ord in (math.inf, -math.inf):
            hit = xp.astype(xp.abs(x) == n, d.dtype)
            return d * xp.sign(x) * hit / xp.sum(hit, axis=axis, keepdims=True)
        return d * xp.sign(x) * (xp.abs(x) / xp.where(n == 0, 1.0, n)) ** (ord - 1)

    return y, (pull,)


def cross(f, xp, a, b, *, axis=-1):
    y = f(a, b, axis=axis)
    return y, (
        lambda dy: sum_to(xp, xp.linalg.cross(b, dy, axis=axis), a),
        lambda dy: sum_to(xp, xp.linalg.cross(dy, a, axis=axis), b),
    )


def matrix_power(f, xp, x, n):
    y = f(x, n)

    def pull(dy):
        if n == 0:
            return 0.0 * dy
        t, total = xp.matrix_transpose(x), None
        for k in range(n):
            left = dy if k == 0 else xp.matmul(xp.linalg.matrix_power(t, k), dy)
            term = left if k == n - 1 else xp.matmul(left, xp.linalg.matrix_power(t, n - 1 - k))
            total = term if total is None else total + term
        return total

    return y, (pull,)


RULES: dict[str, tuple[Any, int]] = {
    "inv": (inv, 1),
    "det": (det, 1),
    "solve": (solve, 2),
    "cholesky": (cholesky, 1),
    "trace": (trace, 1),
    "diagonal": (diagonal, 1),
    "vector_norm": (vector_norm, 1),
    "cross": (cross, 2),
    "matrix_power": (matrix_power, 1),
    "outer": (outer, 2),
}
