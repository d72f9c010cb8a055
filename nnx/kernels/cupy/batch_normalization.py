"""Batch normalisation for CuPy: three launches forward and three backward; two each for up to 256 rows.

Features in another axis than the last cost a copy more. Mean and variance are computed chunk by chunk, each around its
own mean, so that no digits are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.column_statistics import Statistics, deliver, moments, places_of, products_and_sums, wide_dtype
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel
from nnx.kernels.cupy.row_kernels import has_rows
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Pullback


def _factor(scaled: bool) -> str:
    """CUDA C++ for the factor of each centred element of a feature."""
    return "(rsqrt(variance + (S)epsilon)" + " * (W)gamma" * scaled + ")"


_FORWARD = {
    (scaled, shifted): ElementwiseKernel(
        "normalize_features" + "_scaled" * scaled + "_shifted" * shifted,
        "T x, S mean, S variance, float64 epsilon" + ", T gamma" * scaled + ", T beta" * shifted,
        "T y",
        f"y = ((W)x - mean) * {_factor(scaled)}" + " + (W)beta" * shifted + ";",
    )
    for scaled in (False, True)
    for shifted in (False, True)
}
_BACKWARD = {
    scaled: ElementwiseKernel(
        "normalize_features_pullback" + "_scaled" * scaled,
        "T dy, T x, S mean, S variance, S product, S total, float64 epsilon, float64 share" + ", T gamma" * scaled,
        "T dx",
        f"""
        W normal = ((W)x - mean) * rsqrt(variance + (S)epsilon);
        dx = ((W)dy - total * (W)share - normal * (product * (W)share)) * {_factor(scaled)};
        """,
    )
    for scaled in (False, True)
}
_BACKWARD_OF_CONSTANTS = {
    scaled: ElementwiseKernel(
        "scale_features" + "_scaled" * scaled,
        "T dy, S variance, float64 epsilon" + ", T gamma" * scaled,
        "T dx",
        f"dx = (W)dy * {_factor(scaled)};",
    )
    for scaled in (False, True)
}


class _Features:
    """Features of x: how their vectors lie beside it, and x as a matrix with a column for each of them."""

    def __init__(self, x: Array, axis: int) -> None:
        self.axis = axis % x.ndim
        self._shape = (-1, *(1,) * (x.ndim - 1 - self.axis))

    def beside(self, *vectors: Array | None) -> list[Array]:
        """Vectors of the features, without those that are None, so that they broadcast against x."""
        return [vector.reshape(self._shape) for vector in vectors if vector is not None]

    def matrix(self, x: Array) -> Array:
        last = CUPY.xp.ascontiguousarray(CUPY.xp.moveaxis(x, self.axis, -1))
        return last.reshape(-1, last.shape[-1])


def _accepts(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Array | None = None,
) -> bool:
    return mask is None and has_rows(x, gamma, beta)


@backend_kernel(KERNELS, accepts=_accepts)
def batch_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
    mask: Array | None = None,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    features = _Features(x, axis)
    matrix = features.matrix(x)
    rows, columns = matrix.shape
    mean, variance = moments(matrix)
    by = Statistics(mean, variance, epsilon, rows, columns, 1)
    statistics, scale = features.beside(mean, variance), features.beside(gamma)
    y = _FORWARD[gamma is not None, beta is not None](x, *statistics, epsilon, *scale, *features.beside(beta))

    def pullback(dy: Array, out: Sequence[Any] = (None, None, None)) -> tuple[Array | None, ...]:
        places = places_of(out[1:], gamma, beta)
        needed = places if out[0] is SKIP else [None if place is SKIP else place for place in places]
        sums = products_and_sums(matrix, features.matrix(dy), by, needed)
        dx = None
        if out[0] is not SKIP:
            dx = _BACKWARD[gamma is not None](dy, x, *statistics, *features.beside(*sums), epsilon, 1.0 / rows, *scale)
        return dx, *deliver(sums, places, gamma, beta)

    return (y, mean, variance), pullback


def _accepts_constants(
    x: Array, mean: Array, variance: Array, gamma: Array | None = None, beta: Array | None = None, *_: Any, **__: Any
) -> bool:
    return has_rows(x, gamma, beta)


@backend_kernel(KERNELS, accepts=_accepts_constants)
def batch_normalization_inference(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    features = _Features(x, axis)
    mean, variance = (CUPY.xp.ascontiguousarray(each, dtype=wide_dtype(x.dtype)) for each in (mean, variance))
    statistics, scale = features.beside(mean, variance), features.beside(gamma)
    y = _FORWARD[gamma is not None, beta is not None](x, *statistics, epsilon, *scale, *features.beside(beta))

    def pullback(dy: Array, out: Sequence[Any] = (None, None, None)) -> tuple[Array | None, ...]:
        dx = None
        if out[0] is not SKIP:
            dx = _BACKWARD_OF_CONSTANTS[gamma is not None](dy, statistics[1], epsilon, *scale)
        places = places_of(out[1:], gamma, beta)
        if all(place is SKIP for place in places):
            return dx, *deliver((None, None), places, gamma, beta)
        matrix = features.matrix(x)
        rows, columns = matrix.shape
        by = Statistics(mean, variance, epsilon, rows, columns, 1)
        return dx, *deliver(products_and_sums(matrix, features.matrix(dy), by, places), places, gamma, beta)

    return y, pullback
