"""Tables of the kernels that numba compiles, which the other files of this package fill."""

from __future__ import annotations

import numpy as np

from nnx.backends.base import Array
from nnx.backends.compiler import are_compiled_kernels_used
from nnx.kernels.compiled_tables import CompiledTables

_TABLES = CompiledTables(are_compiled_kernels_used)
KERNELS, FOR_LARGE_ARRAYS = _TABLES.kernels, _TABLES.for_large_arrays
compiled_kernel = _TABLES.register


def are_plain(first: Array, *others: Array | None) -> bool:
    """Whether arrays lie in memory as compiled loops read it: contiguous, all float32 or all float64."""
    return _is_plain(first) and all(
        array is None or (array.dtype == first.dtype and _is_plain(array)) for array in others
    )


def have_shape(shape: tuple[int, ...], *arrays: Array | None) -> bool:
    """Whether arrays have this shape, as far as there are any: compiled loops do not look where an array ends."""
    return all(array is None or array.shape == shape for array in arrays)


def plain(cotangent: Array, like: Array) -> Array:
    """A cotangent as compiled loops read it, in the shape and dtype of another array."""
    cotangent = cotangent.reshape(like.shape)
    if cotangent.dtype != like.dtype:
        cotangent = cotangent.astype(like.dtype)
    return cotangent if _is_plain(cotangent) else cotangent.copy()


def _is_plain(array: Array) -> bool:
    subclass = isinstance(array, np.ndarray) and type(array) is not np.ndarray
    return not subclass and array.dtype in (np.float32, np.float64) and array.flags.c_contiguous
