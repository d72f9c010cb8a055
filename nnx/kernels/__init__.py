"""The seam between the generic definitions and what a backend does better.

A function in `nnx.functional` is written in pure Array API code and marked `@accelerated`. A backend may have a kernel
of the same name and signature, marked `@backend_kernel`; it is used for arrays of that backend when its predicate
accepts them. The generic form stays the specification: one test holds every kernel to it.

NumPy's kernels are in `nnx.kernels.numpy` and CuPy's in `nnx.kernels.cupy`, a file a subject. They are imported when
an array of that backend first comes to an accelerated function. In front of NumPy's stand those of `nnx.kernels.onednn`
and `nnx.kernels.numba`, for arrays that are large enough, where these libraries are: what they do not accept goes on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from nnx.backends.base import Backend, BackendKernel, backend_of

__all__ = [
    "ACCELERATED",
    "GENERIC",
    "accelerated",
    "alike",
    "backend_kernel",
    "is_deterministic",
    "name_of",
    "set_deterministic",
]

P = ParamSpec("P")
R = TypeVar("R")

GENERIC: dict[str, Callable[..., Any]] = {}
"""The generic form of every accelerated function, by name."""

ACCELERATED: dict[str, Callable[..., Any]] = {}
"""The accelerated functions by name, for kernels, which stand below them."""

RECORDING: dict[type, Backend] = {}
"""Backends of the kinds of arrays that record on a tape, by their types: one of them decides wherever it stands."""

_RECORDING_KINDS = RECORDING.keys()

_deterministic = False


def set_deterministic(deterministic: bool = True) -> None:
    """Determinism: whether equal inputs must give bitwise equal results, run after run on one device, in all threads.

    Off by default: on CUDA the gradient of an embedding, and of images under affine maps, is then added up by all
    threads at once, in an order that changes, and with it the last digits. On, kernels of that kind are left aside for
    the generic form: the indices are sorted, or a small table's gradient is a product with a one-hot matrix. That costs
    about twenty launches instead of two for each embedding, and memory for two more copies of its output, and about
    forty more for each layer that turns or moves images. All else is deterministic in any case.

    >>> set_deterministic()
    >>> is_deterministic()
    True
    >>> set_deterministic(False)
    """
    global _deterministic
    if not isinstance(deterministic, bool):
        raise TypeError(f"set_deterministic expects True or False, got {deterministic!r}")
    _deterministic = deterministic


def is_deterministic() -> bool:
    """Whether results have to be bitwise equal from run to run; see `set_deterministic`.

    >>> is_deterministic()
    False
    """
    return _deterministic


def accelerated(generic: Callable[P, R]) -> Callable[P, R]:
    """A function that backends may replace by a kernel of the same name, chosen by the type of its first argument.

    generic : written in Array API code; the kernels are held to it. What is returned calls it where there is no kernel,
        where the kernel does not accept the arguments, and where it is not deterministic but has to be.

    The function's own name is the kernel's name: ValueError where another module already uses it.

    >>> from nnx.functional import relu, softsign
    >>> name_of(relu), name_of(softsign)
    ('relu', None)
    """
    name = generic.__name__
    if name in GENERIC and GENERIC[name].__module__ != generic.__module__:
        raise ValueError(f"{generic.__module__}.{name}: {GENERIC[name].__module__} has a function of that name already")
    GENERIC[name] = generic

    @functools.wraps(generic)
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        if not _RECORDING_KINDS.isdisjoint(map(type, (*args, *kwargs.values()) if kwargs else args)):
            backend = next(RECORDING[kind] for kind in map(type, (*args, *kwargs.values())) if kind in RECORDING)
        else:
            backend = backend_of(args[0] if args else next(iter(kwargs.values())))
        kernel, compiled = backend.kernels.get(name), backend.compiled_kernels.get(name)
        if compiled is not None and compiled.instead_of is kernel and compiled.accepts(*args, **kwargs):  # type: ignore[misc]
            return compiled.function(*args, **kwargs)  # type: ignore[no-any-return]
        if kernel is None or (_deterministic and not kernel.deterministic):
            return generic(*args, **kwargs)
        if kernel.accepts is None or kernel.accepts(*args, **kwargs):
            return kernel.function(*args, **kwargs)  # type: ignore[no-any-return]
        return generic(*args, **kwargs)

    function.name_of_kernels = name  # type: ignore[attr-defined]
    ACCELERATED[name] = function
    return function


def alike(*values: Any) -> Any:
    """The same arrays, plain ones as constants where others are recorded on a tape.

    For functions that are not `accelerated`, and compute with the namespace of one of their arrays.

    >>> alike(1.0, None)
    (1.0, None)
    """
    recording = [RECORDING[kind] for kind in map(type, values) if kind in RECORDING] if RECORDING else []
    return tuple(map(recording[0].as_constant, values)) if recording else values


def name_of(function: Any) -> str | None:
    """The name of an accelerated function, for kernels that take a function and know some; None for all others."""
    name = getattr(function, "name_of_kernels", None)
    # `functools.wraps` gives the name also to what somebody writes around the function.
    return name if name is not None and function.__wrapped__ is GENERIC[name] else None


def backend_kernel(
    table: dict[str, BackendKernel], *, accepts: Callable[..., bool] | None = None, deterministic: bool = True
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Enter the decorated function into a table of kernels, as the form of the generic function of the same name.

    table : the `KERNELS` of a package of kernels, or the `kernels` of a backend, of which it replaces what they had.
    accepts : called with the same arguments; False (a dtype or a layout that the kernel is not made for) selects the
        generic form. None accepts everything.
    deterministic : whether equal arguments always give bitwise equal results; `set_deterministic` asks for it.
    """

    def register(function: Callable[P, R]) -> Callable[P, R]:
        table[function.__name__] = BackendKernel(function, accepts, deterministic)
        return function

    return register
