"""Softmax and its logarithm along the last axis for CuPy: one launch for the value and one for the pullback."""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY
from nnx.kernels.cupy.row_kernels import RowKernel, has_rows, matrix_shape
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import Pullback

_LARGEST_AND_TOTAL = """
    x += row * n; y += row * n;
    W largest = team_max(n, [&](int i) { return (W)x[i]; });
    W total = team_sum(n, [&](int i) { return exp((W)x[i] - largest); });
"""
_SOFTMAX = RowKernel(
    "softmax",
    "const T* x, T* y",
    _LARGEST_AND_TOTAL + "team_each(n, [&](int i) { y[i] = exp((W)x[i] - largest) / total; });",
)
_SOFTMAX_PULLBACK = RowKernel(
    "softmax_pullback",
    "const T* dy, const T* y, T* dx",
    """
    dy += row * n; y += row * n; dx += row * n;
    W mean = team_sum(n, [&](int i) { return (W)dy[i] * (W)y[i]; });
    team_each(n, [&](int i) { dx[i] = (W)y[i] * ((W)dy[i] - mean); });
    """,
)
_LOG_SOFTMAX = RowKernel(
    "log_softmax",
    "const T* x, T* y",
    _LARGEST_AND_TOTAL + "total = log(total); team_each(n, [&](int i) { y[i] = (W)x[i] - largest - total; });",
)
_LOG_SOFTMAX_PULLBACK = RowKernel(
    "log_softmax_pullback",
    "const T* dy, const T* y, T* dx",
    """
    dy += row * n; y += row * n; dx += row * n;
    W sum = team_sum(n, [&](int i) { return (W)dy[i]; });
    team_each(n, [&](int i) { dx[i] = (W)dy[i] - exp((W)y[i]) * sum; });
    """,
)


def _accepts(x: Array, axis: int = -1) -> bool:
    return has_rows(x)


@backend_kernel(KERNELS, accepts=_accepts)
def softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    return _along(x, axis, _SOFTMAX, _SOFTMAX_PULLBACK)


@backend_kernel(KERNELS, accepts=_accepts)
def log_softmax(x: Array, axis: int = -1) -> tuple[Array, Pullback]:
    return _along(x, axis, _LOG_SOFTMAX, _LOG_SOFTMAX_PULLBACK)


def _along(x: Array, axis: int, value: RowKernel, pullback_of_value: RowKernel) -> tuple[Array, Pullback]:
    """Softmax or its logarithm along an axis; one other than the last costs a copy more."""
    xp = CUPY.xp

    def rows(array: Array) -> Array:
        return xp.ascontiguousarray(xp.moveaxis(array, axis, -1))

    x = rows(x)
    y, shape = xp.empty_like(x), matrix_shape(x)
    value.launch(x.dtype, shape, x, y)

    def pullback(dy: Array) -> Array:
        dx = xp.empty_like(y)
        pullback_of_value.launch(y.dtype, shape, rows(dy), y, dx)
        return xp.moveaxis(dx, -1, axis)

    return xp.moveaxis(y, -1, axis), pullback
