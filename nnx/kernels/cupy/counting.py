"""Counting for CuPy: in one launch, whether the element at an index is the largest of its row."""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY
from nnx.kernels.cupy.row_kernels import RowKernel, has_rows, matrix_shape
from nnx.kernels.cupy.table import KERNELS

_IS_LARGEST = RowKernel(
    "is_largest",
    "const T* x, const long long* index, T* y",
    """
    x += row * n;
    const long long place = index[row];
    const bool inside = place >= 0 && place < n;
    const W own = inside ? (W)x[place] : (W)0;
    W others = team_sum(n, [&](int i) { return (W)(i != place && !((W)x[i] < own)); });
    if (first) y[row] = (W)(inside && own == own && others == 0);
    """,
)


def _accepts(x: Array, index: Array) -> bool:
    return has_rows(x) and index.dtype.name == "int64" and index.shape == x.shape[:-1]


@backend_kernel(KERNELS, accepts=_accepts)
def is_largest(x: Array, index: Array) -> Array:
    xp = CUPY.xp
    y = xp.empty(x.shape[:-1], dtype=x.dtype, device=x.device)
    _IS_LARGEST.launch(x.dtype, matrix_shape(x), *map(xp.ascontiguousarray, (x, index)), y)
    return y
