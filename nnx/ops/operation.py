"""Operations: functions of arrays with the names of `keras.ops`, and how they read their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray
from nnx.autodiff.namespace import kind_of
from nnx.autodiff.record import leaf
from nnx.backends import Array, Namespace, array_namespace, get_backend, is_array
from nnx.operators import Operand, describe_function
from nnx.parameters import Parameter
from nnx.structure import leaves, rebuild

OPERATIONS: dict[str, Callable[..., Any]] = {}
"""The operations by their names, each as it is written."""


def operation(function: Callable[..., Any]) -> Callable[..., Any]:
    """An operation: the function, which also takes parameters of layers, and symbols, of which it describes a node.

    function : of arrays, tracked ones among them, lists and numbers; written in Array API code.
    """
    name = function.__name__
    OPERATIONS[name] = function

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        for value in (*args, *options.values()) if options else args:
            if isinstance(value, Operand) or (type(value) in (list, tuple, dict) and _has_operands(value)):
                return _with_operands(name, function, args, options)
        return function(*args, **options)

    return called


def _has_operands(value: Any) -> bool:
    return any(isinstance(part, Operand) for part in leaves(value))


def _with_operands(name: str, function: Callable[..., Any], args: Any, options: Any) -> Any:
    parts = leaves([list(args), options])
    if any(isinstance(part, Operand) and not isinstance(part, Parameter) for part in parts):
        return describe_function(name, args, options)
    args, options = rebuild([list(args), options], [_read_parameter(part) for part in parts])
    return function(*args, **options)


def _read_parameter(value: Any) -> Any:
    return leaf(value, kind_of(value.value)) if isinstance(value, Parameter) else value


def namespace(*values: Any) -> Namespace:
    """The namespace for arrays together: one that records if any of them is tracked."""
    first = None
    for value in values:
        if isinstance(value, TrackedArray):
            return value.xp
        if first is None and value is not None and hasattr(value, "dtype"):
            first = value
    return array_namespace(first)


def as_array(value: Any, dtype: str | None = None) -> Array:
    """An array as it is; lists and numbers as one of the current backend: floats in its dtype, bools and ints theirs.

    dtype : the name of the dtype that it gets; by default as said. A list may have arrays in it, which are stacked.
    """
    if isinstance(value, list | tuple) and any(is_array(part) for part in leaves(list(value))):
        parts = [as_array(part) for part in value]
        xp = namespace(*parts)
        common = promote(*parts)
        value = xp.stack(list(common))
    if is_array(value) and not isinstance(value, np.generic):
        if dtype is None or name_of_dtype(value) == dtype:
            return value
        xp = namespace(value)
        return xp.astype(value, getattr(xp, dtype))
    if dtype is None:
        kind = np.asarray(value).dtype.kind
        dtype = {"b": "bool", "i": "int64", "u": "int64"}.get(kind, get_backend().dtype)
        if isinstance(value, np.generic) and kind == "u":
            dtype = str(value.dtype)
    return get_backend().asarray(value, dtype)


def name_of_dtype(array: Array) -> str:
    """The name of an array's dtype, the same on every backend.

    >>> name_of_dtype(np.zeros(2))
    'float64'
    """
    return str(array.dtype).rpartition(".")[2]


def is_float(array: Array) -> bool:
    """Whether an array is of real floating numbers."""
    return name_of_dtype(array).startswith(("float", "bfloat"))


def as_floats(value: Any) -> Array:
    """An array of floating numbers: floats as they are, integers and bools in the dtype of the current backend."""
    array = as_array(value)
    return array if is_float(array) else as_array(array, get_backend().dtype)


def promote(*values: Any) -> tuple[Array, ...]:
    """Arrays in the dtype that Keras computes them in together; numbers of Python follow the arrays.

    Integers beside floats become floats of their dtype; of several float dtypes the widest one counts. A float number
    of Python beside integers makes floats of the current backend's dtype.
    """
    arrays = [as_array(value) for value in values]
    strong = [a for a, value in zip(arrays, values, strict=True) if not isinstance(value, bool | int | float)]
    names = {name_of_dtype(a) for a in (strong or arrays)}
    floats = {name for name in names if name.startswith("float")}
    if floats:
        wanted = max(floats, key=lambda name: int(name[5:]))
    elif any(is_float(a) for a in arrays):
        wanted = get_backend().dtype
    elif len(names) > 1:
        wanted = str(np.result_type(*names))
    elif names == {"bool"} and len(strong) < len(arrays):
        wanted = "int64" if any(name_of_dtype(a) != "bool" for a in arrays) else "bool"
    else:
        wanted = next(iter(names))
    return tuple(as_array(a, wanted) for a in arrays)
