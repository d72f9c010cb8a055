"""Names of layers, as Keras makes them: unique in a model, and kept for good."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any


def snake_case(name: str) -> str:
    """ "LeakyReLU" -> "leaky_re_lu", as Keras names layers."""
    spaced = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def numbered(name: str, taken: Collection[str]) -> str:
    """The name, or the first of name_1, name_2, ... that is not taken."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def name_layers(layers: Iterable[Any], owner: str) -> None:
    """Give the layers of a model that have not been in one names that no other has, by numbers.

    A layer keeps the name that its first model or its user gave it: paths of weights in files are made of names.
    ValueError for two layers that users have given one name.
    """
    taken: dict[str, Any] = {}
    for layer in sorted(layers, key=lambda layer: (not layer.is_named, not layer.named_by_user)):
        other = taken.get(layer.name, layer)
        if other is not layer:
            if layer.named_by_user and (other.named_by_user or not layer.is_named):
                raise ValueError(f"{owner}: a layer named {layer.name!r} is already there; names must be unique")
            if layer.is_named:
                continue
            layer.name = numbered(layer.name, taken)
        layer.is_named = True
        taken[layer.name] = layer


def names_apart(layers: Iterable[Any]) -> list[tuple[str, Any]]:
    """The layers, each with its name; with a number where a layer before it has the same."""
    taken: dict[str, Any] = {}
    for layer in layers:
        taken[numbered(layer.name, taken)] = layer
    return list(taken.items())


def kind_of(layer: Any) -> str:
    """What a layer is called beside its name: its class, or for an operator and for a graph what Keras says."""
    return getattr(layer, "shown_as", None) or type(layer).__name__


def name_of_class(cls: type[Any]) -> str:
    """Name of a loss or a metric by default: that of its class in snake case, where capitals in a row are one word.

    Layers are named by `snake_case`, which cuts before the last of such capitals, as Keras does. Names of metrics are
    keys in histories.

    >>> class FBetaScore: ...
    >>> name_of_class(FBetaScore), snake_case("FBetaScore")
    ('fbeta_score', 'f_beta_score')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
