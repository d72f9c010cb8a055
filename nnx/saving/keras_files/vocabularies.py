"""Vocabularies in files of Keras: texts beside the weights, put into the configurations of their layers."""

from __future__ import annotations

import collections
from typing import Any

from nnx.names import snake_case
from nnx.saving.keras_files.archive import KerasFile
from nnx.saving.keras_files.objects import class_name_of

__all__ = ["IDF_WEIGHTS", "with_vocabularies"]

IDF_WEIGHTS = "vars/idf_weights"
"""Where the group of a layer has the weights of its tokens."""

_LOOKUPS = ("IntegerLookup", "StringLookup", "TextVectorization")


def with_vocabularies(description: Any, file: KerasFile, path: str = "") -> Any:
    """The configuration of a model in which layers have the vocabularies that they have learned.

    path : of the model's group in the file.
    """
    settings = description.get("config") if isinstance(description, dict) else None
    if not isinstance(settings, dict) or not isinstance(settings.get("layers"), list):
        return description
    counts: collections.Counter[str] = collections.Counter()
    layers = []
    for layer in settings["layers"]:
        kind = class_name_of(layer)
        number, name = counts[kind], snake_case(kind)
        counts[kind] += 1
        inside = f"{path}/layers/{name}{f'_{number}' if number else ''}".lstrip("/")
        make = _with_vocabulary if kind in _LOOKUPS else with_vocabularies
        layers.append(make(layer, file, inside))
    return {**description, "config": {**settings, "layers": layers}}


def _with_vocabulary(layer: dict[str, Any], file: KerasFile, path: str) -> dict[str, Any]:
    settings = dict(layer["config"])
    for way in ("standardize", "split"):  # a function of the user's, which is known by its name
        if isinstance(settings.get(way), dict):
            settings[way] = settings[way].get("config")
    text = file.vocabularies.get(f"assets/{path}/vocabulary.txt")
    if text is not None and settings.get("vocabulary") is None:
        tokens: list[Any] = text.rstrip("\n").split("\n")
        settings["vocabulary"] = [int(token) for token in tokens] if class_name_of(layer) == "IntegerLookup" else tokens
        settings["has_input_vocabulary"] = False
    stored = file.arrays.get(f"{path}/{IDF_WEIGHTS}")
    if stored is not None:
        settings["idf_weights"] = stored.read()[: len(settings.get("vocabulary") or ())].tolist()
    return {**layer, "config": settings}
