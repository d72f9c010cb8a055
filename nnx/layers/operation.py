"""Operations on symbolic values, and activation functions of them, as layers without parameters."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from nnx.arguments import is_integer, is_number
from nnx.backends import Array, is_array
from nnx.functional import Pullback, arithmetic
from nnx.graph.program import as_masks
from nnx.graph.symbol import ADVICE, Symbol
from nnx.layers.activation import Activated, Activation
from nnx.layers.layer import Layer, registry
from nnx.names import snake_case
from nnx.operators import describe_function
from nnx.parameters import Parameter
from nnx.shapes import Shape, as_shapes, broadcast_shapes

KINDS = {
    "add": "Add",
    "subtract": "Subtract",
    "multiply": "Multiply",
    "divide": "TrueDivide",
    "matmul": "Matmul",
    "power": "Power",
    "negative": "Negative",
    "getitem": "GetItem",
}
"""The operators, and what a summary calls them."""


@registry.register()
class Operation(Layer):
    """Operation on symbolic values: what `a + b`, `2.0 * a`, `a @ b`, `a ** 2`, `-a` and `a[:, 0]` make of them.

    operator : "add", "subtract", "multiply", "divide", "matmul", "power", "negative" or "getitem".
    constant : the operand that is a number, if one is; the key of "getitem".
    constant_first : whether the number is the left operand.

    The shape of the output is that of the operator by the rules of NumPy; "matmul" takes matrices, or stacks of them.
    ValueError for shapes that do not go together.

    >>> from nnx.layers import Input
    >>> x = Input(shape=(2,))
    >>> 2.0 * x[:, :1] + x
    <Symbol (None, 2) from add>
    """

    converts_inputs = False

    def __init__(self, operator: str, constant: Any = None, constant_first: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shown_as = KINDS[operator]
        if not self.named_by_user:
            self.name = snake_case(self.shown_as)
        self.operator = operator
        self.constant = constant
        self.constant_first = constant_first
        self._key = _read_key(constant) if operator == "getitem" else ()
        if Ellipsis not in self._key:
            self._key = (*self._key, Ellipsis)  # the standard wants an index for every axis

    @property
    def is_sum(self) -> bool:
        return self.operator == "add" and self.constant is None

    @property
    def keeps_rows_apart(self) -> bool:
        shapes = as_shapes(self.build_shape)
        if self.operator == "getitem":
            return _key_of_axes(self._key, len(shapes[0]))[:1] == (slice(None),)
        if self.operator == "matmul":
            batched = [shape[0] is None for shape in shapes]
            return batched == [True, False] or (all(batched) and {len(shape) for shape in shapes} == {3})
        return are_beside_each_other(shapes)

    @staticmethod
    def describe(operator: str, *operands: Any) -> Symbol:
        """The symbol of an operator's result. One operand is a symbol or a parameter, the other one too or a number."""
        return _describe_operation(operator, operands)

    def forward(self, *inputs: Array, training: bool = False) -> tuple[Array, Pullback]:
        if self.operator == "getitem":
            return arithmetic.getitem(inputs[0], self._key)
        function = getattr(arithmetic, self.operator)
        if self.constant is None:
            y, pullback = function(*inputs)
            return y, pullback
        pair = (self.constant, inputs[0]) if self.constant_first else (inputs[0], self.constant)
        y, pullback = function(*pair)
        return y, lambda dy: pullback(dy)[1 if self.constant_first else 0]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The first operand's that has one, of a matrix product the left one's; of x[key] that of the steps it leaves.

        None where the key takes time away, as in x[:, -1]; with a warning, where it moves it, as in x[:, None].
        """
        if self.operator == "getitem":
            key = _key_of_axes(self._key, len(inputs.shape))[: len(mask.shape)]
            if any(part is None for part in key):
                return self.lost_mask(mask)
            return mask[key] if all(isinstance(part, slice) for part in key) else None
        masks = as_masks(mask)
        return masks[0] if self.operator == "matmul" else next((one for one in masks if one is not None), None)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        if self.operator == "getitem":
            return _shape_of_item(input_shape, self._key, self.name)
        if self.constant is not None or self.operator == "negative":
            return input_shape  # type: ignore[no-any-return]
        first, second = input_shape
        if self.operator == "matmul":
            if len(first) < 2 or len(second) < 2 or first[-1] != second[-2]:
                raise ValueError(f"{self.name}: cannot multiply matrices of shapes {first} and {second}")
            return (*broadcast_shapes(first[:-2], second[:-2], self.name), first[-2], second[-1])
        lower, higher = sorted((first, second), key=len)
        if lower and lower[0] is None and len(lower) < len(higher):  # the batch axis, against another one
            raise ValueError(
                f"{self.name}: the shapes {first} and {second} have their batch axes in different places: give the "
                f"lower one new axes after the batch, as in x[:, None]"
            )
        return broadcast_shapes(first, second, self.name)


@registry.register()
class ActivationWithOptions(Activated):
    """What an activation function with further arguments, as in `leaky_relu(x, 0.1)`, makes of a symbolic value.

    activation : the function, or its name. options : its further arguments by name.
    """

    converts_inputs = False

    def __init__(self, activation: Any, options: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_activation(activation)
        self.options = dict(options)
        self.activate = functools.partial(self.activate, **self.options)

    @staticmethod
    def describe(function: Any, operand: Any, *arguments: Any, **options: Any) -> Symbol:
        """The symbol of an activation function's result; its further arguments are bound by their names."""
        return _describe_activation(function, operand, *arguments, **options)


