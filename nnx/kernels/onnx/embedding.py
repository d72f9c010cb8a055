"""Embedding as a node of ONNX, for which an index that is out of range is an error."""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.table import KERNELS, no_pullback
from nnx.onnx.standard import xp
from nnx.pullbacks import Pullback


@backend_kernel(KERNELS)
def embedding(x: Array, embeddings: Array) -> tuple[Array, Pullback]:
    return xp.take(embeddings, x, axis=0), no_pullback
