"""Compiled kernels for large arrays of NumPy, whether they are used; and numba, which makes most of them."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator

from nnx.user_warnings import warn_user

_INSTALL = "pip install 'nnx-array[fast]'"
_enabled = True


def enable_compiled_kernels() -> None:
    """Use of compiled kernels for large arrays of NumPy, those of numba and oneDNN, as far as these are installed.

    So it is from the start.

    >>> enable_compiled_kernels()
    """
    global _enabled
    _enabled = True


def disable_compiled_kernels() -> None:
    """NumPy's own kernels for arrays of any size from here on, as where neither numba nor oneDNN is installed.

    >>> disable_compiled_kernels()
    >>> are_compiled_kernels_enabled()
    False
    >>> enable_compiled_kernels()
    """
    global _enabled
    _enabled = False


def are_compiled_kernels_enabled() -> bool:
    """Whether compiled kernels are not disabled, be numba and oneDNN installed or not.

    >>> are_compiled_kernels_enabled()
    True
    """
    return _enabled


def are_compiled_kernels_used() -> bool:
    """Whether large arrays get the kernels of numba. Imports it; warns once where it is there but broken."""
    return _enabled and _is_usable()


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """A block in which no Python function is called at each call, as by `sys.setprofile`: compilers make millions."""
    observer = sys.getprofile()
    if not isinstance(observer, types.FunctionType | types.MethodType):  # a profiler in C could not be put back
        yield
        return
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(observer)


@functools.cache
def compiler_problem() -> str | None:
    """Why there are no compiled kernels, with what to do about it; None if there are. Imports numba."""
    with unobserved():
        return _problem()


def _problem() -> str | None:
    if importlib.util.find_spec("numba") is None:
        return f"numba is not installed; install it with: {_INSTALL}"
    try:
        numba = importlib.import_module("numba")
    except Exception as error:  # such as that it is for another version of NumPy
        return (
            f"numba is installed but cannot be imported ({type(error).__name__}: {error}); repair it with: {_INSTALL}"
        )
    if numba.config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set, so that numba compiles nothing"
    return None


@functools.cache
def _is_usable() -> bool:
    problem = compiler_problem()
    if problem is not None and "cannot be imported" in problem:
        warn_user(f"{problem}. nnx goes on without compiled kernels, as after nnx.config.disable_compiled_kernels()")
    return problem is None
