"""A guard that finds hidden synchronisation without a GPU.

On a GPU, `float(loss)`, `if array:` or a slice bound that is an array stops the host until the device has caught up.
On the CPU nobody notices. This guard makes each of them an error.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from nnx.backends import Array, Backend, available_backends

_EXPORTS = (
    "__float__",
    "__int__",
    "__bool__",
    "__index__",
    "__complex__",
    "__dlpack__",
    "__array__",
    "__buffer__",
)


@contextlib.contextmanager
def no_synchronization() -> Iterator[None]:
    """Inside the block, whatever would make the host wait for a device raises an AssertionError.

    On every backend that is nnx's own export (`nnx.to_numpy`). On array-api-strict it is also everything that turns
    an array into a Python object, a NumPy array or a DLPack capsule. Host data may still travel to the device. The
    guard holds for the whole process, all its threads included.

    >>> from nnx.backends import asarray, to_numpy
    >>> with no_synchronization():  # doctest: +ELLIPSIS
    ...     to_numpy(asarray([1.0]))
    Traceback (most recent call last):
    AssertionError: nnx.to_numpy inside no_synchronization(): the host would wait for the device; ...
    """
    with contextlib.ExitStack() as undo:
        for kind in _all_kinds(Backend):
            if "to_host" in vars(kind):
                undo.enter_context(_replaced(kind, "to_host", _refuse_export))
        if available_backends()["array-api-strict"] is None:
            import array_api_strict

            strict: type = type(array_api_strict.empty(()))
            for name in _EXPORTS:
                original = getattr(strict, name)
                undo.enter_context(_replaced(strict, name, _refuse_conversion(name, original)))
        yield


def _all_kinds(kind: type[Backend]) -> Iterator[type[Backend]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _all_kinds(child)


@contextlib.contextmanager
def _replaced(kind: type, name: str, function: Callable[..., Any]) -> Iterator[None]:
    original = vars(kind)[name]
    setattr(kind, name, function)
    try:
        yield
    finally:
        setattr(kind, name, original)


def _refuse_export(self: Backend, array: Array) -> NoReturn:
    raise AssertionError(
        "nnx.to_numpy inside no_synchronization(): the host would wait for the device; keep the value in an array, or "
        "read it after the step"
    )


def _refuse_conversion(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def conversion(self: Array, *args: Any, **kwargs: Any) -> Any:
        caller = sys._getframe(1)
        library = caller.f_globals.get("__name__", "").partition(".")[0] == "array_api_strict"
        # What the library asks of its own arrays is its own business; but it asks for an index or a capsule only on
        # behalf of its user: a slice bound, from_dlpack.
        if library and name not in ("__index__", "__dlpack__"):
            return original(self, *args, **kwargs)
        raise AssertionError(
            f"{name} of an array of shape {self.shape} inside no_synchronization() (at {caller.f_code.co_filename}:"
            f"{caller.f_lineno}): the host would wait for the device; compute with arrays, for example with xp.where "
            "in place of `if`"
        )

    return conversion
