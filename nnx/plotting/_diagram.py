"""A model as boxes and the connections between them: what `plot_model` draws."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

from nnx.graph.symbol import Node
from nnx.layers import Layer
from nnx.names import kind_of, names_apart
from nnx.shapes import Shape, format_shape
from nnx.structure import leaves


@dataclasses.dataclass(frozen=True)
class Show:
    """What is written into the boxes, and whether the graphs inside layers are drawn: the options of `plot_model`."""

    shapes: bool = False
    dtype: bool = False
    names: bool = False
    activations: bool = False
    trainable: bool = False
    inside: bool = False


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of text in a box. role : "title", "detail", "trained" or "frozen"."""

    text: str
    role: str = "detail"


@dataclasses.dataclass(frozen=True)
class Box:
    """One call of a layer, or an input. inside : the layer's own graph, where that is drawn."""

    lines: list[Line]
    inside: Diagram | None = None


@dataclasses.dataclass(frozen=True)
class Connection:
    """From an output of a box to an input of a later one; None stands for the outside of the diagram."""

    source: int | None
    output: int
    target: int | None
    input: int


@dataclasses.dataclass(frozen=True)
class Diagram:
    """Boxes, each after those that it depends on. title : of the frame that it has inside another diagram."""

    title: str
    boxes: list[Box]
    connections: list[Connection]
    inputs: int = 0
    outputs: int = 0


def diagram_of(layer: Layer, name: str, show: Show, outermost: bool = True) -> Diagram:
    """The graph of a model, or of a layer that is made of others; connected to the outside unless it is outermost."""
    graph: Any = layer.composition
    names = {one: own for own, one in names_apart(getattr(layer, "layers", None) or graph.program.layers)}
    boxes: list[Box] = []
    connections: list[Connection] = []
    places: dict[Any, tuple[int | None, int]] = {}  # of each value: its box, None for outside, and which output it is
    given, results = leaves(graph.inputs), leaves(graph.outputs)
    own_inputs: list[Any] = list(getattr(layer, "input_layers", ()))
    for index, symbol in enumerate(given):
        places[symbol.key] = (None, index)
        if own_inputs or (outermost and symbol.node is None):
            if not outermost:
                connections.append(Connection(None, index, len(boxes), 0))
            places[symbol.key] = (len(boxes), 0)
            boxes.append(_input_box(own_inputs[index] if own_inputs else None, names, symbol.shape, show))
    calls = collections.Counter(node.layer for node in graph.program.nodes)
    made: collections.Counter[Layer] = collections.Counter()
    for node in graph.program.nodes:
        for index, symbol in enumerate(node.reads):
            source, output = places.get(symbol.key, (None, -1))  # a parameter has no place
            if source is not None or (output >= 0 and not outermost):
                connections.append(Connection(source, output, len(boxes), index))
        for symbol in node.outputs:
            places[symbol.key] = (len(boxes), symbol.index)
        made[node.layer] += 1
        which = f"call {made[node.layer]} of {calls[node.layer]}" if calls[node.layer] > 1 else ""
        boxes.append(_call_box(node, names[node.layer], which, show))
    title = _title(name, layer, show)
    if outermost:
        return Diagram(title, boxes, connections)
    for index in range(len(results)):
        for symbol in graph.program.sources(index):
            source, output = places[symbol.key]
            connections.append(Connection(source, output, None, index))
    return Diagram(title, boxes, connections, len(given), len(results))


def _input_box(layer: Any, names: dict[Layer, str], shape: Shape, show: Show) -> Box:
    if layer is None:
        return Box([Line("Input", "title"), *([Line(f"Output shape: {format_shape(shape)}")] if show.shapes else [])])
    return Box([Line(_title(names[layer], layer, show), "title"), *_details(layer, [], [shape], show)])


def _call_box(node: Node, name: str, which: str, show: Show) -> Box:
    layer: Any = node.layer
    if show.inside and layer.composition is not None:
        inside = diagram_of(layer, name, show, outermost=False)
        title = f"{inside.title}, {which}" if which else inside.title
        return Box([], dataclasses.replace(inside, title=title))
    lines = [Line(_title(name, layer, show), "title"), *([Line(which)] if which else [])]
    return Box([*lines, *_details(layer, [symbol.shape for symbol in node.inputs], node.shapes, show)])


def _title(name: str, layer: Layer, show: Show) -> str:
    return f"{name} ({kind_of(layer)})" if show.names else kind_of(layer)


def _details(layer: Layer, inputs: Sequence[Shape], outputs: Sequence[Shape], show: Show) -> list[Line]:
    """The lines below the title, in Keras' words."""
    lines = []
    activation = getattr(layer, "activation", None)
    if show.activations and activation is not None:
        named = activation if isinstance(activation, str) else getattr(activation, "__name__", None)
        lines.append(Line(f"Activation: {named or getattr(activation, 'name', activation)}"))
    if show.shapes and inputs:
        lines.append(Line(f"Input shape: {_shapes(inputs)}"))
    if show.shapes:
        lines.append(Line(f"Output shape: {_shapes(outputs)}"))
    if show.dtype:
        lines.append(Line(f"Output dtype: {layer.dtype or layer.placement.dtype}"))
    if show.trainable and layer.weights:
        lines.append(Line("Trainable", "trained") if layer.trainable else Line("Non-trainable", "frozen"))
    return lines


def _shapes(shapes: Sequence[Shape]) -> str:
    return format_shape(shapes[0] if len(shapes) == 1 else tuple(shapes))
