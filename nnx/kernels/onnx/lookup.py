"""Lookup of texts, and in texts, as a node of ONNX, which has a table and one value for all else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.onnx.table import KERNELS
from nnx.onnx.array import node
from nnx.onnx.standard import xp
from nnx.text.values import as_bytes


@backend_kernel(KERNELS)
def numbers_of_texts(
    x: Array,
    find: Callable[[Sequence[str]], Sequence[int]],
    table: Callable[[], tuple[Mapping[str, int], int | None]],
    owner: str,
) -> Array:
    numbers, other = table()
    if other is None:
        raise TypeError(
            "texts that are not in the vocabulary have several numbers, by a hash that ONNX has no operator for, or "
            "none, which is no error there, but with num_oov_indices=1"
        )
    return node(
        "ai.onnx.ml.LabelEncoder",
        [x],
        x.shape,
        "int64",
        keys_strings=tuple(map(as_bytes, numbers)),
        values_int64s=tuple(numbers.values()),
        default_int64=other,
    )


@backend_kernel(KERNELS)
def texts_of_numbers(x: Array, texts: Sequence[str], other: str) -> Array:
    return node(
        "ai.onnx.ml.LabelEncoder",
        [xp.astype(x, xp.int64, copy=False)],
        x.shape,
        "str",
        keys_int64s=tuple(range(len(texts))),
        values_strings=tuple(map(as_bytes, texts)),
        default_string=as_bytes(other),
    )
