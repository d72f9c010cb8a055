"""Places of weights in files of Keras 3: the groups of objects, by attributes and by counters of classes."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnx.layers import Bidirectional, Identity, TextVectorization, TimeDistributed
from nnx.layers.attention import GroupQueryAttention, ProjectedAttention
from nnx.layers.function_call import FunctionCall
from nnx.layers.layer import Layer
from nnx.layers.operation import Operation
from nnx.layers.recurrent import Recurrent
from nnx.names import shortened, snake_case
from nnx.parameters import Parameter

__all__ = ["Group", "groups_of", "kind_of_model", "trained_in_order"]

Order = Mapping[Any, Sequence[Layer]]
"""Of models their layers in an order that is not their own: that of a file."""

_HEADS = {"query": "query_dense", "key": "key_dense", "value": "value_dense", "gate": "_gate_dense"}
_HEADS["attention_output"] = "output_dense"


@dataclasses.dataclass(frozen=True)
class Group:
    """An object in a file: where its group is, what it is called, and its own weights, "vars/0" and so on.

    layer : if the object is one, and no part that only Keras has as an object.
    idf_weights : of a layer with a vocabulary the weights of its tokens.
    """

    path: str
    name: str
    weights: list[Parameter]
    layer: Layer | None = None
    idf_weights: np.ndarray | None = None

    @property
    def stores_itself(self) -> bool:
        """Whether the object is a layer whose class says what is among its variables."""
        return self.layer is not None and self.layer.stores_itself

    @property
    def label(self) -> str:
        """What it is called in errors."""
        return shortened(f"{self.path} ({self.name})" if self.path else self.name)

    @property
    def variables(self) -> str:
        """What the paths of its variables begin with."""
        return f"{self.path}/vars/".lstrip("/")

    def places(self) -> Iterator[tuple[str, Parameter]]:
        """The paths of the weights."""
        for number, parameter in enumerate(self.weights):
            yield f"{self.variables}{number}", parameter


def groups_of(model: Any, order: Order) -> list[Group]:
    """The groups of a model, or of a feature space, and of everything in it, each weight once."""
    seen: set[Any] = set()
    if isinstance(model, Layer):
        return list(_groups(model, "", order, seen))
    layers = (layer for layer in model.preprocessors.values() if not isinstance(layer, Identity))  # a class of its own
    return list(_numbered(layers, "preprocessors", order, seen))


def kind_of_model(layer: Any) -> str | None:
    """ "Sequential" or "Functional" for a model that numbers its layers in a file; None for other layers."""
    if not hasattr(layer, "compile_arguments") or layer.is_eager:
        return None
    return "Sequential" if any(cls.__name__ == "Sequential" for cls in type(layer).__mro__) else "Functional"


def _groups(layer: Any, path: str, order: Order, seen: set[Any]) -> Iterator[Group]:
    if layer in seen:
        return
    seen.add(layer)
    if kind_of_model(layer) is not None:
        yield Group(path, layer.name, list(layer.own_weights), layer)
        inner = [one for one in order.get(layer, layer.layers) if not isinstance(one, Operation | FunctionCall)]
        yield from _numbered(inner, f"{path}/layers", order, seen)
    elif isinstance(layer, Recurrent):
        yield Group(path, layer.name, [], layer)
        yield Group(f"{path}/cell", f"{snake_case(type(layer).__name__)}_cell", list(layer.own_weights))
    elif isinstance(layer, Bidirectional):
        yield Group(path, layer.name, [], layer)
        yield from _groups(layer.forward_layer, f"{path}/forward_layer", order, seen)
        yield from _groups(layer.backward_layer, f"{path}/backward_layer", order, seen)
    elif isinstance(layer, TimeDistributed):
        yield Group(path, layer.name, [], layer)
        yield from _groups(layer.layer, f"{path}/layer", order, seen)
    elif isinstance(layer, ProjectedAttention):
        yield Group(path, layer.name, [], layer)
        heads: dict[str, list[Parameter]] = {}
        for parameter in layer.own_weights:
            heads.setdefault(parameter.name.partition("/")[0], []).append(parameter)
        hidden = "_" if isinstance(layer, GroupQueryAttention) else ""
        for head, weights in heads.items():
            yield Group(f"{path}/{hidden}{_HEADS[head].removeprefix(hidden)}", head, weights)
    else:
        idf_weights = getattr(layer, "idf_weights", None)
        yield Group(path, layer.name, list(layer.own_weights), layer, idf_weights)
        if isinstance(layer, TextVectorization):  # which has them from a layer inside
            yield Group(f"{path}/_lookup_layer", "string_lookup", [], idf_weights=idf_weights)
        if layer.is_eager or layer.sublayers():
            yield from _groups_of_attributes(layer, path, order, seen)


def _numbered(items: Iterable[Any], path: str, order: Order, seen: set[Any]) -> Iterator[Group]:
    """Layers in a list, called by their classes and counted, as are lists and dicts in it."""
    counts: collections.Counter[str] = collections.Counter()
    for item in items:
        nested = isinstance(item, list | tuple | dict)
        if not nested and not isinstance(item, Layer):
            continue
        kind = "container" if nested else snake_case(_class_name(item))
        number = counts[kind]
        counts[kind] += 1
        place = f"{path}/{kind}{f'_{number}' if number else ''}".lstrip("/")
        yield from (_container if nested else _groups)(item, place, order, seen)


def _class_name(layer: Any) -> str:
    if kind_of_model(layer) == "Functional" and getattr(layer, "shown_as", None) == "Functional":
        return "Functional"
    return "GroupedQueryAttention" if isinstance(layer, GroupQueryAttention) else type(layer).__name__


def _groups_of_attributes(layer: Any, path: str, order: Order, seen: set[Any]) -> Iterator[Group]:
    """The layers in the attributes of a layer or model that is written as `call`, in alphabetical order.

    Private ones are last. A model has the attribute `layers` among them: there those are whose own attributes come
    later.
    """
    attributes = {name: value for name, value in vars(layer).items() if name not in _NOT_SAVED}
    if hasattr(layer, "layers"):
        attributes["layers"] = layer.layers
    for name in sorted(attributes, key=lambda name: (name.startswith("_"), name)):
        value = attributes[name]
        if isinstance(value, Layer):
            yield from _groups(value, f"{path}/{name}".lstrip("/"), order, seen)
        elif isinstance(value, list | tuple | dict):
            yield from _container(value, f"{path}/{name}".lstrip("/"), order, seen)


def _container(value: Any, path: str, order: Order, seen: set[Any]) -> Iterator[Group]:
    yield from _numbered(value.values() if isinstance(value, dict) else value, path, order, seen)


_NOT_SAVED = frozenset({"own_weights", "input_layers", "compile_arguments", "optimizer", "trainer", "objective"})


def trained_in_order(model: Any, order: Order) -> list[Parameter]:
    """The trainable weights in the order in which Keras lists them, and keeps what an optimiser knows of them."""

    def found(layer: Any) -> list[Parameter]:
        if not layer.trainable:
            return []
        own = [parameter for parameter in layer.own_weights if parameter.trainable]
        inner = order.get(layer) or layer.sublayers()
        return own + [parameter for one in inner for parameter in found(one)]

    return list(dict.fromkeys(found(model)))
