"""What arithmetic can be written with while a graph is described: symbols, and parameters of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from nnx.layers.symbol import Symbol


class Operand:
    """The operators, each of which makes a new symbol."""

    __slots__ = ()

    operate: ClassVar[Callable[..., Symbol]]
    """Makes the symbol of an operator's result; set by `nnx.layers.operators`."""

    activate: ClassVar[Callable[..., Symbol]]
    """Makes the symbol of an activation function's result; set there too."""

    __array_priority__ = 1000  # NumPy's arrays leave operators with a symbol to the symbol

    def describe_activation(self, function: Any, *arguments: Any, **options: Any) -> Symbol:
        """The symbol of `function(self, *arguments, **options)`; see `nnx.activations`."""
        return Operand.activate(function, self, *arguments, **options)

    def __add__(self, other: Any) -> Symbol:
        return Operand.operate("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return Operand.operate("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return Operand.operate("subtract", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return Operand.operate("subtract", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return Operand.operate("multiply", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return Operand.operate("multiply", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return Operand.operate("divide", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return Operand.operate("divide", other, self)

    def __matmul__(self, other: Any) -> Symbol:
        return Operand.operate("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Symbol:
        return Operand.operate("matmul", other, self)

    def __pow__(self, exponent: Any) -> Symbol:
        return Operand.operate("power", self, exponent)

    def __rpow__(self, base: Any) -> Symbol:
        return Operand.operate("power", base, self)

    def __neg__(self) -> Symbol:
        return Operand.operate("negative", self)

    def __getitem__(self, key: Any) -> Symbol:
        return Operand.operate("getitem", self, key)

    def __iter__(self) -> Iterator[Any]:  # without it, Python would try x[0], x[1], ... for ever
        raise TypeError(f"{self!r} cannot be looped over: take its parts by index, as in x[:, 0]")
