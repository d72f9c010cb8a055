"""CuPy kernel of scattered sums: one launch, with atomic additions.

The generic form sorts the indices or multiplies by a one-hot matrix. The order of the additions, and so the last digit
of the sums, changes from run to run: `nnx.set_deterministic`.
"""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.table import KERNELS

# A row that is out of range is left out; `last` is what is added to a negative one.
_ADD_ROWS = {
    number: ElementwiseKernel(
        f"scatter_add_{number}",
        f"T values, raw {number} keys, int64 rows, int64 size, int64 last",
        "raw T sums",
        """
        long long row = keys[i / size];
        if (row < 0) row += last;
        if (row >= 0 && row < rows) atomicAdd(&sums[row * size + i % size], values);
        """,
    )
    for number in ("int32", "int64")
}


def add_rows(sums: Array, values: Array, rows: Array, negative: bool = False) -> None:
    """Add rows of contiguous values (n, m), of the dtype of the sums (count, m), where `rows` (n,) says.

    negative : whether negative rows count from the end; else nothing is added for them.
    """
    keys = contiguous(rows if rows.dtype.name in _ADD_ROWS else rows.astype("int64"))
    if values.size:
        count, size = sums.shape
        _ADD_ROWS[keys.dtype.name](contiguous(values), keys, count, size, count if negative else 0, sums)


def _accepts(values: Array, rows: Array, count: int) -> bool:
    return is_floating(values) and rows.dtype.kind in "iu"


@backend_kernel(KERNELS, accepts=_accepts, deterministic=False)
def scatter_add(values: Array, rows: Array, count: int) -> Array:
    wide = "float32" if values.dtype == "float16" else values.dtype
    sums = CUPY.xp.zeros((count, values.shape[1]), dtype=wide, device=values.device)
    add_rows(sums, values.astype(wide, copy=False), rows, negative=True)
    return sums.astype(values.dtype, copy=False)
