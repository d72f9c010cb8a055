"""Graphs of layers in configurations of Keras: what was called on what, made into calls on symbols."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator
from typing import Any

from nnx.graph.symbol import Symbol
from nnx.layers.input import InputLayer
from nnx.layers.layer import Layer, registry
from nnx.names import shortened
from nnx.saving.keras_files.masks_beside_states import is_recurrent, warn_of_mask_beside_state
from nnx.saving.keras_files.objects import class_name_of, plain
from nnx.saving.keras_files.operators import Operator, is_operator
from nnx.saving.keras_files.training_flag import read_flag
from nnx.structure import leaves

__all__ = ["functional_from"]

_Key = tuple[str, int]  # the name of a layer and the number of its call


class _Mask:
    """What stands for a mask that Keras computes in the graph, and that travels with its array here."""


def functional_from(reader: Any, settings: dict[str, Any]) -> tuple[Any, list[Layer]]:
    """The model of a graph, and its layers in the order of the file. Cycles and missing parts are a ValueError."""
    graph = _Graph(reader, settings)
    inputs, outputs = (graph.ports(settings.get(f"{what}_layers"), what) for what in ("input", "output"))
    model = registry.find("Functional")(
        inputs, outputs, name=settings.get("name"), trainable=bool(settings.get("trainable", True))
    )
    inside = set(model.layers)
    return model, [layer for layer in graph.layers.values() if isinstance(layer, Layer) and layer in inside]


class _Graph:
    """The layers of a graph by their names, and the values of their calls."""

    def __init__(self, reader: Any, settings: dict[str, Any]) -> None:
        configs = settings.get("layers")
        if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
            raise ValueError("a graph has no list of layers")
        self.layers: dict[str, Any] = {}
        self.values: dict[_Key, Any] = {}
        self.calls: dict[_Key, tuple[list[Any], dict[str, Any]]] = {}
        self._legacy_offsets: dict[str, int] = {}
        self._legacy: set[_Key] = set()  # the calls that are written as Keras 2 does
        for config in configs:
            self._add(reader, config)
        self._with_masks = self._masked()
        needed = {key: {ref[:2] for ref in self._refs(call)} for key, call in self.calls.items()}
        for key in {one for found in needed.values() for one in found}.union(self.values):
            needed.setdefault(key, set())
        try:
            order = list(graphlib.TopologicalSorter(needed).static_order())
        except graphlib.CycleError as error:
            raise ValueError(f"the graph has a circle: {shortened(str(error.args[1]))}") from None
        for key in order:
            if key in self.values:
                continue
            if key not in self.calls:
                raise ValueError(f"the graph uses call {key[1]} of {shortened(key[0])!r}, which it does not have")
            self.values[key] = self._call(key)

    def _add(self, reader: Any, config: dict[str, Any]) -> None:
        settings = config.get("config")
        name = config.get("name") or (settings.get("name") if isinstance(settings, dict) else None)
        if not isinstance(name, str) or name in self.layers:
            raise ValueError(f"a graph has a layer without a name of its own: {shortened(str(name))}")
        nodes = config.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise ValueError(f"{shortened(name)} has no list of calls")
        layer = Operator(config) if is_operator(config) else reader.layer(config)
        if isinstance(layer, Layer):
            layer.name = name
        self.layers[name] = layer
        legacy = any(isinstance(node, list) for node in nodes)
        if legacy and class_name_of(config) in ("Functional", "Model", "Sequential") and _begins_with_input(config):
            self._legacy_offsets[name] = 1  # there such models have a call from when they were made
        if isinstance(layer, InputLayer):
            self.values[name, 0] = layer.symbol()
            return
        for number, node in enumerate(nodes):
            key = name, number + self._legacy_offsets.get(name, 0)
            if isinstance(node, list):
                self._legacy.add(key)
            self.calls[key] = _legacy_call(node) if isinstance(node, list) else _call(node, name)

    def _refs(self, value: Any) -> Iterator[tuple[str, int, int]]:
        if isinstance(value, _Tensor):
            yield value.ref
        for one in value if isinstance(value, list | tuple) else value.values() if isinstance(value, dict) else ():
            yield from self._refs(one)

    def _masked(self) -> set[tuple[str, int, int]]:
        """The values of which an Embedding or Masking makes a mask."""
        makers = {name for name, layer in self.layers.items() if isinstance(layer, Layer) and layer.makes_mask}
        return {ref for key, call in self.calls.items() if key[0] in makers for ref in self._refs(call[0])}

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, _Tensor):
            return self._value(value.ref)
        if isinstance(value, list):
            return [self._resolved(one) for one in value]
        if isinstance(value, tuple):
            return tuple(self._resolved(one) for one in value)
        if isinstance(value, dict):
            return {key: self._resolved(one) for key, one in value.items()}
        return value

    def _value(self, ref: tuple[str, int, int]) -> Any:
        name, call, index = ref
        made = self.values.get((name, call))
        if isinstance(made, _Mask):
            return made
        found = leaves(made) if (name, call) in self.values else []
        if not 0 <= index < len(found):
            raise ValueError(f"the graph uses output {index} of call {call} of {shortened(name)!r}, which is not there")
        return found[index]

    def _call(self, key: _Key) -> Any:
        layer = self.layers[key[0]]
        args, kwargs = (self._resolved(part) for part in self.calls[key])
        if not isinstance(layer, Layer):
            of_mask = layer.kind == "NotEqual" and not self._with_masks.isdisjoint(self._refs(self.calls[key][0]))
            return _Mask() if of_mask or any(map(_is_mask, (args, *kwargs.values()))) else layer(args, kwargs)
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        kwargs = {name: value for name, value in kwargs.items() if not _is_mask(value)}
        if any(_is_mask(value) for value in (args, *kwargs.values())):
            raise ValueError(f"{shortened(key[0])!r} computes with a mask, which nnx does not read")
        if not any(isinstance(part, Symbol) for part in leaves([args, *kwargs.values()])):
            raise ValueError(f"{shortened(key[0])!r} is called on nothing")
        if "training" in kwargs and key not in self._legacy:  # Keras 2 has there only what somebody said
            kwargs["training"] = read_flag(layer, kwargs["training"])
        without_mask = self.calls[key][1].get("mask") is None and key not in self._legacy
        if is_recurrent(layer) and without_mask and args and ("initial_state" in kwargs or len(args) > 1):
            warn_of_mask_beside_state(layer, args[0])
        try:
            return layer(*args, **kwargs)
        except TypeError as error:  # an argument that the layer does not have
            raise ValueError(f"the call of {shortened(key[0])!r} in the graph cannot be made: {error}") from error

    def ports(self, described: Any, what: str) -> Any:
        """The inputs or outputs, nested as they were given; a list of one is that one."""
        if isinstance(described, dict):
            return {key: self.ports(one, what) for key, one in described.items()}
        if not isinstance(described, list) or not described:
            raise ValueError(f"the graph does not say what its {what}s are")
        if len(described) == 3 and isinstance(described[0], str):
            name, call, index = described
            if not (isinstance(call, int) and isinstance(index, int)):
                raise ValueError(f"an {what} of the graph is {shortened(str(described))}")
            return self._value((name, call, index))
        found = [self.ports(one, what) for one in described]
        return found[0] if len(found) == 1 else found


class _Tensor:
    """A value of a call among the arguments of another one."""

    def __init__(self, ref: tuple[str, int, int]) -> None:
        self.ref = ref


def _is_mask(value: Any) -> bool:
    return isinstance(value, _Mask) or (isinstance(value, list | tuple) and any(map(_is_mask, value)))


def _begins_with_input(config: dict[str, Any]) -> bool:
    settings = config.get("config")
    layers = settings.get("layers") if isinstance(settings, dict) else None
    first = layers[0] if isinstance(layers, list) and layers else None
    return isinstance(first, dict) and first.get("class_name") == "InputLayer"


def _call(node: Any, name: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call as Keras 3 writes it."""
    if not isinstance(node, dict) or not isinstance(node.get("args"), list) or not isinstance(node.get("kwargs"), dict):
        raise ValueError(f"a call of {shortened(name)!r} is {shortened(str(node))}")
    return _tensors(node["args"], name), _tensors(node["kwargs"], name)


