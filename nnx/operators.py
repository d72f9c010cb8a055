"""Arithmetic operators of what stands for an array while a graph is described: symbols, and parameters of layers."""

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
    return layer_registry.objects["Operation"].describe_function(name, arguments, options)


class Operand:
    """The operators, each of which makes a new symbol."""

    __slots__ = ()

    __array_priority__ = 1000  # NumPy's arrays leave operators with a symbol to the symbol

    def describe_activation(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """The symbol of `function(self, *arguments, **options)`; see `nnx.activations`."""
        return layer_registry.objects["ActivationWithOptions"].describe(function, self, *arguments, **options)

    def __add__(self, other: Any) -> Any:
        return describe_operation("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return describe_operation("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return describe_operation("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return describe_operation("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return describe_operation("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return describe_operation("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return describe_operation("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return describe_operation("divide", other, self)

    def __matmul__(self, other: Any) -> Any:
        return describe_operation("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return describe_operation("matmul", other, self)

    def __pow__(self, exponent: Any) -> Any:
        return describe_operation("power", self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return describe_operation("power", base, self)

    def __neg__(self) -> Any:
        return describe_operation("negative", self)

    def __getitem__(self, key: Any) -> Any:
        return describe_operation("getitem", self, key)

    def __iter__(self) -> Iterator[Any]:  # without it, Python would try x[0], x[1], ... for ever
        raise TypeError(f"{self!r} cannot be looped over: take its parts by index, as in x[:, 0]")
