"""Names: those of layers, unique in a model and kept for good, and known ones that come near to an unknown one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Any

__all__ = ["did_you_mean", "kind_of", "name_layers", "names_apart", "nearest", "numbered", "shortened", "snake_case"]

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


def snake_case(name: str) -> str:
    """A name in lower case with underscores, as Keras names layers after their classes.

    >>> snake_case("LeakyReLU")
    'leaky_re_lu'
    """
    spaced = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
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


def name_layers(layers: Iterable[Any], owner: str, unique: bool = True) -> None:
    """Give the layers of a model that have not been in one names that no other has, by numbers.

    A layer keeps the name that its first model or its user gave it: paths of weights in files are made of names.
    unique : whether two layers that users have given one name are a ValueError; else both keep it.
    """
    taken: dict[str, Any] = {}
    for layer in sorted(layers, key=lambda layer: (not layer.is_named, not layer.named_by_user)):
        other = taken.get(layer.name, layer)
        if other is not layer:
            if layer.named_by_user and (other.named_by_user or not layer.is_named):
                if not unique:
                    layer.is_named = True
                    continue
                raise ValueError(f"{owner}: a layer named {layer.name!r} is already there; names must be unique")
            if layer.is_named:
                continue
            layer.name = numbered(layer.name, taken)
        layer.is_named = True
        taken[layer.name] = layer


def names_apart(layers: Iterable[Any]) -> list[tuple[str, Any]]:
    """The layers, each with its name; with a number where a layer before it has the same.

    >>> from nnx.layers import Dense
    >>> [name for name, _ in names_apart([Dense(2), Dense(3)])]
    ['dense', 'dense_1']
    """
    taken: dict[str, Any] = {}
    for layer in layers:
        taken[numbered(layer.name, taken)] = layer
    return list(taken.items())


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