def are_beside_each_other(shapes: Sequence[Shape]) -> bool:
    """Whether an operation on elements of arrays of these shapes, which NumPy broadcasts, puts rows beside rows.

    Arrays without a batch axis have a shape that is known; they are the same for all rows where they lack that axis.
    """
    most = max(map(len, shapes))
    return all(shape[0] is None if len(shape) == most else None not in shape[:1] for shape in shapes if shape)


def _describe_operation(operator: str, operands: tuple[Any, ...]) -> Symbol:
    symbols = [_symbol(operand) for operand in operands if isinstance(operand, Parameter | Symbol)]
    if operator == "getitem":
        return _call(Operation(operator, constant=_write_key(operands[1])), symbols)
    if len(symbols) == len(operands) and operator != "power":
        return _call(Operation(operator), symbols)
    constant_first = not isinstance(operands[0], Parameter | Symbol)
    constant = operands[0] if constant_first else operands[1]
    if not is_number(constant) or (operator == "power" and constant_first):
        if not isinstance(constant, Parameter | Symbol | int | float | complex) and not is_array(constant):
            raise TypeError(
                f"{operator} of a symbolic value takes a number, an array, a parameter of a layer or another symbolic "
                f"value, got {type(constant).__name__}"
            )
        return describe_function(operator, operands, {})  # type: ignore[no-any-return]
    number = constant.__index__() if isinstance(constant, Integral) else float(constant)
    return _call(Operation(operator, number, constant_first), symbols)  # an integer leaves indices integers


def _call(operation: Operation, symbols: list[Symbol]) -> Symbol:
    return operation(*symbols)  # type: ignore[no-any-return]


def _symbol(value: Parameter | Symbol) -> Symbol:
    return value if isinstance(value, Symbol) else Symbol(value.shape, parameter=value)


def _describe_activation(function: Any, operand: Any, *arguments: Any, **options: Any) -> Symbol:
    bound = inspect.signature(function).bind(operand, *arguments, **options).arguments
    named = dict(list(bound.items())[1:])
    layer = ActivationWithOptions(function, named) if named else Activation(function)
    return layer(_symbol(operand))  # type: ignore[no-any-return]


def _write_key(key: Any) -> list[Any]:
    """An index as plain data: integers, "..." and "new", and slices as lists."""
    parts = key if isinstance(key, tuple) else (key,)
    written: list[Any] = []
    for part in parts:
        if isinstance(part, slice):
            written.append([_integer(bound) for bound in (part.start, part.stop, part.step)])
        elif part is Ellipsis or part is None:
            written.append("..." if part is Ellipsis else "new")
        else:
            written.append(_integer(part))
    return written


def _integer(part: Any) -> int | None:
    if part is None:
        return None
    if not is_integer(part):
        raise TypeError(f"a symbolic value is indexed by integers, slices, None and ..., got {part!r}: {ADVICE}")
    return part.__index__()


def _read_key(written: list[Any]) -> tuple[int | slice | types.EllipsisType | None, ...]:
    special = {"...": Ellipsis, "new": None}
    return tuple(
        slice(*part) if isinstance(part, list | tuple) else special[part] if isinstance(part, str) else part
        for part in written
    )


def _shape_of_item(shape: Shape, key: tuple[Any, ...], name: str) -> Shape:
    """The shape of x[key], by the rules of Python's slices."""
    used = _count_axes(key)
    if used > len(shape):
        raise ValueError(f"{name}: {used} indices for a value of shape {shape}")
    sizes: list[int | None] = []
    axis = 0
    for part in _key_of_axes(key, len(shape)):
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


def _count_axes(key: tuple[Any, ...]) -> int:
    return sum(part is not None and part is not Ellipsis for part in key)


def _key_of_axes(key: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """The key with a part for every axis, in place of "..."."""
    place = key.index(Ellipsis)
    return (*key[:place], *[slice(None)] * (rank - _count_axes(key)), *key[place + 1 :])
