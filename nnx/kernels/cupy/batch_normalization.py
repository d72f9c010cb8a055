"""Batch normalisation for CuPy: two launches forward and two backward, with an addition and a rectifier that follow.

Features in another axis than the last cost a copy more, and what follows its own launches; very many rows cost one more
each. Mean and variance are computed chunk by chunk, each around its own mean, so that no digits are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel, name_of
from nnx.kernels.cupy.column_statistics import (
    COLUMN,
    EACH_ROW,
    PLACE,
    SIZES,
    Statistics,
    deliver,
    launch_over_columns,
    moments,
    moments_of_parts,
    places_of,
    products_and_sums,
    products_and_sums_of_parts,
    room_for_column,
    wide_dtype,
)
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, RawKernel
from nnx.kernels.cupy.row_kernels import has_rows
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Differentiable, Ending, Pullback, followed_by, linear


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


_EACH_PART = "if (inside) for (long long index = threadIdx.y; index < parts; index += blockDim.y)"
_NORMALIZE = RawKernel(
    "normalize_columns",
    f"""{COLUMN}
extern "C" __global__ void nnx_normalize_columns(
    const T* x, const W* means, const W* variances, long long parts, const T* gamma, const T* beta, const T* residual,
    bool rectified, double epsilon, T* y, W* mean, W* variance, {SIZES}
) {{
    {PLACE}
    W centre = 0, spread = 0;
    if (parts == 1) {{
        if (inside) {{ centre = means[column]; spread = variances[column]; }}
    }} else {{
        auto length = [&](long long index) {{ return index + 1 < parts ? chunk : rows - index * chunk; }};
        {_EACH_PART} centre += means[index * columns + column] * length(index);
        centre = column_sum(centre) / rows;
        {_EACH_PART} {{
            const W distance = means[index * columns + column] - centre;
            spread += (variances[index * columns + column] + distance * distance) * length(index);
        }}
        spread = column_sum(spread) / rows;
    }}
    if (writes && blockIdx.y == 0) {{ mean[column] = centre; variance[column] = spread; }}
    if (!inside) return;
    const W factor = rsqrt(spread + (W)epsilon) * (gamma ? (W)gamma[column] : (W)1);
    const W shift = beta ? (W)beta[column] : (W)0;
    {EACH_ROW} {{
        const long long place = row * columns + column;
        W value = ((W)x[place] - centre) * factor + shift;
        if (residual) value += (W)residual[place];
        y[place] = rectified && !(value > 0 || value != value) ? (W)0 : value;
    }}
}}
""",
)
_NORMALIZE_PULLBACK = RawKernel(
    "normalize_columns_pullback",
    f"""{COLUMN}
extern "C" __global__ void nnx_normalize_columns_pullback(
    const T* dy, const T* x, const T* rectified, const W* mean, const W* variance, const T* gamma, double epsilon,
    const W* products, const W* totals, long long parts, T* dx, W* dgamma, W* dbeta, {SIZES}
) {{
    {PLACE}
    W product = 0, total = 0;
    if (parts == 1) {{
        if (inside) {{ product = products[column]; total = totals[column]; }}
    }} else {{
        {_EACH_PART} {{ product += products[index * columns + column]; total += totals[index * columns + column]; }}
        product = column_sum(product);
        total = column_sum(total);
        if (writes && blockIdx.y == 0) {{ dgamma[column] = product; dbeta[column] = total; }}
    }}
    if (!inside) return;
    const W inverse = rsqrt(variance[column] + (W)epsilon), factor = inverse * (gamma ? (W)gamma[column] : (W)1);
    product /= rows;
    total /= rows;
    {EACH_ROW} {{
        const long long place = row * columns + column;
        W slope = dy[place];
        if (rectified) slope *= rectified[place] > 0 ? (W)1 : (W)0;
        dx[place] = (slope - total - ((W)x[place] - mean[column]) * inverse * product) * factor;
    }}
}}
""",
)


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
    activate: Differentiable = linear,
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
    activate: Differentiable = linear,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    if axis in (-1, x.ndim - 1):
        return _of_last_axis(x, gamma, beta, epsilon, activate)
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

    y, pullback = followed_by(activate, y, pullback)
    return (y, mean, variance), pullback


def _of_last_axis(
    x: Array, gamma: Array | None, beta: Array | None, epsilon: float, activate: Differentiable
) -> tuple[tuple[Array, Array, Array], Pullback]:
    """Batch normalisation of the features in the last axis, and in the same launches what follows, if it is known."""
    xp, columns = CUPY.xp, x.shape[-1]
    x = xp.ascontiguousarray(x)
    end = activate if isinstance(activate, Ending) and _is_alike(activate.residual, x) else None
    last = activate if end is None else end.activate
    known = last is linear or name_of(last) == "relu"
    if not known:
        end, last = None, linear
    rectifies = last is not linear
    scale, shift = (0 if parameter is None else xp.ascontiguousarray(parameter) for parameter in (gamma, beta))
    residual = 0 if end is None else xp.ascontiguousarray(end.residual)
    matrix = x.reshape(-1, columns)
    y = xp.empty_like(x)
    mean, variance = (xp.empty(columns, dtype=wide_dtype(x.dtype)) for _ in range(2))
    parts = moments_of_parts(matrix)
    launch_over_columns(
        *(_NORMALIZE, matrix, matrix, *parts, scale, shift, residual, rectifies, epsilon, y, mean, variance)
    )
    by = Statistics(mean, variance, epsilon, len(matrix), columns, 1)

    def pullback(dy: Array, out: Sequence[Any] = (None, None, None)) -> tuple[Array | None, ...]:
        places = places_of(out[1:], gamma, beta)
        dy, rectified, dz = xp.ascontiguousarray(dy), y if rectifies else 0, 0
        if end is not None:
            dz = end.hand_over(xp.empty_like(dy) if rectifies else dy)
            dz = dz if rectifies else 0
        room = [room_for_column(place, matrix) for place in places]
        found = products_and_sums_of_parts(matrix, dy, by, rectified, dz, room, together=out[0] is SKIP)
        if rectifies and end is not None:
            dy, rectified = dz, 0
        dx = None if out[0] is SKIP else xp.empty_like(x)
        if dx is not None:
            launch_over_columns(
                *(_NORMALIZE_PULLBACK, matrix, dy, x, rectified, mean, variance, scale, epsilon, *found, dx, *room)
            )
        return dx, *deliver(room, places, gamma, beta)

    if known:
        return (y, mean, variance), pullback
    y_end, pull_back = followed_by(activate, y, pullback)
    return (y_end, mean, variance), pull_back


def _is_alike(residual: Array, x: Array) -> bool:
    return bool(residual.shape == x.shape and residual.dtype == x.dtype)


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
