"""The operators of symbolic values, as layers without parameters."""

from __future__ import annotations

import types
from typing import Any

from nnx.backends import Array
from nnx.functional import Pullback, arithmetic
from nnx.layers.base import Layer, registry
from nnx.layers.parameter import Parameter
from nnx.layers.shapes import Shape
from nnx.layers.symbol import Symbol


@registry.register()
class Operation(Layer):
    """What `a + b`, `2.0 * a`, `a @ b`, `a ** 2` and `a[:, 0]` make of symbolic values.

    operator : "add", "subtract", "multiply", "divide", "matmul", "power" or "getitem".
    constant : the operand that is a number, if one is; the key of "getitem".
    constant_first : whether the number is the left operand.
    """

    def __init__(self, operator: str, constant: Any = None, constant_first: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.named_by_user:
            self.name = operator
        self.operator = operator
        self.constant = constant
        self.constant_first = constant_first
        self._key = _read_key(constant) if operator == "getitem" else ()

    def forward(self, *inputs: Array, **options: Any) -> tuple[Array, Pullback]:
        if self.operator == "getitem":
            return arithmetic.getitem(inputs[0], self._key)
        function = getattr(arithmetic, self.operator)
        if self.constant is None:
            y, pullback = function(*inputs)
            return y, pullback
        pair = (self.constant, inputs[0]) if self.constant_first else (inputs[0], self.constant)
        y, pullback = function(*pair)
        return y, lambda dy: pullback(dy)[1 if self.constant_first else 0]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        if self.operator == "getitem":
            return _shape_of_item(input_shape, self._key, self.name)
        if self.constant is not None:
            return input_shape  # type: ignore[no-any-return]
        first, second = input_shape
        if self.operator == "matmul":
            if len(first) < 2 or len(second) < 2 or first[-1] != second[-2]:
                raise ValueError(f"{self.name}: cannot multiply matrices of shapes {first} and {second}")
            return (*broadcast_shapes(first[:-2], second[:-2], self.name), first[-2], second[-1])
        return broadcast_shapes(first, second, self.name)


def operate(operator: str, a: Any, b: Any) -> Symbol:
    """The symbol of an operator's result; at least one operand is a symbol, the other may be a number or parameter."""
    if operator == "getitem":
        return _call(Operation(operator, constant=_write_key(b)), a)
    if isinstance(a, Parameter | Symbol) and isinstance(b, Parameter | Symbol):
        return _call(Operation(operator), _symbol(a), _symbol(b))
    constant_first = not isinstance(a, Symbol)
    constant = a if constant_first else b
    if isinstance(constant, bool) or not isinstance(constant, int | float) or (operator == "power" and constant_first):
        raise TypeError(
            f"{operator} of a symbolic value takes a number, a parameter of a layer or another symbolic value, got "
            f"{type(constant).__name__}; an array of constants goes into a layer with its own forward"
        )
    return _call(Operation(operator, float(constant), constant_first), b if constant_first else a)


def _call(operation: Operation, *symbols: Symbol) -> Symbol:
    return operation(*symbols)  # type: ignore[no-any-return]


def _symbol(value: Parameter | Symbol) -> Symbol:
    return value if isinstance(value, Symbol) else Symbol(value.shape, parameter=value)


Symbol.operate = staticmethod(operate)


def broadcast_shapes(first: Shape, second: Shape, name: str) -> Shape:
    """The shape of an element-wise result; sizes that are not known stay None unless the other is known."""
    length = max(len(first), len(second))
    sizes: list[int | None] = []
    for one, other in zip((1,) * (length - len(first)) + first, (1,) * (length - len(second)) + second, strict=True):
        if one == 1 or one is None:
            sizes.append(other if one == 1 or other not in (1, None) else one)
        elif other in (1, None, one):
            sizes.append(one)
        else:
            raise ValueError(f"{name}: the shapes {first} and {second} do not fit together")
    return tuple(sizes)


def _write_key(key: Any) -> list[Any]:
    """An index as plain data: integers, "..." and "new", and slices as lists."""
    parts = key if isinstance(key, tuple) else (key,)
    written: list[Any] = []
    for part in parts:
        if isinstance(part, slice):
            written.append([part.start, part.stop, part.step])
        elif part is Ellipsis or part is None:
            written.append("..." if part is Ellipsis else "new")
        elif hasattr(part, "__index__") and not isinstance(part, bool):
            written.append(part.__index__())
        else:
            raise TypeError(f"a symbolic value is indexed by integers, slices, None and ..., got {part!r}")
    return written


def _read_key(written: list[Any]) -> tuple[int | slice | types.EllipsisType | None, ...]:
    special = {"...": Ellipsis, "new": None}
    return tuple(
        slice(*part) if isinstance(part, list | tuple) else special[part] if isinstance(part, str) else part
        for part in written
    )


def _shape_of_item(shape: Shape, key: tuple[Any, ...], name: str) -> Shape:
    """The shape of x[key], by the rules of Python's slices."""
    used = sum(part is not None and part is not Ellipsis for part in key)
    if used > len(shape):
        raise ValueError(f"{name}: {used} indices for a value of shape {shape}")
    if Ellipsis not in key:
        key = (*key, Ellipsis)
    place = key.index(Ellipsis)
    missing = len(shape) - used
    full = (*key[:place], *[slice(None)] * missing, *key[place + 1 :])
    sizes: list[int | None] = []
    axis = 0
    for part in full:
        if part is None:
            sizes.append(1)
            continue
        size = shape[axis]
        if isinstance(part, slice):
            whole = part == slice(None)
            sizes.append(size if whole else None if size is None else len(range(*part.indices(size))))
        elif size is not None and not -size <= part < size:
            raise ValueError(f"{name}: index {part} is out of range for axis {axis} of a value of shape {shape}")
        axis += 1
    return tuple(sizes)
