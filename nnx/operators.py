"""Arithmetic operators of what stands for an array in expressions: symbols of a graph, and parameters of layers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from nnx.registry import layer_registry
from nnx.structure import leaves, rebuild


def describe_operation(operator: str, *operands: Any) -> Any:
    """The symbol of an operator's result; one operand is a symbol or a parameter, the other one too, or a number.

    operator : "add", "subtract", "multiply", "divide", "matmul", "power", "negative" or "getitem".
    """
    return layer_registry.objects["Operation"].describe(operator, *operands)


def describe_function(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The symbol of what an operation of `nnx.ops` returns, of arguments some of which are symbols."""
    return layer_registry.objects["FunctionCall"].describe(name, arguments, options)


class Operand:
    """The operators. By default each makes a new symbol."""

    __slots__ = ()

    __array_priority__ = 1000  # NumPy's arrays leave operators with a symbol to the symbol

    def in_array_code(self) -> Any:
        """What stands for it among arrays; itself, of a symbol."""
        return self

    def describe_activation(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """The symbol of `function(self, *arguments, **options)`; see `nnx.activations`."""
        return layer_registry.objects["ActivationWithOptions"].describe(function, self, *arguments, **options)

    @staticmethod
    def operate(operator: str, *operands: Any) -> Any:
        """The result of an operator, of which one operand is of this class."""
        return describe_operation(operator, *operands)

    def __add__(self, other: Any) -> Any:
        return self.operate("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.operate("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self.operate("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.operate("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self.operate("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.operate("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.operate("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.operate("divide", other, self)

    def __matmul__(self, other: Any) -> Any:
        return self.operate("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self.operate("matmul", other, self)

    def __pow__(self, exponent: Any) -> Any:
        return self.operate("power", self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return self.operate("power", base, self)

    def __neg__(self) -> Any:
        return self.operate("negative", self)

    def __getitem__(self, key: Any) -> Any:
        return self.operate("getitem", self, key)

    def __iter__(self) -> Iterator[Any]:  # without it, Python would try x[0], x[1], ... for ever
        raise TypeError(f"{self!r} cannot be looped over: take its parts by index, as in x[:, 0]")


class ArrayHolder(Operand):
    """What holds an array and stands for it in array code: a parameter of a layer, a variable of a metric."""

    __slots__ = ()

    @staticmethod
    def operate(operator: str, *operands: Any) -> Any:
        values = [operand.in_array_code() if isinstance(operand, Operand) else operand for operand in operands]
        if any(isinstance(value, Operand) for value in values):
            return describe_operation(operator, *operands)
        return _OPERATORS[operator](*values)

    def describe_activation(self, function: Any, *arguments: Any, **options: Any) -> Any:
        return function(self.in_array_code(), *arguments, **options)[0]

    def __abs__(self) -> Any:
        return abs(self.in_array_code())

    def __len__(self) -> int:
        return int(self.in_array_code().shape[0])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.in_array_code())

    def __float__(self) -> float:
        return float(self.in_array_code())

    def __int__(self) -> int:
        return int(self.in_array_code())

    def __bool__(self) -> bool:
        return bool(self.in_array_code())

    def __lt__(self, other: Any) -> Any:
        return self.in_array_code() < _in_array_code(other)

    def __le__(self, other: Any) -> Any:
        return self.in_array_code() <= _in_array_code(other)

    def __gt__(self, other: Any) -> Any:
        return self.in_array_code() > _in_array_code(other)

    def __ge__(self, other: Any) -> Any:
        return self.in_array_code() >= _in_array_code(other)

    def __floordiv__(self, other: Any) -> Any:
        return self.in_array_code() // _in_array_code(other)

    def __rfloordiv__(self, other: Any) -> Any:
        return other // self.in_array_code()

    def __mod__(self, other: Any) -> Any:
        return self.in_array_code() % _in_array_code(other)

    def __rmod__(self, other: Any) -> Any:
        return other % self.in_array_code()

    def __invert__(self) -> Any:
        return ~self.in_array_code()

    def __and__(self, other: Any) -> Any:
        return self.in_array_code() & _in_array_code(other)

    def __rand__(self, other: Any) -> Any:
        return other & self.in_array_code()

    def __or__(self, other: Any) -> Any:
        return self.in_array_code() | _in_array_code(other)

    def __ror__(self, other: Any) -> Any:
        return other | self.in_array_code()

    def __xor__(self, other: Any) -> Any:
        return self.in_array_code() ^ _in_array_code(other)

    def __rxor__(self, other: Any) -> Any:
        return other ^ self.in_array_code()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*map(_in_array_code, inputs), **options)

    def __array_function__(self, function: Any, kinds: Any, arguments: Any, options: Any) -> Any:
        arguments = rebuild(list(arguments), [_in_array_code(part) for part in leaves(list(arguments))])
        return function(*arguments, **{name: _in_array_code(value) for name, value in options.items()})


def _in_array_code(value: Any) -> Any:
    return value.in_array_code() if isinstance(value, Operand) else value


_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "matmul": operator.matmul,
    "power": operator.pow,
    "negative": operator.neg,
    "getitem": operator.getitem,
}
