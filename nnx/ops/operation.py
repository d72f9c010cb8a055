"""Operations: functions of arrays with the names of `keras.ops`, and how they read their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.autodiff.array import TrackedArray, constant, lower
from nnx.autodiff.tape import CONSTANT
from nnx.backends import Array, Namespace, array_namespace, backend_of, get_backend, is_array
from nnx.operators import Operand, describe_function
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
        for value in args:
            if type(value) not in _PLAIN and _has_operands(value):
                return _with_operands(name, function, args, options)
        if options:
            for value in options.values():
                if type(value) not in _PLAIN and _has_operands(value):
                    return _with_operands(name, function, args, options)
            return function(*args, **options)
        return function(*args)

    return called


_PLAIN: set[type] = {bool, int, float, str, type(None), slice, type(Ellipsis)}
"""Types of arguments that are neither symbols nor parameters, nor hold some."""


def _has_operands(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            if type(part) not in _PLAIN and _has_operands(part):
                return True
        return False
    if isinstance(value, Operand):
        return True
    _PLAIN.add(type(value))
    return False


def _with_operands(name: str, function: Callable[..., Any], args: Any, options: Any) -> Any:
    parts = [part.in_array_code() if isinstance(part, Operand) else part for part in leaves([list(args), options])]
    if any(isinstance(part, Operand) for part in parts):
        return describe_function(name, args, options)
    args, options = rebuild([list(args), options], parts)
    return function(*args, **options)


_FLOATS = ("float16", "bfloat16", "float32", "float64")

_KNOWN: dict[type, tuple[Namespace, frozenset[Any]]] = {}
"""For types of arrays that have come already: the namespace, and the dtypes of real floating numbers."""


def _learn(array: Array) -> None:
    xp = namespace(array)
    dtypes = [getattr(xp, name) for name in _FLOATS if hasattr(xp, name)]
    _KNOWN[type(array)] = xp, frozenset(xp.empty((0,), dtype=dtype).dtype for dtype in dtypes)  # NumPy's are classes


def floats(value: Any) -> tuple[Namespace, Array]:
    """A value as an array of floating numbers, and its namespace: integers and bools in the current backend's dtype."""
    known = _KNOWN.get(type(value))
    if known is not None and value.dtype in known[1]:
        return known[0], value
    array = as_floats(value)
    return namespace(array), array


def read(value: Any) -> tuple[Namespace, Array]:
    """A value as an array, of whatever dtype, and its namespace."""
    known = _KNOWN.get(type(value))
    if known is not None:
        return known[0], value
    array = as_array(value)
    return namespace(array), array


def shared(x1: Any, x2: Any) -> Namespace | None:
    """The namespace whose functions take two values as they are: floats of one dtype, or floats and a number of Python.

    None for all others, which `promote` brings together.
    """
    first, second = _KNOWN.get(type(x1)), _KNOWN.get(type(x2))
    if first is None:
        return second[0] if second is not None and type(x1) in _NUMBERS and x2.dtype in second[1] else None
    dtype = x1.dtype
    if dtype not in first[1]:
        return None
    if second is None:
        return first[0] if type(x2) in _NUMBERS else None
    if dtype != x2.dtype:
        return None
    return first[0] if isinstance(x1, TrackedArray) else second[0]


_NUMBERS = (float, int)


def namespace(*values: Any) -> Namespace:
    """The namespace for arrays together: one that records if any of them is tracked."""
    first = None
    for value in values:
        if isinstance(value, TrackedArray):
            return value.xp
        if first is None and value is not None and hasattr(value, "dtype"):
            first = value
    return get_backend().xp if first is None else array_namespace(first)


def device_of(array: Array) -> Any:
    """Where an array is, as its library says it, for what is created beside it."""
    return backend_of(array).device_of(array)


def beside(like: Array, value: Any, dtype: str | None = None) -> Array:
    """Host data as an array of the library of `like`, on its device, and a constant if `like` is tracked."""
    plain = lower(like)
    return backend_of(plain).put_beside(plain, np.asarray(value, dtype=dtype))


