"""Embedding: rows of a table, looked up by number."""

from __future__ import annotations

import math
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.scatter import scatter_add
from nnx.kernels import accelerated
from nnx.precision import narrow
from nnx.pullbacks import SKIP, Pullback

__all__ = ["embedding"]


@accelerated
def embedding(x: Array, embeddings: Array) -> tuple[Array, Pullback]:
    """Rows of a table, looked up by number: y[..., :] = embeddings[x[...], :]

    x : integers from 0 to v - 1, of any shape. For one outside y is NaN, as nothing waits for a device; on the host
        NumPy's kernel raises a ValueError.
    embeddings : (v, n).

    Returns y (*x.shape, n), and pullback(dy) -> (None, dembeddings): for each row of the table, the sum of dy where it
    was looked up.

    >>> import numpy as np
    >>> table = np.asarray([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> y, pullback = embedding(np.asarray([2, 0, 2]), table)
    >>> y.tolist()
    [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]
    >>> pullback(np.ones((3, 2)))[1].tolist()
    [[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]
    """
    xp = array_namespace(embeddings)
    rows, size = embeddings.shape
    keys = xp.reshape(x, (-1,))
    if keys.dtype not in (xp.int32, xp.int64):  # a small one may not hold the number of rows
        keys = xp.astype(keys, xp.int64)
    inside = xp.logical_and(keys >= 0, keys < rows)
    found = xp.take(embeddings, xp.where(inside, keys, 0), axis=0)
    y = xp.reshape(xp.where(inside[:, None], found, math.nan), (*x.shape, size))

    def pullback(dy: Array, out: tuple[Any, ...] = (None, None)) -> tuple[None, Array | None]:
        if out[1] is SKIP:
            return None, None
        flat_dy = xp.where(inside[:, None], xp.reshape(dy, (math.prod(x.shape), size)), 0.0)
        return None, narrow(scatter_add(flat_dy, xp.where(inside, keys, 0), rows), embeddings)

    return y, pullback
