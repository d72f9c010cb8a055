"""Values that are not computed yet: what layers are called on while a graph is described."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from nnx.layers.parameter import Parameter
from nnx.layers.shapes import Shape

if TYPE_CHECKING:
    from nnx.layers.base import Layer

_ADVICE = (
    "a symbolic value stands for an array that is not there yet. Compose layers, the functions of nnx.layers (add, "
    "concatenate, ...) and the operators + - * / ** @; for anything else write a layer with forward(self, x, *, "
    "training=False) that returns (y, pullback), or nnx.layers.Lambda with a pullback"
)


class Node:
    """One call of a layer: on which symbols, with which options, and the shapes of what comes out of it."""

    __slots__ = ("__weakref__", "inputs", "layer", "options", "shapes")

    def __init__(
        self, layer: Layer, inputs: tuple[Symbol, ...], options: dict[str, Any], shapes: Sequence[Shape]
    ) -> None:
        self.layer = layer
        self.inputs = inputs
        self.options = options
        self.shapes = shapes

    @property
    def outputs(self) -> tuple[Symbol, ...]:
        """A symbol for each output. Made anew: a node that kept them would be in a cycle with them."""
        return tuple(Symbol(shape, self, index) for index, shape in enumerate(self.shapes))


class Symbol:
    """The place of an array in a graph.

    shape : with the batch axis; None for sizes that are not known.
    node, index : the call that it comes from, and which of its outputs it is; None for a parameter.
    parameter : what it stands for, if it is a parameter of a layer.

    Layers, the merging functions and arithmetic operators make new symbols from it. What would need its values, such as
    an `if`, a loop over it or a function of NumPy, raises a TypeError that says what to do instead.
    """

    __slots__ = ("index", "node", "parameter", "shape")

    operate: ClassVar[Callable[..., Symbol]]
    """Makes the symbol of an operator's result; set by `nnx.layers.operators`."""

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
        return self if self.node is None else (self.node, self.index)

    def __repr__(self) -> str:
        source = self.node.layer.name if self.node else self.parameter.path if self.parameter else "the caller"
        return f"<Symbol {self.shape} from {source}>"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    # Arithmetic

    def __add__(self, other: Any) -> Symbol:
        return Symbol.operate("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return Symbol.operate("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return Symbol.operate("subtract", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return Symbol.operate("subtract", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return Symbol.operate("multiply", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return Symbol.operate("multiply", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return Symbol.operate("divide", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return Symbol.operate("divide", other, self)

    def __matmul__(self, other: Any) -> Symbol:
        return Symbol.operate("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Symbol:
        return Symbol.operate("matmul", other, self)

    def __pow__(self, exponent: Any) -> Symbol:
        return Symbol.operate("power", self, exponent)

    def __neg__(self) -> Symbol:
        return Symbol.operate("multiply", self, -1.0)

    # What needs values

    __array_priority__ = 1000  # NumPy's arrays leave operators with a symbol to the symbol

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(f"{what} of {self!r}: {_ADVICE}")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> NoReturn:
        self._refuse(f"numpy.{ufunc.__name__}")

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

    def __int__(self) -> NoReturn:
        self._refuse("the value")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("the elements")

    def __len__(self) -> int:
        self._refuse("the length")

    def __getitem__(self, key: Any) -> Symbol:
        return Symbol.operate("getitem", self, key)


class _TrainingFlag:
    """What `call(self, x, training)` is traced with: to be handed on to layers, which learn it when they run."""

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "call() branches on `training`, but it is traced once for training and inference: hand `training` on to "
            "the layers that need it, or write forward(self, x, *, training=False), which returns (y, pullback)"
        )

    def __repr__(self) -> str:
        return "training"


TRAINING = _TrainingFlag()
