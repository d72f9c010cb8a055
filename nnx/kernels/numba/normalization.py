"""Layer and RMS normalisation, compiled: row by row, which the cache holds from the statistics to the result.

Sums are taken of the row as it was centred. Where squares leave the range of the dtype, the generic forms take over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import GENERIC
from nnx.kernels.numba.compilation import compiled, compiled_sum
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape, plain
from nnx.kernels.numpy.column_sums import deliver
from nnx.kernels.numpy.memory import empty
from nnx.pullbacks import SKIP, Plus, Pullback, adds

_LEAST = 32_768
_ROWS = 64  # whose cotangents are added up in the dtype, before they come to the sums of all


def _accepts_layer(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-3,
) -> bool:
    """Whether statistics are those of the last axis, or of all axes from one on."""
    if x.ndim < 2 or x.size == 0 or not are_plain(x, gamma, beta):
        return False
    if isinstance(axis, int):
        return axis in (-1, x.ndim - 1) and have_shape(x.shape[-1:], gamma, beta)
    last = len(axis) > 0 and sorted(i % x.ndim for i in axis) == list(range(x.ndim - len(axis), x.ndim))
    return last and have_shape(x.shape[x.ndim - len(axis) :], gamma, beta)


def _accepts_rms(x: Array, scale: Array | None = None, axis: int | Sequence[int] = -1, epsilon: float = 1e-6) -> bool:
    return _accepts_layer(x, scale, None, axis)


@compiled_kernel(least=_LEAST, accepts=_accepts_layer)
def layer_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    made = _normalize(x, gamma, beta, axis, epsilon, centered=True)
    return GENERIC["layer_normalization"](x, gamma, beta, axis, epsilon) if made is None else made


@compiled_kernel(least=_LEAST, accepts=_accepts_rms)
def rms_normalization(
    x: Array, scale: Array | None = None, axis: int | Sequence[int] = -1, epsilon: float = 1e-6
) -> tuple[Array, Pullback]:
    made = _normalize(x, scale, None, axis, epsilon, centered=False)
    return GENERIC["rms_normalization"](x, scale, axis, epsilon) if made is None else made


def _normalize(
    x: Array, gamma: Array | None, beta: Array | None, axis: int | Sequence[int], epsilon: float, centered: bool
) -> tuple[Array, Pullback] | None:
    """The value and its pullback; None where squares leave the range."""
    size = x.shape[-1] if isinstance(axis, int) else math.prod(x.shape[x.ndim - len(axis) :])
    rows, number = x.reshape(-1, size), x.dtype.type
    scale = np.ones(size, x.dtype) if gamma is None else gamma.reshape(size)
    shift = np.full(size, -0.0, x.dtype) if beta is None else beta.reshape(size)  # which adds nothing, not even a sign
    share = number(1.0 / size)
    y = empty(x, rows.shape)
    means, inverses = empty(x, (2, len(rows)))
    _normalize_rows(y, means, inverses, rows, scale, shift, share, number(epsilon), centered)
    if not bool(np.isfinite(np.add.reduce(inverses))):
        return None

    @adds
    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = plain(dy, rows)
        present = out[0].present if isinstance(out[0], Plus) else None
        together = present is not None and present.dtype == x.dtype and present.shape == x.shape
        place: Any = out[0] if present is None else None
        usable = place is not None and place is not SKIP and place.flags.c_contiguous and place.dtype == x.dtype
        dx = place.reshape(rows.shape) if usable else empty(x, rows.shape)
        sums = np.zeros_like(x, shape=(2, size))
        parts = np.zeros_like(x, shape=(2, size))
        added = plain(present, rows) if together else dx
        _pull_rows(dx, sums, parts, dy, rows, scale, means, inverses, share, centered, added, together)
        given = [total for parameter, total in ((gamma, sums[0]), (beta, sums[1])) if parameter is not None]
        shapes = [parameter.shape for parameter in (gamma, beta) if parameter is not None]
        of_parameters = [
            deliver(total.reshape(shape), where) for total, shape, where in zip(given, shapes, out[1:], strict=False)
        ]
        if place is SKIP:
            return None, *of_parameters
        dx = dx.reshape(x.shape)
        if present is not None and not together:
            dx = present + dx
        return dx if place is None or usable else deliver(dx, place), *of_parameters

    return y.reshape(x.shape), pullback


@compiled
def _normalize_rows(
    y: Any,
    means: Any,
    inverses: Any,
    x: Any,
    gamma: Any,
    beta: Any,
    share: Any,
    epsilon: Any,
    centered: Any,
) -> None:
    for i in range(x.shape[0]):
        mean = _sum(x[i]) * share if centered else share - share
        inverse = y.dtype.type(1) / np.sqrt(_sum_of_squares(x[i], mean) * share + epsilon)
        means[i] = mean
        inverses[i] = inverse if inverse > 0 else np.nan  # squares that are infinite
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - mean) * inverse * gamma[j] + beta[j]


@compiled
def _pull_rows(
    dx: Any,
    sums: Any,
    parts: Any,
    dy: Any,
    x: Any,
    gamma: Any,
    means: Any,
    inverses: Any,
    share: Any,
    centered: Any,
    added: Any,
    together: Any,
) -> None:
    for i in range(x.shape[0]):
        mean = means[i]
        inverse = inverses[i]
        product, total = _products(dy[i], gamma, x[i], mean)
        slope = product * inverse * inverse * share
        shift = total * share if centered else share - share
        for j in range(x.shape[1]):
            dx[i, j] = (dy[i, j] * gamma[j] - shift - (x[i, j] - mean) * slope) * inverse
        if together:
            for j in range(x.shape[1]):
                dx[i, j] = added[i, j] + dx[i, j]
        for j in range(x.shape[1]):
            parts[0, j] += dy[i, j] * ((x[i, j] - mean) * inverse)
        for j in range(x.shape[1]):
            parts[1, j] += dy[i, j]
        if i % _ROWS == _ROWS - 1 or i == x.shape[0] - 1:
            for k in range(2):
                for j in range(x.shape[1]):
                    sums[k, j] += parts[k, j]
                    parts[k, j] = 0


@compiled_sum
def _sum(row: Any) -> Any:
    total = row.dtype.type(0)
    for j in range(row.size):
        total += row[j]
    return total


@compiled_sum
def _sum_of_squares(row: Any, mean: Any) -> Any:
    total = row.dtype.type(0)
    for j in range(row.size):
        total += (row[j] - mean) * (row[j] - mean)
    return total


@compiled_sum
def _products(dy: Any, gamma: Any, row: Any, mean: Any) -> Any:
    product = row.dtype.type(0)
    total = row.dtype.type(0)
    for j in range(row.size):
        product += dy[j] * gamma[j] * (row[j] - mean)
        total += dy[j] * gamma[j]
    return product, total