def _tensors(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_tensors(one, name) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "__keras_tensor__":
        return _Tensor(_checked_ref(value["config"]["keras_history"]))
    if value.get("class_name") == "__tuple__":
        return tuple(_tensors(value.get("items", value.get("config")), name))
    if "class_name" in value:
        return plain(value, name)
    return {key: _tensors(one, name) for key, one in value.items()}


def _legacy_call(node: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call as Keras 2 writes it: values, the first with the arguments by name."""
    if node and isinstance(node[0], str):  # a value alone
        node = [node]
    found = [_Tensor(_checked_ref(part[:3])) for part in node]
    kwargs = node[0][3] if node and len(node[0]) > 3 else {}
    if not isinstance(kwargs, dict):
        raise ValueError(f"a call has the arguments {shortened(str(kwargs))}")
    named = {key: _legacy_argument(value) for key, value in kwargs.items()}
    return [found[0] if len(found) == 1 else found], named


def _legacy_argument(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and all(type(one) is int for one in value[1:3]):
            return _Tensor(_checked_ref(value[:3]))
        return [_legacy_argument(one) for one in value]
    return value


def _checked_ref(value: Any) -> tuple[str, int, int]:
    name, call, index = value
    if not isinstance(name, str) or type(call) is not int or type(index) is not int:
        raise ValueError(f"a graph uses {shortened(str(value))}, expected a name and two numbers")
    return name, call, index
