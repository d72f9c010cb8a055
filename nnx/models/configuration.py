"""Configurations of models: a graph of layers as plain data and back, and new models from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnx.graph.composition import Composition
from nnx.graph.symbol import Node, Symbol
from nnx.layers.input import Input
from nnx.layers.layer import Layer, registry
from nnx.names import names_apart
from nnx.registry import custom_objects as custom_objects_scope
from nnx.registry import name_of, named_objects
from nnx.structure import leaves, rebuild


def layer_configs(named: Sequence[tuple[str, Layer]]) -> list[dict[str, Any]]:
    """Layers as plain data, each with the name that it has in its model."""
    return [{"class_name": name_of(type(layer)), "config": layer.get_config(), "name": name} for name, layer in named]


def build_layers(configs: Sequence[Any]) -> list[Any]:
    """The layers of `layer_configs`, or those that stand in their places; one that takes no name has its name again."""
    layers = [config if isinstance(config, Layer) else registry.build(config) for config in configs]
    for layer, config in zip(layers, configs, strict=True):
        if layer is not config:
            layer.name = config.get("name", layer.name)
    return layers


def graph_config(graph: Composition, model: Any) -> dict[str, Any]:
    """What `graph_from_config` makes the graph of a model from: the layers, their calls, and where data go in and out.

    Values are numbered: the inputs, then what each call makes.
    """
    layers = graph.program.layers
    places = {layer: index for index, layer in enumerate(layers)}
    ids = {symbol.key: index for index, symbol in enumerate(leaves(graph.inputs))}
    calls = []
    for node in graph.program.nodes:
        if any(symbol.key not in ids for symbol in node.inputs):
            raise TypeError(f"{model.name}: a parameter used outside of its layer cannot be in a configuration")
        calls.append({"layer": places[node.layer], **_call_config(node, ids)})
        for symbol in node.outputs:
            ids[symbol.key] = len(ids)
    names = {layer: name for name, layer in names_apart(model.layers)}
    return {
        "name": model.name,
        "trainable": model.trainable,
        "input_layers": [{**layer.get_config(), "name": names[layer]} for layer in model.input_layers],
        "layers": layer_configs([(names[layer], layer) for layer in layers]),
        "calls": calls,
        "inputs": rebuild(graph.inputs, [ids[symbol.key] for symbol in leaves(graph.inputs)]),
        "outputs": rebuild(graph.outputs, [ids[symbol.key] for symbol in leaves(graph.outputs)]),
    }


def _call_config(node: Node, ids: dict[Any, int]) -> dict[str, Any]:
    reads = [ids[symbol.key] for symbol in node.inputs]
    structure, symbols = node.layer.input_structure, node.symbolic_options
    return {
        "inputs": reads if structure is None or "arguments" in node.options else rebuild(structure, reads),
        "options": {name: value for name, value in node.options.items() if name not in symbols},
        "symbols": {
            name: rebuild(option, [_number(part, ids, f"{name} of {node.layer.name}") for part in leaves(option)])
            for name, option in symbols.items()
        },
    }


def _number(part: Any, ids: dict[Any, int], what: str) -> int | None:
    """The number of a symbol among the options of a call; None stays None."""
    if isinstance(part, Symbol):
        return ids[part.key]
    if part is not None:
        raise TypeError(f"{what}: {type(part).__name__} beside symbolic values cannot be in a configuration")
    return None


def graph_from_config(config: dict[str, Any]) -> tuple[Any, Any]:
    """The symbols of inputs and outputs, in their structures, of a new graph with new layers."""
    layers = build_layers(config["layers"])
    symbols: list[Symbol] = [Input(**layer) for layer in config["input_layers"]]

    def resolved(ids: Any) -> Any:
        return rebuild(ids, [None if index is None else symbols[index] for index in leaves(ids)])

    for call in config["calls"]:
        made = layers[call["layer"]](*resolved(call["inputs"]), **call["options"], **resolved(call["symbols"]))
        symbols += leaves(made)
    return resolved(config["inputs"]), resolved(config["outputs"])


def clone_model(model: Any, clone_function: Callable[[Any], Any] | None = None) -> Any:
    """A model of the same architecture with new layers and new initial weights, in the current backend. Not compiled.

    clone_function : makes the layer of the clone from that of the model; by default from its configuration. Of a graph
        or a Sequential.

    ValueError for a clone_function with a model that makes its layers itself; TypeError where it returns no layer.

    >>> from nnx.layers import Dense
    >>> from nnx.models import Sequential
    >>> model = Sequential([Dense(1, input_dim=2)])
    >>> clone = clone_model(model)
    >>> clone.set_weights(model.get_weights())
    >>> clone.layers[0] is model.layers[0]
    False
    """
    with named_objects() as own:
        config = json.loads(json.dumps(model.get_config()))
    if clone_function is not None:
        config["layers"] = _cloned(model, config, clone_function)
    with custom_objects_scope(own):
        clone = type(model).from_config(config)
        if model.built and not clone.built:  # a subclass, which is known by the arguments of its constructor
            clone.input_structure = model.input_structure
            clone.build(model.build_shape)
        return clone


def _cloned(model: Any, config: Mapping[str, Any], clone_function: Callable[[Any], Any]) -> list[Any]:
    """The clones of the layers, after what is described of an input."""
    if "calls" not in config and "build_input_shape" not in config:
        raise ValueError(
            f"{model.name} makes its layers itself, in the constructor of {type(model).__name__}, so clone_function "
            f"cannot: it is for Model(inputs, outputs) and Sequential"
        )
    layers = model.composition.program.layers if model.input_layers else model.layers
    clones = [clone_function(layer) for layer in layers]
    for layer, clone in zip(layers, clones, strict=True):
        if not isinstance(clone, Layer):
            raise TypeError(f"clone_function returned {type(clone).__name__} for {layer.name}, expected a layer")
    return [*config["layers"][: -len(layers)], *clones]


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model, with new initial weights, whose `to_json` gave this text.

    custom_objects : classes and functions of your own that the model uses, by name.
    """
    with custom_objects_scope(custom_objects):
        return registry.build(json.loads(json_string))
