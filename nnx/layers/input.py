"""Input of a model: its shape and dtype."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from nnx.arguments import refuse
from nnx.backends import Array
from nnx.functional import Pullback, linear
from nnx.graph.symbol import Node, Symbol
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape, check_shape


@registry.register()
class InputLayer(Layer):
    """The shape and dtype of a model's input. Computes nothing, and is not among `model.layers`.

    shape : of one sample, without the batch axis; None for a size that may change.
    batch_size : a fixed batch size; any by default.
    dtype : what input data is converted to before it comes to the device, such as "uint8" for images; by default the
        model's floating dtype, in which all layers compute that do not take integers. "string" for texts, which stay
        on the host, for layers that compute there.
    batch_shape : the shape with the batch axis, in place of `shape` and `batch_size`.
    optional : whether None may be given in the place of the input, in a list or a dict of several: `model([x, None])`.
        A layer of one's own with a `call` that reads it gets None then. Graphs are described as if it were given.
    sparse, ragged, input_tensor : as by default; ValueError, which says what to write, for anything else.

    ValueError without a shape, and for `batch_shape` beside `shape` or `batch_size`.

    A model that adds y, where there is one:

    >>> import nnx
    >>> class Sum(nnx.layers.Layer):
    ...     def call(self, x, y=None):
    ...         return x if y is None else x + y
    >>> x, y = Input((2,)), Input((2,), optional=True)
    >>> model = nnx.Model([x, y], Sum()(x, y))
    >>> ones = nnx.ops.ones((1, 2))
    >>> model([ones, ones]), model([ones, None])
    (array([[2., 2.]], dtype=float32), array([[1., 1.]], dtype=float32))

    >>> InputLayer(shape=(28, 28, 1)).batch_input_shape
    (None, 28, 28, 1)
    """

    def __init__(
        self,
        shape: Sequence[int | None] | int | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse("Input", sparse=sparse, ragged=ragged, tensor=input_tensor)
        if batch_shape is not None:
            if shape is not None or batch_size is not None:
                raise ValueError("Input takes either batch_shape, or shape and batch_size")
            sizes = check_shape(batch_shape, "batch_shape of Input")
            if not sizes:
                raise ValueError("batch_shape of Input needs the size of the batch, such as (None,), got ()")
            batch_size, *shape = sizes
        if isinstance(shape, int) and isinstance(dtype, int):
            raise TypeError(f"Input takes the shape as one tuple: write Input(({shape}, {batch_size}, {dtype}))")
        if isinstance(shape, int):
            shape = (shape,)
        if shape is not None:
            kwargs["batch_input_shape"] = (batch_size, *check_shape(shape, "shape of Input"))
        super().__init__(name=name, dtype=None if dtype == "string" else dtype, **kwargs)
        self.dtype = "string" if dtype == "string" else self.dtype
        if self.batch_input_shape is None:
            raise ValueError("Input needs the shape of one sample, such as Input(shape=(784,))")
        self.optional = bool(optional)
        self.batch_size = self.batch_input_shape[0]
        self.shape = self.batch_input_shape[1:]

    @property
    def batch_shape(self) -> Shape | None:
        """The shape with the batch axis; its size is None where it is open."""
        return self.batch_input_shape

    def symbol(self) -> Symbol:
        """A symbol of this shape, for a graph to begin with."""
        self.build(self.batch_input_shape)
        node = Node(self, (), {}, [self.batch_input_shape or ()])
        self._first_call = weakref.ref(node)
        return node.outputs[0]

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return linear(x)

    def get_config(self) -> dict[str, Any]:
        config = {"shape": list(self.shape), "batch_size": self.batch_size, "dtype": self.dtype, "name": self.name}
        return {**config, "optional": True} if self.optional else config


def input_layer_of(symbol: Symbol) -> InputLayer:
    """The Input that a symbol comes from, or one like it for a value in the middle of a graph."""
    if symbol.node is not None and isinstance(symbol.node.layer, InputLayer):
        return symbol.node.layer
    return InputLayer(shape=symbol.shape[1:], batch_size=symbol.shape[0])


def _require_of(symbol: Symbol, **given: Any) -> None:
    sizes = symbol.shape
    known = {"shape": sizes[1:], "batch_size": sizes[0], "dtype": symbol.dtype, "batch_shape": sizes}
    for name, value in given.items():
        value = tuple(value) if isinstance(value, list | tuple) else value
        if value is not None and value != known[name]:
            raise ValueError(f"Input: {name}={value!r}, but that of tensor={symbol!r} is {known[name]!r}: leave it out")


def Input(  # noqa: N802, the name that Keras gave it
    shape: Sequence[int | None] | int | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Symbol:
    """The symbolic input of a graph, or the first entry of a Sequential. Arguments as for `InputLayer`.

    tensor : a symbol, which is returned as it is; ValueError where the other arguments say something else of it.

    >>> Input(shape=(784,))
    <Symbol (None, 784) from input_layer>
    """
    if isinstance(tensor, Symbol):
        shape = (shape,) if isinstance(shape, int) else shape
        _require_of(tensor, shape=shape, batch_size=batch_size, dtype=dtype, batch_shape=batch_shape)
        return tensor
    refuse("Input", sparse=sparse, ragged=ragged, tensor=tensor)
    return InputLayer(shape, batch_size, dtype, batch_shape=batch_shape, optional=optional, name=name).symbol()
