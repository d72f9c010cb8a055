"""Embedding for NumPy: a look-up of rows, whose gradient is a scattered sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.memory import empty
from nnx.kernels.numpy.scatter import add_rows
from nnx.kernels.numpy.table import KERNELS
from nnx.pullbacks import SKIP, Pullback


def _accepts(x: Array, embeddings: Array) -> bool:
    return bool(embeddings.dtype in (np.float32, np.float64) and x.dtype.kind in "iu")


@backend_kernel(KERNELS, accepts=_accepts)
def embedding(x: Array, embeddings: Array) -> tuple[Array, Pullback]:
    return look_up(x, embeddings, add_rows)


def look_up(x: Array, embeddings: Array, add: Callable[[Array, Array, Array], None]) -> tuple[Array, Pullback]:
    """Rows of a table, and a pullback that gets its sums by `add(sums, values, rows)`."""
    rows, size = embeddings.shape
    if x.size and (x.min() < 0 or x.max() >= rows):  # on the host this is cheap, and -1 would be the last row
        raise ValueError(f"embedding: indices must be from 0 to {rows - 1}, got some from {x.min()} to {x.max()}")
    y = embeddings.take(x, axis=0)

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[None, Array | None]:
        if out[1] is SKIP:
            return None, None
        usable = out[1] is not None and out[1].flags.c_contiguous
        sums = out[1] if usable else empty(embeddings, embeddings.shape)
        sums[...] = 0.0
        add(sums, dy.reshape(x.size, size), x.reshape(-1))
        return None, sums

    return y, pullback
