"""Graphs of layers: any number of inputs and outputs, shared layers, branches; and models written as `call`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, Self

from nnx.backends import Array, get_backend, is_array
from nnx.functional import Pullback
from nnx.graph.composition import Composition
from nnx.graph.symbol import Node, Symbol
from nnx.layers.activation import Activated
from nnx.layers.building import undone_if_it_fails
from nnx.layers.input import InputLayer
from nnx.layers.layer import Layer, registry
from nnx.models.configuration import graph_config, graph_from_config
from nnx.models.looks import summary_row
from nnx.models.network import Network, Reading
from nnx.models.summary import SummaryRow
from nnx.names import name_layers, names_apart, numbered
from nnx.registry import constructor_config
from nnx.shapes import check_shapes
from nnx.structure import leaves, leaves_like
from nnx.training.trainer import Trainer


@registry.register("Functional")
class Model(Trainer):
    """A graph of layers, from symbolic inputs to symbolic outputs; or a subclass with `call`.

    inputs, outputs : what `Input` and layers called on it returned: one symbol, or lists and dicts of them. The inputs
        may also be values in the middle of another model's graph, and the outputs any values that depend on them: so a
        part of a model is a model, which shares its layers.
    name : "model" by default.
    trainable : whether its parameters are trained.

    >>> from nnx.layers import Dense, Input, add
    >>> x = Input(shape=(8,))
    >>> hidden = Dense(8, activation="relu")(x)
    >>> model = Model(x, Dense(1)(add([x, hidden])))
    >>> model.count_params()
    81

    A subclass makes its layers in the constructor and composes them in `call`, which is traced once, on symbols:

    >>> class Residual(Model):
    ...     def __init__(self, units):
    ...         super().__init__()
    ...         self.units = units
    ...         self.hidden = Dense(units, activation="relu")
    ...     def call(self, x):
    ...         return x + self.hidden(x)
    >>> model = Residual(8)
    >>> model.build((None, 8))
    >>> model.count_params()
    72
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(name=name, trainable=trainable, **kwargs)
        self.input_layers: list[InputLayer] = []
        if inputs is not None or outputs is not None:
            self._connect(inputs, outputs)

    def _connect(self, inputs: Any, outputs: Any) -> None:
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for leaf in leaves(structure):
                if not isinstance(leaf, Symbol):
                    hint = "; call the layer on its input" if isinstance(leaf, Layer) else ""
                    given = f"an array of shape {tuple(leaf.shape)}" if is_array(leaf) else repr(leaf)
                    raise TypeError(
                        f"{self.name}: {what} must be what Input() and layers called on it return, got {given}{hint}"
                    )
        if hasattr(self, "call"):
            raise TypeError(f"{self.name} has inputs and outputs and a call() too: give it either of them")
        self._composition = Composition(inputs, outputs, self.name)
        if type(self) is Model:
            self.shown_as = "Functional"
        for symbol in leaves(inputs):
            self.input_layers.append(_input_layer_of(symbol))
        name_layers(self.layers, self.name)
        placed = [layer for layer in self._composition.program.layers if layer.weights]
        self._placement = placed[0].placement if placed else get_backend()
        shapes = [symbol.shape for symbol in leaves(inputs)]
        super().build(shapes[0] if len(shapes) == 1 else shapes)

    def build(self, input_shape: Any = None) -> None:
        """Trace the `call` of a subclass for inputs of that shape, batch axis included, or of these shapes."""
        with undone_if_it_fails(self):
            if self._composition is None:
                input_shape = check_shapes(input_shape, f"input_shape of {self.name}")
            self._trace(input_shape)
            super().build(input_shape)

    # The graph

    def _calls(self) -> list[Node]:
        """All calls of layers in the graph, those of the inputs first."""
        if self._composition is None:
            return []
        return [*(symbol.node for symbol in self.inputs if symbol.node), *self._composition.program.nodes]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for node in self._calls():
            node.layer.remember_call(node)

    def sublayers(self) -> Sequence[Layer]:
        return super().sublayers() if self._composition is None else self._composition.program.layers

    @property
    def layers(self) -> list[Layer]:
        """The layers, those of the inputs too, in Keras' order: see `nnx.graph.layer_order`."""
        if self._composition is None:
            return list(self.sublayers()) or [layer for layer in leaves(vars(self)) if isinstance(layer, Layer)]
        listed = self._composition.program.listed
        return [*(layer for layer in self.input_layers if layer not in listed), *listed]

    @property
    def inputs(self) -> list[Symbol]:
        """The symbols that the graph begins with."""
        return leaves(self._graph().inputs)

    @property
    def outputs(self) -> list[Symbol]:
        """The symbols that the graph ends in."""
        return leaves(self._graph().outputs)

    @property
    def input(self) -> Any:
        """The input symbol, or the structure of them."""
        return self._graph().inputs

    @property
    def output(self) -> Any:
        """The output symbol, or the structure of them."""
        return self._graph().outputs

    def _graph(self) -> Composition:
        self.require_built("graph")
        return self.composition  # type: ignore[return-value]

    def in_order(self, inputs: tuple[Any, ...]) -> list[Any]:
        composition = self._composition
        if composition is None or not isinstance(inputs[0], dict) or isinstance(composition.inputs, dict):
            return super().in_order(inputs)
        named = dict(zip(self.input_names or (), self.inputs, strict=True))
        return leaves_like(named, inputs[0], f"the input of {self.name}")

    @property
    def input_names(self) -> list[str] | None:
        if self._composition is None:
            return None
        names = {layer: name for name, layer in names_apart(self.layers)}
        layers = [names[layer] for layer in self.input_layers]
        return _keys(self._composition.inputs) or layers or [f"input_{i}" for i in range(len(self.inputs))]

    @property
    def output_names(self) -> list[str] | None:
        if self._composition is None:
            return None
        names = {layer: name for name, layer in names_apart(self.layers)}
        taken: list[str] = []
        for symbol in self.outputs:
            name = names.get(symbol.node.layer, symbol.node.layer.name) if symbol.node else "output"
            taken.append(numbered(name, taken))
        return _keys(self._composition.outputs) or taken

    @property
    def input_readings(self) -> list[Reading]:
        readings = []
        program = self._graph().program
        for index, layer in itertools.zip_longest(range(len(self.inputs)), self.input_layers):
            integers = tuple(reader for reader in program.readers(index) if reader.takes_integers)
            readings.append(Reading(layer.dtype if layer else None, integers, program.feeds_integers(index)))
        return readings

    @property
    def output_structure(self) -> Any:
        return self._graph().output_structure

    # Computation

    @property
    def fusible_activations(self) -> list[str | None]:
        return [getattr(self._last_layer(index), "fusible_activation", None) for index in range(len(self.outputs))]

    def _last_layer(self, index: int) -> Any:
        """The layer that makes an output and has an activation at its end, if nothing else reads that output."""
        step = self._graph().program.last_step(index)
        layer = step.node.layer if step else None
        return layer if isinstance(layer, Activated | Network) else None

    def activate(self, z: Array, output: int = 0) -> tuple[Array, Pullback]:
        return self._last_layer(output).activate(z)  # type: ignore[no-any-return]

    def chain(
        self, arrays: Sequence[Array], *, training: bool, logits: Sequence[int] = (), masks: Sequence[Any] = ()
    ) -> tuple[list[Array], list[Any], Pullback]:
        return self._graph().program.run(arrays, training=training, logits=logits, masks=masks)

    # Configuration

    def get_config(self) -> dict[str, Any]:
        """The graph; of a subclass with a constructor of its own, the arguments of that."""
        if self.input_layers and type(self).__init__ is Model.__init__:
            return graph_config(self._graph(), self)
        return constructor_config(self, without=("inputs", "outputs"))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if "calls" not in config:
            return cls(**config)
        inputs, outputs = graph_from_config(config)
        return cls(inputs, outputs, name=config["name"], trainable=config["trainable"])

    # Looks

    def _summary_rows(self, expand_nested: bool) -> list[SummaryRow]:
        if self._composition is None:
            return super()._summary_rows(expand_nested)
        names = {layer: name for name, layer in names_apart(self.layers)}
        calls: dict[Layer, list[Node]] = {layer: [] for layer in self.layers}
        sources = {s.key: f"{names[layer]}[0][0]" for s, layer in zip(self.inputs, self.input_layers, strict=False)}
        for node in self._composition.program.nodes:
            for symbol in node.outputs:  # as Keras writes it: which call of the layer, and which of its outputs
                sources[symbol.key] = f"{names[node.layer]}[{len(calls[node.layer])}][{symbol.index}]"
            calls[node.layer].append(node)
        rows = []
        for layer, nodes in calls.items():
            shapes = tuple(nodes[0].shapes) if nodes else (layer.batch_input_shape,)
            row = summary_row(layer, names[layer], shapes if len(shapes) > 1 else shapes[0])
            connected = [sources[symbol.key] for node in nodes for symbol in node.reads if symbol.key in sources]
            rows.append(dataclasses.replace(row, connected_to=", ".join(connected)))
            if expand_nested and isinstance(layer, Trainer):
                rows += [dataclasses.replace(row, depth=row.depth + 1) for row in layer._summary_rows(True)]
        return rows

    @property
    def is_graph(self) -> bool:
        return self._composition is not None and not self._composition.program.is_chain


def _keys(structure: Any) -> list[str] | None:
    """The keys of a dict of symbols, which name them."""
    flat = isinstance(structure, dict) and all(isinstance(part, Symbol) for part in structure.values())
    return list(structure) if flat else None


def _input_layer_of(symbol: Symbol) -> InputLayer:
    """The Input that a symbol comes from, or one like it for a value in the middle of a graph."""
    if symbol.node is not None and isinstance(symbol.node.layer, InputLayer):
        return symbol.node.layer
    return InputLayer(shape=symbol.shape[1:], batch_size=symbol.shape[0])
