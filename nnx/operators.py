"""Arithmetic operators of what stands for an array in expressions: symbols of a graph, and parameters of layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnx.registry import layer_registry


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
