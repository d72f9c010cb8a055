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
    if not isinstance(settings, dict):
        return description
    if isinstance(settings.get("layers"), list):
        layers = _each_with_vocabulary(settings["layers"], file, f"{path}/layers".lstrip("/"))
        return {**description, "config": {**settings, "layers": layers}}
    if not path and class_name_of(description) == "FeatureSpace":
        given = settings["features"]
        layers = _each_with_vocabulary(
            [feature["config"]["preprocessor"] for feature in given.values()], file, "preprocessors"
        )
        features = {
            column: {**feature, "config": {**feature["config"], "preprocessor": layer}}
            for (column, feature), layer in zip(given.items(), layers, strict=True)
        }
        return {**description, "config": {**settings, "features": features}}
    return description


def _each_with_vocabulary(layers: list[Any], file: KerasFile, path: str) -> list[Any]:
    """Configurations of layers whose groups are counted by their classes."""
    counts: collections.Counter[str] = collections.Counter()
    made = []
    for layer in layers:
        kind = class_name_of(layer)
        number, name = counts[kind], snake_case(kind)
        counts[kind] += 1
        make = _with_vocabulary if kind in _LOOKUPS else with_vocabularies
        made.append(make(layer, file, f"{path}/{name}{f'_{number}' if number else ''}"))
    return made


def _with_vocabulary(layer: dict[str, Any], file: KerasFile, path: str) -> dict[str, Any]:
    settings = dict(layer["config"])
    for way in ("standardize", "split"):  # a function of the user's, which is known by its name
        if isinstance(settings.get(way), dict):
            settings[way] = settings[way].get("config")
    content = file.assets.get(f"{path}/vocabulary.txt")
    if content is not None and settings.get("vocabulary") is None:
        tokens: list[Any] = content().decode("utf-8", "replace").rstrip("\n").split("\n")
        settings["vocabulary"] = [int(token) for token in tokens] if class_name_of(layer) == "IntegerLookup" else tokens
        settings["has_input_vocabulary"] = False
    stored = file.arrays.get(f"{path}/{IDF_WEIGHTS}")
    if stored is not None:
        settings["idf_weights"] = stored.read()[: len(settings.get("vocabulary") or ())].tolist()
    return {**layer, "config": settings}