def as_array(value: Any, dtype: str | None = None, like: Array | None = None) -> Array:
    """An array as it is; lists and numbers as one of the current backend: floats in its dtype, bools and ints theirs.

    dtype : the name of the dtype that it gets; by default as said. A list may have arrays in it, which are stacked.
    like : lists and numbers, and arrays of NumPy beside those of another library, come to where this array is.
    """
    if isinstance(value, list | tuple) and any(is_array(part) for part in leaves(list(value))):
        parts = promote(*value)
        xp = namespace(*parts)
        value = xp.stack([xp.asarray(part) for part in parts])
    if is_array(value):
        if type(value) not in _KNOWN:
            _learn(value)
        if like is not None and isinstance(value, np.ndarray | np.generic) and backend_of(lower(like)).name != "numpy":
            return beside(like, value, dtype)
        return value if dtype is None or name_of_dtype(value) == dtype else cast_to(value, dtype)
    host = np.asarray(value)
    if host.dtype.kind not in "biuf":
        hint = "; texts go into a model as they are" if host.dtype.kind in "US" else ""
        raise TypeError(
            f"expected an array, a number or a list of numbers, got {type(value).__name__}: {value!r}{hint}"
        )
    if dtype is None:
        dtype = {"b": "bool", "f": get_backend().dtype}.get(host.dtype.kind, "int64")
    return get_backend().asarray(host, dtype) if like is None else beside(like, host, dtype)


def cast_to(array: Array, dtype: str) -> Array:
    """An array in the dtype of that name; bools are what is not zero."""
    if name_of_dtype(array) == dtype:
        return array
    xp = namespace(array)
    return array != 0 if dtype == "bool" else xp.astype(array, getattr(xp, dtype))


def name_of_dtype(array: Array) -> str:
    """The name of an array's dtype, the same on every backend.

    >>> name_of_dtype(np.zeros(2))
    'float64'
    """
    names = _NAMES.get(type(array))
    if names is None:  # for each library a table of its own: dtypes of several are not compared
        names = _NAMES[type(array)] = {}
    dtype = array.dtype
    name = names.get(dtype)
    if name is None:
        name = names[dtype] = str(dtype).rpartition(".")[2]
    return name


_NAMES: dict[type, dict[Any, str]] = {}


def dtype_name(dtype: Any, default: str | None = None) -> str | None:
    """The name of a dtype that is given by its name, by an object of a library or NumPy, or as a type of Python.

    >>> dtype_name("int32"), dtype_name(np.float32), dtype_name(float, "float16"), dtype_name(None, "float32")
    ('int32', 'float32', 'float16', 'float32')
    """
    if dtype is None:
        return default
    if dtype in (bool, int, float, "int"):
        return {bool: "bool", float: default or get_backend().dtype}.get(dtype, "int64")
    if isinstance(dtype, type):
        return np.dtype(dtype).name
    name = str(dtype).rpartition(".")[2]
    if name not in _INTEGERS and name not in (*_FLOATS, "bool", "complex64", "complex128"):
        raise ValueError(f'dtype: no dtype has the name {dtype!r}; write one like "float32" or "int64"')
    return name


_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def is_float(array: Array) -> bool:
    """Whether an array is of real floating numbers."""
    known = _KNOWN.get(type(array))
    return array.dtype in known[1] if known is not None else name_of_dtype(array) in _FLOATS


def is_bool(array: Array) -> bool:
    """Whether an array is of bools."""
    return not is_float(array) and name_of_dtype(array) == "bool"


def as_floats(value: Any) -> Array:
    """An array of floating numbers: floats as they are, integers and bools in the dtype of the current backend."""
    if isinstance(value, TrackedArray) and value.tape.level != CONSTANT:
        return value  # only floats are tracked
    array = as_array(value)
    if is_float(array):
        return array
    if name_of_dtype(array).startswith("complex"):
        raise TypeError(f"expected real numbers, got {array.dtype}; take the real and the imaginary part apart")
    return as_array(array, get_backend().dtype)


