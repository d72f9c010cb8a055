"""Layer, RMS and group normalisation for CuPy: one launch forward; backward one, and one or two for the parameters.

A group of elements with common statistics is a row here: the features of one sample, or some of its features at all of
its positions. Means and variances are kept, in float32 for float16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.column_statistics import INVERSE, Statistics, deliver, places_of, products_and_sums, wide_dtype
from nnx.kernels.cupy.cuda_kernels import CUPY
from nnx.kernels.cupy.row_kernels import RowKernel, has_rows
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Plus, Pullback, adds

_GROUP = """
    const int size = width;
    const long long start = row / groups * groups * n + row % groups * width;
    auto feature = [&](int i) { return i < size ? i : i % size; };
    auto place = [&](int i) { return start + (i - feature(i)) * groups + feature(i); };
    auto scaled = [&](W value, int i) { return gamma ? value * (W)gamma[row % groups * width + feature(i)] : value; };
    const W share = (W)1 / n;
"""
_FORWARD = RowKernel(
    "normalization",
    "const T* x, const T* gamma, const T* beta, W* means, W* variances, T* y, "
    "bool centred, double epsilon, long long groups, long long width",
    f"""{_GROUP}
    W mean = centred ? team_sum(n, [&](int i) {{ return (W)x[place(i)]; }}) * share : (W)0;
    W variance = team_sum(n, [&](int i) {{
        const W distance = (W)x[place(i)] - mean;
        return distance * distance;
    }}) * share;
    if (variance - variance != 0) {{  // it has left the range of W
        mean = centred ? team_sum(n, [&](int i) {{ return (W)x[place(i)] * tiny(); }}) * share / tiny() : (W)0;
        variance = -share * team_sum(n, [&](int i) {{
            const W distance = ((W)x[place(i)] - mean) * tiny();
            return distance * distance;
        }});
    }}
    const W inverse = inverse_of(variance, epsilon);
    if (first) {{ means[row] = mean; variances[row] = variance; }}
    team_each(n, [&](int i) {{
        const W value = scaled(((W)x[place(i)] - mean) * inverse, i);
        y[place(i)] = beta ? value + (W)beta[row % groups * width + feature(i)] : value;
    }});""",
    INVERSE,
)
_BACKWARD = RowKernel(
    "normalization_pullback",
    "const T* dy, const T* x, const T* gamma, const W* means, const W* variances, const T* present, T* dx, "
    "bool centred, double epsilon, long long groups, long long width",
    f"""{_GROUP}
    const W mean = means[row], inverse = inverse_of(variances[row], epsilon);
    auto normal = [&](int i) {{ return ((W)x[place(i)] - mean) * inverse; }};
    auto slope = [&](int i) {{ return scaled((W)dy[place(i)], i); }};
    const W product = team_sum(n, [&](int i) {{ return slope(i) * normal(i); }}) * share;
    const W total = centred ? team_sum(n, slope) * share : (W)0;
    team_each(n, [&](int i) {{
        const W cotangent = inverse * (slope(i) - total - normal(i) * product);
        dx[place(i)] = present ? (W)present[place(i)] + cotangent : cotangent;
    }});""",
    INVERSE,
)


def _normalize(
    x: Array, gamma: Array | None, beta: Array | None, groups: int, features: int, positions: int, *how: Any
) -> tuple[Array, Pullback]:
    """Normalisation of each group of features of x, which has samples of so many positions. how : centred, epsilon."""
    xp, width = CUPY.xp, features // groups
    x = xp.ascontiguousarray(x)
    scale, shift = (0 if parameter is None else xp.ascontiguousarray(parameter) for parameter in (gamma, beta))
    shape = (x.size // (positions * width), positions * width)
    mean, variance = (xp.empty(shape[0], dtype=wide_dtype(x.dtype)) for _ in range(2))
    y = xp.empty_like(x)
    _FORWARD.launch(x.dtype, shape, x, scale, shift, mean, variance, y, *how, groups, width)
    by = Statistics(mean, variance, how[1], positions, groups, width)

    @adds
    def pullback(dy: Array, out: Sequence[Any] = (None, None, None)) -> tuple[Array | None, ...]:
        dy = xp.ascontiguousarray(dy)
        dx = None
        present = out[0].present if isinstance(out[0], Plus) else None
        together = present is not None and present.dtype == x.dtype and present.shape == x.shape
        if out[0] is not SKIP:
            dx = xp.empty_like(x)
            given = xp.ascontiguousarray(present) if together else 0
            _BACKWARD.launch(x.dtype, shape, dy, x, scale, mean, variance, given, dx, *how, groups, width)
            dx = dx if together or present is None else present + dx
        places = places_of(out[1:], gamma, beta)
        sums = products_and_sums(x.reshape(-1, features), dy.reshape(-1, features), by, places)
        return dx, *deliver(sums, places, gamma, beta)

    return y, pullback


def _accepts_layer(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-3,
) -> bool:
    """Whether statistics are those of the last axis, or of all axes from one on."""
    if not has_rows(x, gamma, beta):
        return False
    if isinstance(axis, int):
        return axis in (-1, x.ndim - 1)
    return len(axis) > 0 and sorted(i % x.ndim for i in axis) == list(range(x.ndim - len(axis), x.ndim))


def _accepts_rms(x: Array, scale: Array | None = None, axis: int | Sequence[int] = -1, epsilon: float = 1e-6) -> bool:
    return _accepts_layer(x, scale, None, axis)


def _features(x: Array, axis: int | Sequence[int]) -> int:
    return math.prod(x.shape[-1 if isinstance(axis, int) else -len(axis) :])


@backend_kernel(KERNELS, accepts=_accepts_layer)
def layer_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    return _normalize(x, gamma, beta, 1, _features(x, axis), 1, True, epsilon)


@backend_kernel(KERNELS, accepts=_accepts_rms)
def rms_normalization(
    x: Array, scale: Array | None = None, axis: int | Sequence[int] = -1, epsilon: float = 1e-6
) -> tuple[Array, Pullback]:
    return _normalize(x, scale, None, 1, _features(x, axis), 1, False, epsilon)


def _accepts_group(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> bool:
    return has_rows(x, gamma, beta) and x.ndim > 1 and axis in (-1, x.ndim - 1) and x.shape[-1] % groups == 0


@backend_kernel(KERNELS, accepts=_accepts_group)
def group_normalization(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> tuple[Array, Pullback]:
    return _normalize(x, gamma, beta, groups, x.shape[-1], math.prod(x.shape[1:-1]), True, epsilon)
