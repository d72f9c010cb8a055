"""Batch normalisation of features in the last axis, compiled: blocks of rows that the cache holds.

Mean and squares of a block are taken before the next one is read, and put together as Chan, Golub and LeVeque do
("Updating formulae and a pairwise algorithm for computing sample variances", 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import name_of
from nnx.kernels.numba.compilation import compiled
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape, plain
from nnx.kernels.numba.wide_rows import WideRows
from nnx.kernels.numpy.column_sums import deliver
from nnx.kernels.numpy.memory import empty
from nnx.pullbacks import SKIP, Differentiable, Ending, Pullback, followed_by, linear

_LEAST = 32_768


def _accepts(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Array | None = None,
    activate: Differentiable = linear,
) -> bool:
    return mask is None and _are_of_the_last_axis(x, axis, gamma, beta)


def _are_of_the_last_axis(x: Array, axis: int, *parameters: Array | None) -> bool:
    usual = x.ndim > 1 and x.size > 0 and axis in (-1, x.ndim - 1)
    return usual and are_plain(x, *parameters) and have_shape(x.shape[-1:], *parameters)


@compiled_kernel(least=_LEAST, accepts=_accepts)
def batch_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Array | None = None,
    activate: Differentiable = linear,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    layout = WideRows(x)
    rows, count = x.reshape(layout.shape), layout.count
    sums, squares = np.zeros_like(x, shape=(2, rows.shape[1]), dtype=np.float64)
    _add_moments(sums, squares, *empty(x, (2, rows.shape[1])), rows, layout.step)
    mean = layout.gather(sums) / count
    deviations = sums / len(rows) - np.tile(mean, layout.fold)
    variance = (layout.gather(squares) + layout.gather(deviations * deviations) * len(rows)) / count
    inverse = 1.0 / np.sqrt(variance + epsilon)
    center, factor = layout.spread(mean), layout.spread(inverse if gamma is None else inverse * gamma)
    y, offset = empty(x, rows.shape), layout.offset(beta)
    rectified, residual = _end_of(activate, x)
    if residual is not None:
        _scale_add_and_rectify(y, rows, residual.reshape(rows.shape), center, factor, offset)
    elif rectified:
        _scale_and_rectify(y, rows, center, factor, offset)
    else:
        _scale_rows(y, rows, center, factor, offset)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = plain(dy, rows)
        if rectified:
            dz = empty(x, rows.shape)
            _pull_relu(dz, dy, y)
            dy = dz
        if isinstance(activate, Ending) and rectified:
            activate.hand_over(dy.reshape(x.shape))
        (product, total), of_parameters = _cotangents(layout, dy, rows, center, inverse, (gamma, beta), out[1:])
        if out[0] is SKIP:
            return None, *of_parameters
        dx = empty(x, rows.shape)
        slope, shift = layout.spread(inverse * product / count), layout.spread(total / count)
        _pull_rows(dx, dy, rows, center, slope, shift, factor)
        return dx.reshape(x.shape), *of_parameters

    value, pulled = followed_by(linear if rectified else activate, y.reshape(x.shape), pullback)
    return (value, mean.astype(x.dtype), variance.astype(x.dtype)), pulled


def _end_of(activate: Differentiable, x: Array) -> tuple[bool, Array | None]:
    """Whether what follows ends with a relu that is done here, and what is added before it."""
    if isinstance(activate, Ending):
        usable = name_of(activate.activate) == "relu" and activate.residual.shape == x.shape
        usable = usable and are_plain(x, activate.residual)
        return usable, activate.residual if usable else None
    return name_of(activate) == "relu", None


def _cotangents(
    layout: WideRows,
    dy: Array,
    rows: Array,
    center: Array,
    inverse: Array,
    parameters: Sequence[Any],
    places: Sequence[Any],
) -> tuple[tuple[Array, Array], list[Array | None]]:
    """The sums of dy * x̂ and of dy for each feature; and the cotangents of gamma and beta, as far as there are."""
    products, totals = np.zeros_like(rows, shape=(2, layout.shape[1]), dtype=np.float64)
    _add_products(products, totals, *empty(rows, (2, layout.shape[1])), dy, rows, center, layout.step)
    product, total = layout.gather(products) * inverse, layout.gather(totals)
    given = [sums for parameter, sums in zip(parameters, (product, total), strict=True) if parameter is not None]
    delivered = [deliver(sums.astype(layout.dtype), place) for sums, place in zip(given, places, strict=False)]
    return (product, total), delivered


@compiled
def _add_moments(sums: Any, squares: Any, mean: Any, square: Any, x: Any, step: int) -> None:
    rows, width = x.shape
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        mean[:] = 0
        square[:] = 0
        for i in range(start, stop):
            for j in range(width):
                mean[j] += x[i, j]
        for j in range(width):
            mean[j] /= stop - start
        for i in range(start, stop):
            for j in range(width):
                square[j] += (x[i, j] - mean[j]) * (x[i, j] - mean[j])
        for j in range(width):
            difference = mean[j] - sums[j] / max(start, 1)
            squares[j] += square[j] + difference * difference * (start * (stop - start) / stop)
            sums[j] += mean[j] * (stop - start)


@compiled
def _scale_rows(y: Any, x: Any, center: Any, factor: Any, offset: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - center[j]) * factor[j] + offset[j]


@compiled
def _scale_and_rectify(y: Any, x: Any, center: Any, factor: Any, offset: Any) -> None:
    zero = y.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = (x[i, j] - center[j]) * factor[j] + offset[j]
            y[i, j] = zero if value <= zero else value  # NaN stays


@compiled
def _scale_add_and_rectify(y: Any, x: Any, residual: Any, center: Any, factor: Any, offset: Any) -> None:
    zero = y.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = (x[i, j] - center[j]) * factor[j] + offset[j] + residual[i, j]
            y[i, j] = zero if value <= zero else value


@compiled
def _pull_relu(dz: Any, dy: Any, y: Any) -> None:
    zero = y.dtype.type(0)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            dz[i, j] = dy[i, j] if y[i, j] > zero else zero


@compiled
def _add_products(
    products: Any, totals: Any, product: Any, total: Any, dy: Any, x: Any, center: Any, step: int
) -> None:
    rows, width = x.shape
    for start in range(0, rows, step):
        product[:] = 0
        total[:] = 0
        for i in range(start, min(start + step, rows)):
            for j in range(width):
                product[j] += dy[i, j] * (x[i, j] - center[j])
            for j in range(width):
                total[j] += dy[i, j]
        for j in range(width):
            products[j] += product[j]
            totals[j] += total[j]


@compiled
def _pull_rows(dx: Any, dy: Any, x: Any, center: Any, slope: Any, shift: Any, factor: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = (dy[i, j] - (x[i, j] - center[j]) * slope[j] - shift[j]) * factor[j]


def _accepts_inference(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> bool:
    return _are_of_the_last_axis(x, axis, mean, variance, gamma, beta)


@compiled_kernel(least=_LEAST, accepts=_accepts_inference)
def batch_normalization_inference(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    layout = WideRows(x)
    rows = x.reshape(layout.shape)
    inverse = 1.0 / np.sqrt(variance + epsilon)
    center, factor = layout.spread(mean), layout.spread(inverse if gamma is None else inverse * gamma)
    y = empty(x, rows.shape)
    _scale_rows(y, rows, center, factor, layout.offset(beta))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = plain(dy, rows)
        of_parameters = _cotangents(layout, dy, rows, center, inverse, (gamma, beta), out[1:])[1]
        return None if out[0] is SKIP else (dy * factor).reshape(x.shape), *of_parameters

    return y.reshape(x.shape), pullback
