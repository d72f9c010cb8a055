"""Compilation by numba of loops over arrays: when they are first called, and once for all processes to come.

What is compiled is kept beside the file that it is of, in __pycache__, or where the installation is read-only in the
user's folder for caches; NUMBA_CACHE_DIR names another one. Where none of them can be written to, each process
compiles for itself.
"""

from __future__ import annotations

import importlib
import types
from collections.abc import Callable
from typing import Any

from nnx.backends.routines import Routine
from nnx.locks import LOADING, cached_property


class CompiledLoop(Routine):
    """A function of arrays and numbers, in the part of Python that numba compiles.

    function : writes into its arguments, the first of which is an array. It may call others that were decorated, in the
        same file: numba compiles again what it kept when that file changes.
    sums : whether the sums in it may be added up in another order, which takes several numbers at a time.
    products : whether a product may be added without being rounded before, in one instruction.

    Neither is leave to take NaN or infinities for anything else.

    Sums in float32 need numbers in float32: a Python float makes numba compute in float64.
    """

    def __init__(self, function: Callable[..., Any], sums: bool = False, products: bool = False) -> None:
        super().__init__(function)
        self._freedom = {*["reassoc"] * sums, *["contract"] * products}

    @cached_property
    def dispatcher(self) -> Any:
        """What numba makes of the function, with those that it calls."""
        known = {
            name: value.dispatcher if isinstance(value, CompiledLoop) and value is not self else value
            for name, value in self._function.__globals__.items()
            if name in self._function.__code__.co_names
        }
        known["__name__"] = self._function.__module__
        function = types.FunctionType(self._function.__code__, known, self._function.__name__)
        function.__module__, function.__qualname__ = self._function.__module__, self._function.__qualname__
        options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
        if self._freedom:
            options["fastmath"] = self._freedom
        with LOADING:
            njit = importlib.import_module("numba").njit
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # there is no folder to keep it in
            return njit(**options)(function)

    @property
    def compute(self) -> Callable[..., Any]:
        return self.dispatcher  # type: ignore[no-any-return]


def compiled(function: Callable[..., Any]) -> CompiledLoop:
    """A loop that is compiled when it is first called; see `CompiledLoop`."""
    return CompiledLoop(function)


def compiled_sum(function: Callable[..., Any]) -> CompiledLoop:
    """The same, of sums that may be added up in another order."""
    return CompiledLoop(function, sums=True, products=True)


def compiled_product(function: Callable[..., Any]) -> CompiledLoop:
    """The same, of polynomials, whose products may be added without being rounded before."""
    return CompiledLoop(function, products=True)
