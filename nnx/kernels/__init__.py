"""The seam between the generic definitions and what a backend does better.

A function in `nnx.functional` is written in pure Array API code and marked `@accelerated`. A backend may register a
kernel of the same name and signature here; it is used for arrays of that backend when its predicate accepts them.
The generic form stays the specification: one test holds every kernel to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from nnx.backends.base import Backend, Kernel, backend_of

P = ParamSpec("P")
R = TypeVar("R")

GENERIC: dict[str, Callable[..., Any]] = {}
"""The generic form of every accelerated function, by name."""


def accelerated(generic: Callable[P, R]) -> Callable[P, R]:
    """Let backends replace a function by a kernel of the same name, chosen by the type of its first argument.

    The function's own name is the kernel's name: ValueError where another module already uses it.
    """
    name = generic.__name__
    if name in GENERIC and GENERIC[name].__module__ != generic.__module__:
        raise ValueError(f"{generic.__module__}.{name}: {GENERIC[name].__module__} has a function of that name already")
    GENERIC[name] = generic

    @functools.wraps(generic)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        first = args[0] if args else next(iter(kwargs.values()))
        kernel = backend_of(first).kernels.get(name)
        if kernel is not None and (kernel.accepts is None or kernel.accepts(*args, **kwargs)):
            return kernel.function(*args, **kwargs)  # type: ignore[no-any-return]
        return generic(*args, **kwargs)

    return function


def kernel(
    backend: Backend, *, accepts: Callable[..., bool] | None = None, deterministic: bool = True
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register the decorated function as that backend's form of the generic function of the same name.

    accepts : called with the same arguments; False (a dtype or a layout that the kernel is not made for) selects the
        generic form. None accepts everything.
    deterministic : whether equal arguments always give bitwise equal results.
    """

    def register(function: Callable[P, R]) -> Callable[P, R]:
        backend.kernels[function.__name__] = Kernel(function, accepts, deterministic)
        return function

    return register
