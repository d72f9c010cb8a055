"""Recorded arrays: arrays that are not computed but remembered, as what nodes of an ONNX graph make."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np


class Node:
    """A node of an ONNX graph.

    operator : its name in ONNX, such as "MatMul", behind its domain if it has one. outputs : how many arrays it makes.
    attributes : by their names in ONNX: numbers, strings, arrays of NumPy, tuples, or a `Body`.
    """

    __slots__ = ("_inputs", "attributes", "operator", "outputs")

    def __init__(
        self, operator: str, inputs: Sequence[RecordedArray | None], outputs: int, attributes: dict[str, Any]
    ) -> None:
        self.operator = operator
        self._inputs = [None if x is None else x.copy() for x in inputs]
        self.outputs = outputs
        self.attributes = attributes

    @property
    def inputs(self) -> list[Any]:
        """What it takes: recorded arrays, and None for one that is left out. Writing into them changes nothing here."""
        return [None if x is None else x.copy() for x in self._inputs]


class Body:
    """A graph inside a node, such as one step of a loop.

    inputs : made by `leaf`. outputs : what is computed from them, and from arrays outside.
    """

    def __init__(self, inputs: Sequence[RecordedArray], outputs: Sequence[RecordedArray]) -> None:
        self.inputs = list(inputs)
        self.outputs = list(outputs)


class RecordedArray:
    """An array of a graph: a constant, an input, or what a node makes.

    It has the attributes and operators of the Array API standard. Its values are not known before the graph runs, so
    that `if x > 0`, `float(x)` and functions of NumPy raise a TypeError, unless it is a constant. `x[key] = value`
    makes `x` a new array.

    shape : integers, and a `Size` for each that is open. dtype : of NumPy.
    node, index : the node that makes it, and as which of its outputs, else None. value : of a constant, an array of
        NumPy, else None.
    name : in the file, if it has one: of inputs, and of constants that are parameters. See `leaf` too.
    weak : whether it takes the dtype of what it is computed with, as a number of Python does.
    """

    __slots__ = ("dtype", "index", "name", "node", "shape", "value", "weak")

    __array_ufunc__ = None
    __hash__ = object.__hash__

    xp: ClassVar[Any]
    """The namespace of functions that record; see `nnx.onnx.namespace`."""
    backend: ClassVar[Any]
    """The backend of these arrays; see `nnx.onnx.backend`."""

    device = "onnx"

    def __init__(
        self,
        shape: Sequence[Any],
        dtype: Any,
        *,
        node: Node | None = None,
        index: int = 0,
        value: Any = None,
        name: Any = None,
    ) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.node = node
        self.index = index
        self.value = value
        self.name = name
        self.weak = False

    @property
    def key(self) -> Any:
        """Equal for the same array of the graph."""
        if self.node is not None:
            return self.node, self.index
        return self.name if self.value is None else id(self.value)

    def copy(self) -> RecordedArray:
        """The same array of the graph as another object: x[key] = value gives an object another array."""
        same = RecordedArray(self.shape, self.dtype, node=self.node, index=self.index, value=self.value, name=self.name)
        same.weak = self.weak
        return same

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return self.xp

    def __repr__(self) -> str:
        kind = "input" if self.node is None else self.node.operator
        return f"<{kind if self.value is None else 'constant'} of shape {self.shape}, {self.dtype}>"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Any:
        """The number of elements; a `Size` if it is open."""
        return math.prod(self.shape)

    @property
    def T(self) -> Any:  # noqa: N802, the standard's name
        """The transpose of a matrix."""
        return self.xp.matrix_transpose(self)

    @property
    def mT(self) -> Any:  # noqa: N802, the standard's name
        """The transpose of the last two axes."""
        return self.xp.matrix_transpose(self)

    def to_device(self, device: Any, /, *, stream: Any = None) -> RecordedArray:
        """Itself: a graph is on no device."""
        return self

    def __len__(self) -> int:
        return operator.index(self.shape[0])  # an open size says what to do

    def __iter__(self) -> Iterator[Any]:
        return (self[position, ...] for position in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.weak:
            raise TypeError(
                "a size that is open in the exported graph is asked for as a number: give that axis of the input a "
                "fixed size, as in Input(shape=(10, 3))"
            )
        if self.value is None:
            raise TypeError(
                "the value of an array is asked for (an if, a loop, float(x), or a function of NumPy), and in an "
                "exported graph it is not known: compute with nnx.ops or nnx.array_namespace(x), and choose with where"
            )
        return np.asarray(self.value, dtype)

    def __bool__(self) -> bool:
        return bool(self.__array__())

    def __float__(self) -> float:
        return float(self.__array__())

    def __int__(self) -> int:
        return int(self.__array__())

    def __index__(self) -> int:
        return operator.index(self.__array__().item())

    def __getitem__(self, key: Any) -> Any:
        return self.xp.get_item(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        made = self.xp.set_item(self, key, value)
        self.node, self.index, self.value, self.name = made.node, made.index, made.value, None


_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
_SIGNS = {"neg": "negative", "pos": "positive", "abs": "abs", "invert": "bitwise_invert"}


def give_operators(xp: Any, is_operand: Callable[[Any], bool]) -> None:
    """Give recorded arrays their namespace, and the operators that are functions of it.

    is_operand : whether they are computed with a value; if not, its own class may know how to.
    """
    RecordedArray.xp = xp

    def of_two(name: str, swapped: bool = False) -> Callable[[Any, Any], Any]:
        def function(a: Any, b: Any) -> Any:
            if not isinstance(b, RecordedArray) and not is_operand(b):
                return NotImplemented
            return getattr(xp, name)(b, a) if swapped else getattr(xp, name)(a, b)

        return function

    for name, function in _OPERATORS.items():
        setattr(RecordedArray, f"__{name}__", of_two(function))
        setattr(RecordedArray, f"__r{name}__", of_two(function, swapped=True))
    for name, function in _COMPARISONS.items():
        setattr(RecordedArray, f"__{name}__", of_two(function))
    for name, function in _SIGNS.items():
        setattr(RecordedArray, f"__{name}__", lambda a, function=function: getattr(xp, function)(a))


def constant(value: Any, name: str | None = None, dtype: Any = None) -> RecordedArray:
    """An array whose values are known."""
    host = np.asarray(value, dtype)
    return RecordedArray(host.shape, host.dtype, value=host, name=name)


def leaf(name: str, shape: Sequence[Any], dtype: Any) -> RecordedArray:
    """An input of a body, which is no other array, whatever their names."""
    return RecordedArray(shape, dtype, name=(name, object()))


def integers(*values: int) -> RecordedArray:
    """A constant vector of integers, as nodes take axes and sizes."""
    return constant(values, dtype=np.int64)


def node(operator: str, inputs: Sequence[RecordedArray | None], shape: Any, dtype: Any, **attributes: Any) -> Any:
    """The array that a node of one output makes."""
    return nodes(operator, inputs, [(shape, dtype)], **attributes)[0]


def nodes(operator: str, inputs: Sequence[Any], results: Sequence[Any], **attributes: Any) -> list[RecordedArray]:
    """The arrays that a node of several outputs makes. results : (shape, dtype) of each."""
    made = Node(operator, inputs, len(results), attributes)
    return [RecordedArray(shape, dtype, node=made, index=i) for i, (shape, dtype) in enumerate(results)]


def made_by(x: RecordedArray, operator: str) -> Node | None:
    """The node that makes an array, if it is one of that operator."""
    return x.node if x.node is not None and x.node.operator == operator else None


def is_open(value: Any) -> bool:
    """Whether a value, or one of those in lists and tuples, is an array that is not known."""
    if isinstance(value, list | tuple):
        return any(map(is_open, value))
    return isinstance(value, RecordedArray) and value.value is None
