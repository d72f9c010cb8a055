"""Tables of kernels that stand in front of a backend's own, for large arrays, where an optional library is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from nnx.backends.base import BackendKernel
from nnx.kernels import backend_kernel

P = ParamSpec("P")
R = TypeVar("R")


class CompiledTables:
    """The kernels of one library.

    is_used : whether the library is there, and not disabled.
    kernels : by the name of the generic function, for arrays of any size. for_large_arrays : the same, as they stand in
        front of a backend's.
    """

    def __init__(self, is_used: Callable[[], bool]) -> None:
        self._is_used = is_used
        self.kernels: dict[str, BackendKernel] = {}
        self.for_large_arrays: dict[str, BackendKernel] = {}

    def register(
        self, *, least: int, accepts: Callable[..., bool], measured: int | Callable[..., int] = 0
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Enter the decorated function into both tables, as the form of the generic function of the same name.

        least : how many elements an array needs for the kernel to pay. measured : the position of that array, or how
            many elements there are, as a function of the arguments.
        accepts : as for `nnx.kernels.backend_kernel`.
        """

        def enter(function: Callable[P, R]) -> Callable[P, R]:
            def is_large(*arguments: object, **named: object) -> bool:
                if callable(measured):
                    return measured(*arguments, **named) >= least
                return len(arguments) > measured and bool(arguments[measured].size >= least)  # type: ignore[attr-defined]

            def accepts_large(*arguments: object, **named: object) -> bool:
                return is_large(*arguments, **named) and self._is_used() and accepts(*arguments, **named)

            self.for_large_arrays[function.__name__] = BackendKernel(function, accepts_large, True)
            return backend_kernel(self.kernels, accepts=accepts)(function)

        return enter
