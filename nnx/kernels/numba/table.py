"""Tables of the compiled kernels, which the other files of this package fill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

from nnx.backends.base import Array, BackendKernel
from nnx.backends.compiler import are_compiled_kernels_used
from nnx.kernels import backend_kernel

P = ParamSpec("P")
R = TypeVar("R")

KERNELS: dict[str, BackendKernel] = {}
"""By the name of the generic function, for arrays of any size."""

FOR_LARGE_ARRAYS: dict[str, BackendKernel] = {}
"""The same, as they stand in front of NumPy's: for arrays that are large enough, where numba is there."""


def compiled_kernel(
    *, least: int, accepts: Callable[..., bool], measured: int | Callable[..., int] = 0
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Enter the decorated function into both tables, as the form of the generic function of the same name.

    least : how many elements an array needs for the kernel to pay. measured : the position of that array, or how many
        elements there are, as a function of the arguments.
    accepts : as for `nnx.kernels.backend_kernel`.
    """

    def register(function: Callable[P, R]) -> Callable[P, R]:
        def is_large(*arguments: Any, **named: Any) -> bool:
            if callable(measured):
                return measured(*arguments, **named) >= least
            return len(arguments) > measured and bool(arguments[measured].size >= least)

        def accepts_large(*arguments: Any, **named: Any) -> bool:
            return is_large(*arguments, **named) and are_compiled_kernels_used() and accepts(*arguments, **named)

        FOR_LARGE_ARRAYS[function.__name__] = BackendKernel(function, accepts_large, True)
        return backend_kernel(KERNELS, accepts=accepts)(function)

    return register


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