def promote(*values: Any, like: Array | None = None) -> tuple[Array, ...]:
    """Arrays in the dtype that Keras computes them in together; numbers and lists follow the arrays.

    Integers beside floats become floats of their dtype; of several float dtypes the widest one counts. A float number
    beside integers makes floats of the current backend's dtype. What is on the host comes to where the arrays are.
    Beside tracked arrays the others are constants, so that operators take them in any order.

    like : where numbers and lists go if there are no arrays.
    """
    types = {type(value) for value in values}
    if types <= _KNOWN.keys() and all(value.dtype == values[0].dtype for value in values[1:]):
        if len(types) == 1:
            return values
        tracked = [kind for kind in types if issubclass(kind, TrackedArray)]
        if len(tracked) == 1 and all(_KNOWN[kind][0] in (tracked[0].xp, tracked[0].xp.base) for kind in types):
            return tuple(constant(value, tracked[0]) for value in values)
    strong = [value for value in values if is_array(value) and not isinstance(value, np.generic)]
    like = next((one for one in strong if not isinstance(lower(one), np.ndarray)), strong[0] if strong else like)
    strong = strong or [value for value in values if isinstance(value, np.generic)]
    names = {name_of_dtype(value) for value in strong}
    kinds = {_kind(value) for value in values}
    if any(name.startswith("complex") for name in names):
        wanted = max(name for name in names if name.startswith("complex"))
    elif widths := {name for name in names if name in _FLOATS}:
        wanted = "float32" if widths == {"float16", "bfloat16"} else max(widths, key=_FLOATS.index)
    elif "f" in kinds:
        wanted = get_backend().dtype
    elif "i" in kinds:
        integers = names - {"bool"}
        wanted = _common_integer(integers) if integers else "int64"
    else:
        wanted = "bool"
    arrays = tuple(as_array(value, wanted, like) for value in values)
    kind = next((type(array) for array in arrays if isinstance(array, TrackedArray)), None)
    return arrays if kind is None else tuple(constant(array, kind) for array in arrays)


def _kind(value: Any) -> str:
    """b, i or f, for bools, integers and floats."""
    if type(value) in (bool, int, float):
        return type(value).__name__[0]
    if isinstance(value, list | tuple):
        return next((kind for kind in "fib" if kind in {_kind(part) for part in leaves(list(value))}), "f")
    name = name_of_dtype(value if is_array(value) else np.asarray(value))
    return "b" if name == "bool" else "i" if name in _INTEGERS else "f"


def _common_integer(names: set[str]) -> str:
    name = str(np.result_type(*names))
    return "int64" if name == "float64" else name


def refuse_derivative(what: str, value: Any) -> None:
    """NotImplementedError for a tracked argument of which there is no derivative, and that would be a constant.

    what : the operation and its argument, as "quantile: q".
    """
    if any(isinstance(part, TrackedArray) and part.tape.level != CONSTANT for part in leaves(value)):
        raise NotImplementedError(f"{what} has no derivative: write nnx.stop_gradient of it")


def refuse_bools(name: str, *arrays: Array) -> None:
    """TypeError where bools come to an operation that has no meaning for them."""
    if any(is_bool(array) for array in arrays):
        raise TypeError(f'{name} is not defined for bools: convert them, as in nnx.ops.cast(x, "int32")')


def axes_of(axis: Any) -> Any:
    """An axis or several as the standard wants them: None, an integer, or a tuple of integers."""
    return tuple(axis) if type(axis) is list else axis


def positive_axis(axis: int, rank: int, name: str) -> int:
    """An axis counted from the front. ValueError, with the operation's name, for one that is not there."""
    if not -rank <= axis < rank:
        raise ValueError(f"{name}: axis {axis} is out of range for an array with {rank} axes")
    return axis % rank
