"""Symbols: values that are not computed yet, on which layers are called while a graph is described."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from nnx.backends import get_backend, is_array
from nnx.graph.layer_protocol import GraphLayer
from nnx.operators import Operand, describe_function, describe_operation
from nnx.parameters import Parameter
from nnx.shapes import Shape
from nnx.structure import leaves

ADVICE = (
    "a symbolic value stands for an array that is not there yet. Use layers, the functions of nnx.ops and "
    "nnx.activations, and operators; for anything else, such as a branch on a value, write a layer with call(self, x), "
    "ordinary array code that is run when there are arrays"
)


class Node:
    """One call of a layer: on which symbols, with which options, and the shapes of what comes out of it.

    options : may be symbols too, such as an attention mask, or lists and dicts with symbols in them; to these no
        cotangent flows.
    """

    __slots__ = ("__weakref__", "inputs", "layer", "options", "shapes")

    def __init__(
        self, layer: GraphLayer, inputs: tuple[Symbol, ...], options: dict[str, Any], shapes: Sequence[Shape]
    ) -> None:
        self.layer = layer
        self.inputs = inputs
        self.options = options
        self.shapes = shapes

    @property
    def symbolic_options(self) -> dict[str, Any]:
        """The options that are symbols, or lists and dicts with symbols in them."""
        return {name: value for name, value in self.options.items() if has_symbols(value)}

    @property
    def reads(self) -> tuple[Symbol, ...]:
        """All that the call depends on."""
        options = leaves(self.symbolic_options) if self.options else ()
        return (*self.inputs, *(part for part in options if isinstance(part, Symbol)))

    @property
    def outputs(self) -> tuple[Symbol, ...]:
        """A symbol for each output. Made anew: a node that kept them would be in a cycle with them."""
        return tuple(Symbol(shape, self, index) for index, shape in enumerate(self.shapes))


class Symbol(Operand):
    """The place of an array in a graph.

    shape : with the batch axis; None for sizes that are not known.
    node, index : the call that it comes from, and which of its outputs it is; None for a parameter.
    parameter : what it stands for, if it is a parameter of a layer.

    Layers, the functions of `nnx.ops` and operators make new symbols from it. What would need its values, such as an
    `if`, a loop over it or a function of NumPy, raises a TypeError that says what to do instead.

    >>> from nnx.layers import Dense, Input
    >>> x = Input(shape=(4,))
    >>> Dense(3)(x) / 2.0
    <Symbol (None, 3) from true_divide>
    """

    __slots__ = ("index", "node", "parameter", "shape")

    def __init__(
        self, shape: Shape, node: Node | None = None, index: int = 0, parameter: Parameter | None = None
    ) -> None:
        self.shape = shape
        self.node = node
        self.index = index
        self.parameter = parameter

    @property
    def key(self) -> Any:
        """Equal for symbols of the same value."""
        if self.node is not None:
            return self.node, self.index
        return self if self.parameter is None else self.parameter

    @property
    def name(self) -> str:
        """The name of the layer that it comes from, for an input that of the input; for a parameter its path."""
        if self.node is not None:
            return self.node.layer.name
        return "the caller" if self.parameter is None else self.parameter.path

    def __repr__(self) -> str:
        return f"<Symbol {self.shape} from {self.name}>"

    @property
    def ndim(self) -> int:
        """The number of axes, that of the batch included."""
        return len(self.shape)

    @property
    def dtype(self) -> str:
        """The name of the dtype that its array will have, as far as that is known before there is one."""
        if self.parameter is not None:
            return self.parameter.dtype
        if self.node is None:
            return get_backend().dtype
        layer = self.node.layer
        own = getattr(layer, "output_dtypes", None)
        return own[self.index] if own else layer.dtype or layer.placement.dtype

    # What needs values

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(f"{what} of {self!r}: {ADVICE}")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Symbol:
        name, symbol = ufunc.__name__, None
        if method == "__call__" and not kwargs:  # an array or a number of NumPy's on the left of an operator
            if name in ("add", "subtract", "multiply", "divide", "matmul", "power"):
                symbol = describe_operation(name, *inputs)
            elif name in _FUNCTIONS:
                symbol = describe_function(_FUNCTIONS[name], inputs, {})
        return symbol if isinstance(symbol, Symbol) else self._refuse(f"numpy.{name}")

    def __array_function__(self, function: Any, *arguments: Any) -> NoReturn:
        self._refuse(f"numpy.{function.__name__}")

    def __array__(self, *arguments: Any, **kwargs: Any) -> NoReturn:
        self._refuse("the values")

    def __array_namespace__(self, **kwargs: Any) -> NoReturn:
        self._refuse("array functions")

    def __bool__(self) -> NoReturn:
        self._refuse("the truth")

    def __float__(self) -> NoReturn:
        self._refuse("the value")

    __int__ = __float__

    def __iter__(self) -> Iterator[Any]:
        self._refuse("the elements")

    def __contains__(self, value: Any) -> bool:
        self._refuse("the elements")

    def __setitem__(self, key: Any, value: Any) -> None:
        self._refuse("assignment to elements")

    def __len__(self) -> int:
        self._refuse("the length")

    def __abs__(self) -> Any:
        return describe_function("absolute", (self,), {})

    def __lt__(self, other: Any) -> Any:
        return describe_function("less", (self, other), {})

    def __le__(self, other: Any) -> Any:
        return describe_function("less_equal", (self, other), {})

    def __gt__(self, other: Any) -> Any:
        return describe_function("greater", (self, other), {})

    def __ge__(self, other: Any) -> Any:
        return describe_function("greater_equal", (self, other), {})

    def __floordiv__(self, other: Any) -> Any:
        return describe_function("floor_divide", (self, other), {})

    def __rfloordiv__(self, other: Any) -> Any:
        return describe_function("floor_divide", (other, self), {})

    def __mod__(self, other: Any) -> Any:
        return describe_function("mod", (self, other), {})

    def __rmod__(self, other: Any) -> Any:
        return describe_function("mod", (other, self), {})

    def __invert__(self) -> Any:
        return describe_function("logical_not", (self,), {})

    def __and__(self, other: Any) -> Any:
        return describe_function("logical_and", (self, other), {})

    def __rand__(self, other: Any) -> Any:
        return describe_function("logical_and", (other, self), {})

    def __or__(self, other: Any) -> Any:
        return describe_function("logical_or", (self, other), {})

    def __ror__(self, other: Any) -> Any:
        return describe_function("logical_or", (other, self), {})

    def __xor__(self, other: Any) -> Any:
        return describe_function("logical_xor", (self, other), {})

    def __rxor__(self, other: Any) -> Any:
        return describe_function("logical_xor", (other, self), {})

    def __ne__(self, other: object) -> Any:
        if isinstance(other, Symbol | int | float) or is_array(other):
            return describe_function("not_equal", (self, other), {})
        return True

    def __eq__(self, other: object) -> bool:
        if other is not self and (isinstance(other, Symbol | int | float) or is_array(other)):
            self._refuse("a comparison")
        return other is self

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or name in Symbol.__slots__:
            raise AttributeError(name)
        raise AttributeError(f"{self!r} has no {name!r}: {ADVICE}")


_FUNCTIONS = {
    **{f"bitwise_{name}": f"logical_{name}" for name in ("and", "or", "xor")},
    **{name: name for name in ("greater", "greater_equal", "less", "less_equal", "not_equal", "floor_divide")},
    "remainder": "mod",
}
"""The functions of `nnx.ops` that operators of NumPy's arrays are, by the names of its ufuncs."""


def has_symbols(value: Any) -> bool:
    """Whether a value is a symbol, or a list or dict with a symbol in it."""
    return any(isinstance(part, Symbol) for part in leaves(value))
