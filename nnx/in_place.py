"""Functions of users that write into arrays, as `x += 1` does, which in Keras changes nobody else's array."""

from __future__ import annotations

import dis
import functools
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

from nnx.backends import array_namespace, is_array
from nnx.structure import leaves, rebuild

F = TypeVar("F", bound=Callable[..., Any])

IN_PLACE = range(13, 26)
"""The numbers of BINARY_OP that are operators such as `+=`; in Python 3.14 a later one is that of `x[key]`."""


def sparing(function: F) -> F:
    """The function; one that writes into arrays gets copies of its plain ones, so that those of others stay.

    What its code itself says is seen, and not what functions do that it calls.

    >>> import numpy as np
    >>> def doubled(x):
    ...     x *= 2
    ...     return x
    >>> given = np.asarray([1.0, 2.0])
    >>> sparing(doubled)(given), given
    (array([2., 4.]), array([1., 2.]))
    """
    if not writes_in_place(function):
        return function

    @functools.wraps(function)
    def spared(*args: Any, **options: Any) -> Any:
        return function(*copied(args), **copied(options))

    return spared  # type: ignore[return-value]


def writes_in_place(function: Any) -> bool:
    """Whether a function's own code has an operator such as `x += 1`, or `x[key] = value`.

    >>> writes_in_place(lambda x: x + 1)
    False
    """
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    if code is None and callable(function):
        code = getattr(type(function).__call__, "__code__", None)
    return isinstance(code, CodeType) and _writes(code)


def copied(structure: Any) -> Any:
    """A structure with copies of its plain arrays; the tracked ones, which are never written into, stay."""
    return rebuild(structure, [own_array(part) for part in leaves(structure)])


def own_array(value: Any) -> Any:
    """A copy of a plain array; anything else as it is."""
    if not is_plain(value):
        return value
    value = value.detach() if hasattr(value, "detach") else value  # what PyTorch's own tape knows of stays there
    return array_namespace(value).asarray(value, copy=True)


def is_plain(value: Any) -> bool:
    """Whether a value is an array that no tape tracks, and that can be written into."""
    return is_array(value) and hasattr(value, "shape") and hasattr(value, "__setitem__") and not hasattr(value, "tape")


@functools.lru_cache(maxsize=512)
def _writes(code: CodeType) -> bool:
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "STORE_SUBSCR" or (name == "BINARY_OP" and instruction.arg in IN_PLACE):
            return True
    return any(_writes(one) for one in code.co_consts if isinstance(one, CodeType))
