"""Embedding for CuPy: a look-up of rows, whose gradient is a scatter-add with atomic additions.

One launch, where the generic form sorts the indices or multiplies by a one-hot matrix. The order of the additions, and
so the last digit of the sums, changes from run to run: `nnx.set_deterministic`.
"""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.scatter import add_rows
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import SKIP, Pullback

# For an index that is out of range the look-up gives NaN, and nothing is added.
_LOOK_UP = {
    number: ElementwiseKernel(
        f"look_up_{number}",
        f"raw T embeddings, raw {number} keys, int64 rows, int64 size",
        "T y",
        """
        long long row = keys[i / size];
        y = row >= 0 && row < rows ? embeddings[row * size + i % size] : T(nanf(""));
        """,
    )
    for number in ("int32", "int64")
}


def _accepts(x: Array, embeddings: Array) -> bool:
    return is_floating(embeddings) and x.dtype.kind in "iu" and embeddings.size > 0


@backend_kernel(KERNELS, accepts=_accepts, deterministic=False)
def embedding(x: Array, embeddings: Array) -> tuple[Array, Pullback]:
    rows, size = embeddings.shape
    keys = contiguous(x if x.dtype.name in _LOOK_UP else x.astype("int64"))
    y = CUPY.xp.empty((*x.shape, size), dtype=embeddings.dtype, device=embeddings.device)
    _LOOK_UP[keys.dtype.name](contiguous(embeddings), keys, rows, size, y)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[None, Array | None]:
        if out[1] is SKIP:
            return None, None
        wide = "float32" if dy.dtype == "float16" else dy.dtype
        usable = out[1] is not None and out[1].flags.c_contiguous and out[1].dtype == wide
        sums = out[1] if usable else CUPY.xp.empty((rows, size), dtype=wide, device=dy.device)
        sums.fill(0)
        add_rows(sums, dy.astype(wide, copy=False), keys)
        return None, sums.astype(embeddings.dtype, copy=False)

    return y, pullback
