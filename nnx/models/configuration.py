"""Configurations of models: a graph of layers as plain data and back, and new models from them."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnx.backends import to_numpy
from nnx.descriptions import check_objects, parsed, without_other_files
from nnx.graph.composition import Composition
from nnx.graph.symbol import Node, Symbol
from nnx.layers.function_call import FunctionCall
from nnx.layers.input import Input
from nnx.layers.layer import Layer, registry
from nnx.losses import resolve
from nnx.metrics import Metric
from nnx.names import names_apart
from nnx.optimizers import Optimizer
from nnx.registry import custom_objects as custom_objects_scope
from nnx.registry import name_of, named_objects
from nnx.structure import leaves, leaves_like, rebuild


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


def graph_from_config(
    config: dict[str, Any], input_tensors: Any = None, call_function: Callable[..., Any] | None = None
) -> tuple[Any, Any]:
    """The symbols of inputs and outputs, in their structures, of a new graph with new layers.

    input_tensors, call_function : as in `clone_model`.
    """
    layers = build_layers(config["layers"])
    symbols: list[Symbol] = _begun(config, input_tensors)

    def resolved(ids: Any) -> Any:
        return rebuild(ids, [None if index is None else symbols[index] for index in leaves(ids)])

    for call in config["calls"]:
        layer, inputs, options = layers[call["layer"]], resolved(call["inputs"]), resolved(call["symbols"])
        of_call = {**call["options"], **options}
        made = layer(*inputs, **of_call) if call_function is None else call_function(layer, *inputs, **of_call)
        symbols += leaves(made)
    return resolved(config["inputs"]), resolved(config["outputs"])


def _begun(config: dict[str, Any], input_tensors: Any) -> list[Symbol]:
    """The symbols that a graph begins with: new ones, or those given."""
    if input_tensors is None:
        return [Input(**layer) for layer in config["input_layers"]]
    expected = len(config["input_layers"])
    given = leaves(input_tensors) if expected == 1 else leaves_like(config["inputs"], input_tensors, "input_tensors")
    if len(given) != expected or not all(isinstance(one, Symbol) for one in given):
        raise ValueError(f"{config['name']}: input_tensors must be {expected} of what Input() and layers return")
    return given


def argument_from_config(value: Any) -> Any:
    """A layer or model that a constructor was given, from its configuration; anything else as it is."""
    described = isinstance(value, dict) and set(value) == {"class_name", "config"}
    return registry.build(value) if described and value["class_name"] in registry.objects else value


def losses_from_config(config: Any) -> Any:
    """Losses as they were given to `compile`, from their configurations."""
    if isinstance(config, list):
        return [losses_from_config(one) for one in config]
    if not isinstance(config, dict):
        return config
    if "class_name" in config:
        return resolve(config)
    return {key: losses_from_config(one) for key, one in config.items()}


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model of the same architecture with new layers and new initial weights, in the current backend.

    It is compiled as the model is, with a new optimizer that has learned nothing.

    input_tensors : symbols that it begins with, in the structure of the model's inputs; by default new ones.
    clone_function : makes the layer of the clone from that of the model; by default from its configuration.
    call_function : calls a layer of the clone, as `call_function(layer, *inputs, **options)`, and returns what comes
        out; by default `layer(*inputs, **options)`. Of a graph.
    recursive : whether models inside are cloned by `clone_model` with these functions, too.

    All four are for graphs and Sequentials: ValueError where the model makes its layers itself. TypeError where
    clone_function returns no layer.

    >>> from nnx.layers import Dense
    >>> from nnx.models import Sequential
    >>> model = Sequential([Dense(1, input_dim=2)])
    >>> clone = clone_model(model)
    >>> clone.set_weights(model.get_weights())
    >>> clone.layers[0] is model.layers[0]
    False
    """
    cloner = _Cloner(clone_function, call_function, recursive, {})
    with named_objects() as own:
        config = json.loads(json.dumps(model.get_config()))
    with custom_objects_scope(own):
        if cloner.is_default and input_tensors is None:
            clone = type(model).from_config(config)
        else:
            clone = cloner.clone(model, config, input_tensors)
        if model.built and not clone.built:  # a subclass, which is known by the arguments of its constructor
            clone.input_structure = model.input_structure
            clone.build(model.build_shape)
    _give_constants(clone, model)
    _compile_alike(clone, model)
    return clone


