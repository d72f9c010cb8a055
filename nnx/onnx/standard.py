"""The namespace of recorded arrays, which the files beside this one fill, and what all its functions rest on."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from nnx.backends.base import find_backend, is_array, to_numpy
from nnx.onnx.array import RecordedArray, constant, is_open, made_by, node
from nnx.onnx.size import Size

xp: Final[Any] = types.ModuleType("nnx.onnx.xp")
"""The functions of the Array API standard, as ONNX nodes. See `nnx.onnx.namespace`, which imports all that fill it."""

linalg: Final[Any] = types.SimpleNamespace()
xp.linalg = linalg

FIRST_FROM_LAST: Final = {3: (0, 2, 1), 4: (0, 3, 1, 2), 5: (0, 4, 1, 2, 3)}
"""By the number of axes, how images with channels last are turned to those with channels first, as ONNX has them."""

LAST_FROM_FIRST: Final = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 2, 3, 4, 1)}

ELEMENT_TYPES: Final = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "str": 8,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
}
"""The numbers of ONNX for dtypes."""


def host() -> Any:
    """NumPy's namespace, which computes what is constant."""
    return find_backend("numpy").xp


def standard(function: Callable[..., Any], space: Any = xp) -> Callable[..., Any]:
    """A function of the namespace, under its name. What is constant is computed at once, by NumPy's of that name."""
    name = function.__name__

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        options.pop("device", None)
        if is_known([*args, *options.values()]):
            compute = getattr(host() if space is xp else host().linalg, name)
            made = _recorded(compute(*map(plain, args), **{key: plain(value) for key, value in options.items()}))
            if isinstance(made, RecordedArray) and isinstance(args[0], RecordedArray):
                made.name = args[0].name  # of the parameter that it is made from
            return made
        return function(*args, **options)

    setattr(space, name, called)
    return called


def is_known(values: list[Any]) -> bool:
    """Whether all values are known: constants, numbers, sizes that are not open."""
    return not is_open(values) and not _has_sizes(values)


def _has_sizes(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_sizes, value))
    if isinstance(value, slice):
        return any(map(_has_sizes, (value.start, value.stop, value.step)))
    return isinstance(value, Size)


def plain(value: Any) -> Any:
    """A constant, also in lists and tuples, as the array of NumPy that it is."""
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return value.value if isinstance(value, RecordedArray) else value


def _recorded(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return constant(value)
    if isinstance(value, list | tuple):
        return tuple(map(_recorded, value))
    return value


def as_recorded(value: Any, like: RecordedArray | None = None) -> RecordedArray:
    """An operand as an array of the graph. like : whose dtype a number of Python takes, as in NumPy."""
    if isinstance(value, RecordedArray):
        return value
    if isinstance(value, Size):
        return value.number()  # type: ignore[no-any-return]
    if is_array(value):
        return constant(to_numpy(value))
    if like is not None and isinstance(value, bool | int | float):
        return constant(value, dtype=np.result_type(like.dtype, value))
    return constant(value)


def promoted(a: Any, b: Any) -> tuple[RecordedArray, RecordedArray]:
    """Two operands as arrays of one dtype."""
    a, b = (
        as_recorded(a, b if isinstance(b, RecordedArray) else None),
        as_recorded(b, a if isinstance(a, RecordedArray) else None),
    )
    if a.dtype != b.dtype:
        dtype = np.result_type(a.dtype, b.dtype)
        if a.weak != b.weak and (b if a.weak else a).dtype.kind == "f":
            dtype = b.dtype if a.weak else a.dtype
        a, b = xp.astype(a, dtype), xp.astype(b, dtype)
    return a, b


def broadcast(*shapes: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of what is broadcast together. Open sizes that meet are taken to be equal, as None is."""
    rank = max(map(len, shapes))
    made = []
    for sizes in zip(*[(*(1,) * (rank - len(shape)), *shape) for shape in shapes], strict=True):
        larger = [size for size in sizes if isinstance(size, Size) or size != 1]
        known = {size for size in larger if not isinstance(size, Size)}
        if len(known) > 1:
            raise ValueError(f"arrays of shapes {', '.join(map(str, shapes))} cannot be broadcast together")
        made.append(known.pop() if known else larger[0] if larger else 1)
    return tuple(made)


def elementwise(operator: str, *inputs: RecordedArray, dtype: Any = None, **attributes: Any) -> Any:
    """A node whose operands are broadcast. Transposes of operands go behind it, where they may cancel."""
    shape, dtype = broadcast(*[x.shape for x in inputs]), dtype or inputs[0].dtype
    operands = list(inputs)
    for place, x in enumerate(operands):  # one number for an array filled with it, where the others have the shape
        filled, others = made_by(x, "ConstantOfShape"), operands[:place] + operands[place + 1 :]
        if filled is not None and broadcast(*[other.shape for other in others], ()) == shape:
            operands[place] = constant(filled.attributes["value"].reshape(()))
    turned = next((made for x in operands if (made := made_by(x, "Transpose")) and x.ndim == len(shape)), None)
    if turned is not None:
        order = turned.attributes["perm"]
        moved = [_turned_back(x, order) for x in operands]
        if None not in moved:
            inner = node(operator, moved, broadcast(*[x.shape for x in moved]), dtype, **attributes)
            return xp.permute_dims(inner, order)
    made = node(operator, operands, shape, dtype, **attributes)
    # what is computed from a size and numbers is such a number too
    made.weak = any(x.weak for x in operands) and all(x.weak or x.value is not None for x in operands)
    return made


def _turned_back(x: RecordedArray, order: tuple[int, ...]) -> Any:
    """What gives x when its axes are put in that order; None where that is not worth a node."""
    made = made_by(x, "Transpose")
    if made is not None and made.attributes["perm"] == order:
        return made.inputs[0]
    if x.value is not None:
        if x.size == 1:
            return x if x.ndim == 0 else constant(x.value.reshape(()), x.name)
        whole = x.value.reshape((*(1,) * (len(order) - x.ndim), *x.shape))
        back = np.transpose(whole, np.argsort(order))
        while back.shape[0] == 1:
            back = back[0]
        return constant(back, x.name)
    if x.ndim == len(order) and LAST_FROM_FIRST.get(len(order)) == order:
        return xp.permute_dims(x, np.argsort(order))  # from here on channels come first
    return None


def positive_axes(x: RecordedArray, axis: Any) -> tuple[int, ...]:
    """Axes as non-negative numbers in ascending order; None stands for all."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    for one in axes:
        if not -x.ndim <= one < x.ndim:
            raise ValueError(f"axis {one} is out of range for an array of shape {x.shape}")
    return tuple(sorted(one % x.ndim for one in axes))
