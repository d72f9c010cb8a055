"""Names: those of layers, unique in a model and kept for good, and known ones that come near to an unknown one."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection, Iterable
from typing import Any

__all__ = [
    "DistinctNames",
    "did_you_mean",
    "kind_of",
    "name_layer",
    "name_layers",
    "names_apart",
    "nearest",
    "numbered",
    "shortened",
    "snake_case",
]

_LONGEST_NAME = 200


def nearest(name: str, known: Iterable[str], n: int = 1, cutoff: float = 0.6) -> list[str]:
    """Up to n known names that come near to a name, the nearest first; an empty list if none does.

    cutoff : how much alike they have to be, from 0 to 1: the ratio of `difflib.SequenceMatcher`.

    >>> nearest("adma", ["adam", "sgd"])
    ['adam']
    """
    if len(name) > _LONGEST_NAME:  # nothing is near, and it would take long to see that
        return []
    return difflib.get_close_matches(name, list(known), n, cutoff)


def did_you_mean(names: Iterable[str]) -> str:
    """What an error asks about names that come near to the one that was given; "" if there are none.

    >>> did_you_mean(["Adam", "Adamax"])
    "did you mean 'Adam' or 'Adamax'?"
    """
    listed = " or ".join(map(repr, names))
    return f"did you mean {listed}?" if listed else ""


def shortened(text: str, longest: int = _LONGEST_NAME) -> str:
    """A text for an error, without its middle where it is long: a file may have names of any length.

    longest : how many characters it may have to be left as it is.

    >>> shortened("a" * 30 + "z", 20)
    'aaaaaaaaaa ... aaaaaaaaaz (31 characters)'
    """
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]} ({len(text)} characters)"


@functools.cache
def snake_case(name: str) -> str:
    """A name in lower case with underscores, as Keras names layers after their classes.

    >>> snake_case("LeakyReLU")
    'leaky_re_lu'
    """
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def numbered(name: str, taken: Collection[str]) -> str:
    """The name, or the first of name_1, name_2, ... that is not taken.

    >>> numbered("dense", ["dense", "dense_1"])
    'dense_2'
    """
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


class DistinctNames:
    """Layers under names of which there are no two. One more costs the same however many there are.

    layers : those that were taken in, in that order, under their names; with a number where one before had the same.

    >>> from nnx.layers import Dense
    >>> names = DistinctNames([Dense(2), Dense(3)])
    >>> names.free("dense"), names.take(Dense(4)), list(names.layers)
    ('dense_2', 'dense_2', ['dense', 'dense_1', 'dense_2'])
    """

    def __init__(self, layers: Iterable[Any] = ()) -> None:
        self.layers: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}  # for each name that was asked for, the number below which none is free
        for layer in layers:
            self.take(layer)

    def free(self, name: str) -> str:
        """The name, or the first of name_1, name_2, ... that is free."""
        if name not in self.layers:
            return name
        number = self._numbers.get(name, 1)
        while f"{name}_{number}" in self.layers:
            number += 1
        self._numbers[name] = number
        return f"{name}_{number}"

    def take(self, layer: Any) -> str:
        """Take a layer in, and return the name that it has here."""
        name = self.free(layer.name)
        self.layers[name] = layer
        return name

    def drop_last(self) -> str:
        """Forget the layer that was taken in last, and return the name that it had here."""
        self._numbers.clear()
        return self.layers.popitem()[0]


def name_layers(layers: Iterable[Any], owner: str, unique: bool = True) -> None:
    """Give the layers of a model that have not been in one names that no other has, by numbers.

    A layer keeps the name that its first model or its user gave it: paths of weights in files are made of names.
    unique : whether two layers that users have given one name are a ValueError; else both keep it.
    """
    names = DistinctNames()
    for layer in sorted(layers, key=lambda layer: (not layer.is_named, not layer.named_by_user)):
        if name_layer(layer, names, owner, unique):
            names.take(layer)


def name_layer(layer: Any, names: DistinctNames, owner: str, unique: bool = True) -> bool:
    """Give a layer a name that is free, unless it is to keep its own; returns whether the name it has now is free."""
    other = names.layers.get(layer.name, layer)
    if other is not layer:
        if layer.named_by_user and (other.named_by_user or not layer.is_named):
            if unique:
                raise ValueError(f"{owner}: a layer named {layer.name!r} is already there; names must be unique")
            layer.is_named = True
            return False
        if layer.is_named:
            return False
        layer.name = names.free(layer.name)
    layer.is_named = True
    return True


def names_apart(layers: Iterable[Any]) -> list[tuple[str, Any]]:
    """The layers, each with its name; with a number where a layer before it has the same.

    >>> from nnx.layers import Dense
    >>> [name for name, _ in names_apart([Dense(2), Dense(3)])]
    ['dense', 'dense_1']
    """
    return list(DistinctNames(layers).layers.items())


def kind_of(layer: Any) -> str:
    """What a layer is called beside its name: its class, or for an operator and for a graph what Keras says.

    >>> from nnx.layers import Dense
    >>> kind_of(Dense(2))
    'Dense'
    """
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