def _give_constants(clone: Any, model: Any) -> None:
    """Let calls of functions in a clone have the arrays of those in the model, which no configuration has."""
    for (_, made), (_, given) in zip(clone.walk(), model.walk(), strict=False):
        if isinstance(made, FunctionCall) and isinstance(given, FunctionCall):
            for constant, value in zip(made.own_weights, given.own_weights, strict=False):
                constant.assign(to_numpy(value.value))


@dataclasses.dataclass(frozen=True)
class _Cloner:
    """What is done with each layer of a model that is cloned. made : the clones, by the layers that they are of."""

    clone_function: Callable[[Any], Any] | None
    call_function: Callable[..., Any] | None
    recursive: bool
    made: dict[Any, Any]

    @property
    def is_default(self) -> bool:
        return self.clone_function is None and self.call_function is None and not self.recursive

    def clone(self, model: Any, config: dict[str, Any], input_tensors: Any) -> Any:
        """The clone of a model, from its configuration with layers in the place of theirs."""
        is_graph = "calls" in config
        if not is_graph and "build_input_shape" not in config:
            raise ValueError(
                f"{model.name} makes its layers itself, in the constructor of {type(model).__name__}, so they are not "
                f"cloned one by one: clone_function and the like are for Model(inputs, outputs) and Sequential"
            )
        if self.call_function is not None and not is_graph:
            raise ValueError(
                f"{model.name} is a Sequential, which calls its layers itself: call_function is for graphs"
            )
        layers = model.composition.program.layers if model.input_layers else model.layers
        clones = list(map(self.layer, layers))
        config["layers"] = [*config["layers"][: len(config["layers"]) - len(layers)], *clones]
        if is_graph:
            inputs, outputs = graph_from_config(config, input_tensors, self.call_function)
            return type(model)(inputs, outputs, name=config["name"], trainable=config["trainable"])
        if input_tensors is None:
            return type(model).from_config(config)
        (symbol,) = leaves(input_tensors)
        return type(model)([symbol, *clones], name=model.name, trainable=model.trainable)

    def layer(self, layer: Any) -> Any:
        """The clone of a layer; a model inside is cloned as a whole if that is wanted."""
        if layer not in self.made:
            inner = self.recursive and hasattr(layer, "compile_arguments") and not layer.is_eager
            if inner:
                config = json.loads(json.dumps(layer.get_config()))
                of_graph = dataclasses.replace(self, call_function=None) if "calls" not in config else self
                clone = of_graph.clone(layer, config, None)
            elif self.clone_function is None:
                clone = build_layers(layer_configs([(layer.name, layer)]))[0]
            else:
                clone = self.clone_function(layer)
            if not isinstance(clone, Layer):
                raise TypeError(f"clone_function returned {type(clone).__name__} for {layer.name}, expected a layer")
            self.made[layer] = clone
        return self.made[layer]


def _compile_alike(clone: Any, model: Any) -> None:
    """Compile a clone as its model is, with an optimizer and metrics of its own."""
    if model.objective is None:
        return
    given = {"optimizer": model.optimizer, **model.compile_arguments}
    own = model.overrides("get_compile_config")
    made = _made_anew(model.get_compile_config() if own else given, {id(model): clone})
    if own or model.overrides("compile", "compile_from_config"):
        clone.compile_from_config(made)
    else:
        clone.compile(**made)


def _made_anew(value: Any, memo: dict[int, Any]) -> Any:
    """Copies of what a model was compiled with, which have learned and counted nothing. memo : as of `deepcopy`."""
    if isinstance(value, Optimizer):
        return type(value).from_config(value.get_config())
    if isinstance(value, dict):
        return {name: _made_anew(one, memo) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_made_anew(one, memo) for one in value]
    made = copy.deepcopy(value, memo)
    if isinstance(made, Metric):
        made.reset_state()
    return made


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model, with new initial weights, whose `to_json` gave this text.

    custom_objects : classes and functions of your own that the model uses, by name.

    ValueError for a text that is none of a model.
    """
    description = parsed(json_string)
    check_objects(description, len(json_string))
    with custom_objects_scope(custom_objects), without_other_files():
        return registry.build(description)
