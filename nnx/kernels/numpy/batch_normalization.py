"""Batch normalisation for NumPy: blocks of rows that stay in the cache from one operation to the next.

Measured on float32 against the generic form, forward and backward: (32, 64) takes 0.7 times as long, images
(32, 28, 28, 32) a third. Torch with two threads takes about 0.4 times as long as this.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.column_sums import Columns, deliver, is_float_matrix, ones
from nnx.kernels.numpy.memory import empty
from nnx.kernels.numpy.table import KERNELS
from nnx.pullbacks import SKIP, Differentiable, Pullback, followed_by, linear

_BLOCK = 131_072  # elements that are taken through several operations while they are in the cache


class _InnerFeatures:
    """Features in another axis than the last, used like `Columns`: (what is before, features, what is after)."""

    def __init__(self, x: Array, axis: int) -> None:
        axis %= x.ndim
        self.shape = (math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))

    def spread(self, vector: Array) -> Array:
        return vector[:, None]

    def sums(self, block: Array) -> Array:
        return np.add.reduce(np.dot(block, ones(block.shape[2], block.dtype)), axis=0)

    def products(self, a: Array, b: Array) -> Array:
        return np.add.reduce(np.einsum("ijk,ijk->ij", a, b), axis=0)

    def gather(self, sums: Array) -> Array:
        return sums


def _layout(x: Array, axis: int) -> Columns | _InnerFeatures:
    return Columns(x.size // x.shape[-1], x.shape[-1]) if axis in (-1, x.ndim - 1) else _InnerFeatures(x, axis)


def _accepts(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Array | None = None,
    activate: Differentiable = linear,
) -> bool:
    return mask is None and is_float_matrix(x, gamma, beta)


@backend_kernel(KERNELS, accepts=_accepts)
def batch_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Array | None = None,
    activate: Differentiable = linear,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    count = x.size // x.shape[axis]
    layout = _layout(x, axis)
    rows = x.reshape(layout.shape)
    step = max(_BLOCK // math.prod(layout.shape[1:]), 1)
    blocks = [slice(start, start + step) for start in range(0, layout.shape[0], step)]
    mean = layout.gather(layout.sums(rows)) / count
    center = layout.spread(mean)
    y = empty(x, layout.shape)
    squares = 0.0
    for block in blocks:
        centered = np.subtract(rows[block], center, out=y[block])
        squares = squares + layout.products(centered, centered)
    variance = layout.gather(squares) / count
    inverse = 1.0 / np.sqrt(variance + epsilon)
    factor = layout.spread(inverse if gamma is None else inverse * gamma)
    offset = None if beta is None else layout.spread(beta)
    for block in blocks:
        part = y[block]
        part *= factor
        if offset is not None:
            part += offset

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = dy.reshape(layout.shape)
        dx = empty(x, layout.shape)
        products = 0.0
        for block in blocks:
            centered = np.subtract(rows[block], center, out=dx[block])
            products = products + layout.products(centered, dy[block])
        product = layout.gather(products) * inverse
        total = layout.gather(layout.sums(dy))
        given = [cotangent for parameter, cotangent in ((gamma, product), (beta, total)) if parameter is not None]
        of_parameters = [deliver(cotangent, place) for cotangent, place in zip(given, out[1:], strict=False)]
        if out[0] is SKIP:
            return None, *of_parameters
        slope, shift = layout.spread(inverse * product / -count), layout.spread(total / count)
        for block in blocks:
            part = dx[block]
            part *= slope
            part += dy[block]
            part -= shift
            part *= factor
        return dx.reshape(x.shape), *of_parameters

    y, pullback = followed_by(activate, y.reshape(x.shape), pullback)
    return (y, mean, variance), pullback


def _accepts_inference(
    x: Array, mean: Array, variance: Array, gamma: Array | None = None, beta: Array | None = None, *_: Any, **__: Any
) -> bool:
    return is_float_matrix(x, mean, variance, gamma, beta)


@backend_kernel(KERNELS, accepts=_accepts_inference)
def batch_normalization_inference(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    layout = _layout(x, axis)
    rows = x.reshape(layout.shape)
    inverse = 1.0 / np.sqrt(variance + epsilon)
    center, factor = layout.spread(mean), layout.spread(inverse if gamma is None else inverse * gamma)
    y = rows - center
    y *= factor
    if beta is not None:
        y += layout.spread(beta)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = dy.reshape(layout.shape)
        places = iter(out[1:])
        of_parameters = []
        if gamma is not None:
            place = next(places)
            wanted = place is not SKIP
            product = layout.gather(layout.products(rows - center, dy)) * inverse if wanted else None
            of_parameters.append(deliver(product, place))
        if beta is not None:
            place = next(places)
            of_parameters.append(deliver(layout.gather(layout.sums(dy)) if place is not SKIP else None, place))
        return None if out[0] is SKIP else (dy * factor).reshape(x.shape), *of_parameters

    return y.reshape(x.shape), pullback
