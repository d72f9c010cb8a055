"""Weights of a model in files of Keras: found, compared with the model, and only then read."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnx.layers import Normalization
from nnx.layers.function_call import FunctionCall
from nnx.layers.layer import Layer
from nnx.layers.operation import Operation
from nnx.names import shortened, snake_case
from nnx.parameters import Parameter
from nnx.saving.keras_files.archive import KerasFile
from nnx.saving.keras_files.hdf5 import Arrays, Stored
from nnx.saving.keras_files.places import Group, groups_of, kind_of_model
from nnx.saving.keras_files.stores import load_stores
from nnx.saving.keras_files.vocabularies import IDF_WEIGHTS
from nnx.user_warnings import warn_user

__all__ = ["Found", "assign", "found_weights", "optimizer_arrays", "scale_arrays"]

_MOST_NAMED = 8
_INNER = "optimizer/inner_optimizer/vars/"
_NOT_WEIGHTS = ("optimizer/", "metrics/", "loss_tracker/", "compile_metrics/", "_compile_metrics/")


@dataclasses.dataclass(frozen=True)
class Found:
    """What a file has for a model; nothing of it is read yet.

    weights : the array of each weight. stores : what the layers have stored that do so themselves.
    """

    weights: dict[Parameter, Stored] = dataclasses.field(default_factory=dict)
    stores: list[tuple[Group, dict[str, Stored]]] = dataclasses.field(default_factory=list)


def found_weights(
    file: KerasFile, model: Any, order: Mapping[Any, Sequence[Layer]], skip_mismatch: bool = False
) -> Found:
    """What the file has for a model. ValueError where it is of another model.

    order : the order in which the file numbers the layers of a model, where it is not the model's own.
    skip_mismatch : leave weights out, with a warning, that are not in the file or have another shape there.
    """
    if file.is_legacy:
        return Found(_by_layer_names(file.arrays, model, order, skip_mismatch))
    return _by_places(file.arrays, model, order, skip_mismatch)


def assign(model: Any, found: Found, skip_mismatch: bool = False) -> None:
    """Read all arrays, and then give them to the weights, and to the layers that store themselves: all or none."""
    with model.placement.computing:
        values = {parameter: stored.read() for parameter, stored in found.weights.items()}
        stores = [(group, {name: one.read() for name, one in arrays.items()}) for group, arrays in found.stores]
        given = ((group.label, group.layer, arrays) for group, arrays in stores if group.layer is not None)
        for problem in load_stores(given, skip_mismatch):
            warn_user(problem)
        for parameter, value in values.items():
            array = model.placement.asarray(value, parameter.dtype)
            if parameter.backward is None:  # not in a model's buffer: no copy is needed
                parameter.memory = array
            else:
                parameter.value[...] = array


def optimizer_arrays(file: KerasFile) -> list[Stored]:
    """What a file has of an optimiser, in its order; empty if it has nothing."""
    arrays = file.arrays
    if file.is_legacy:
        if "optimizer_weights" not in arrays.groups:
            return []
        names = arrays.texts("optimizer_weights", "weight_names") or []
        return [_stored(arrays, f"optimizer_weights/{name}") for name in names]
    place = _INNER if _scales_loss(file) else "optimizer/vars/"
    numbers = [path.removeprefix(place) for path in arrays if path.startswith(place)]
    if not all(re.fullmatch(r"\d{1,9}", number) for number in numbers):
        raise ValueError("the state of the optimizer has something that is no number")
    return [arrays[f"{place}{number}"] for number in sorted(numbers, key=int)]


def _scales_loss(file: KerasFile) -> bool:
    """Whether the optimiser is inside of another one, which scales the loss in mixed precision."""
    return not file.is_legacy and any(path.startswith(_INNER) for path in file.arrays)


def scale_arrays(file: KerasFile) -> list[Stored]:
    """What a file has of the scale of the loss: the good steps since it has changed, and the scale; or nothing."""
    if not _scales_loss(file):
        return []
    found = [_stored(file.arrays, f"optimizer/vars/{number}") for number in (2, 3)]
    if any(one.shape for one in found):
        raise ValueError("the scale of the loss is no number")
    return found


def _stored(arrays: Arrays, path: str) -> Stored:
    if path not in arrays:
        raise ValueError(f"{shortened(path)} is not in the file, which says that it is")
    return arrays[path]


def _refuse(model: Any, problems: list[str], skip_mismatch: bool) -> None:
    if not problems:
        return
    message = f"it does not fit {shortened(model.name)}: " + "; ".join(problems[:_MOST_NAMED])
    message += f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
    if not skip_mismatch:
        raise ValueError(message)
    warn_user(message)


def _problem(path: str, label: str, parameter: Parameter, stored: Stored | None) -> str | None:
    if stored is None:
        return f"{shortened(path)} ({label}) of shape {parameter.shape} is not in the file"
    if stored.shape != parameter.shape:
        return f"{shortened(path)} ({label}) has shape {stored.shape}, expected {parameter.shape}"
    if not np.can_cast(stored.dtype, parameter.dtype, "same_kind") and stored.dtype.kind not in "iu":
        return f"{shortened(path)} ({label}) is {stored.dtype}, expected {parameter.dtype}"
    return None


# Keras 3: by places


def _by_places(arrays: Arrays, model: Any, order: Mapping[Any, Sequence[Layer]], skip_mismatch: bool) -> Found:
    groups, everything = groups_of(model, order), Found()
    found = everything.weights
    problems: list[str] = []
    places: set[str] = set()
    _compare_names(groups, arrays, model)
    for group in groups:
        if group.stores_itself:
            own = {
                path: one
                for path, one in arrays.items()
                if path.rpartition("/")[0] + "/" == group.variables and not path.endswith(f"/{IDF_WEIGHTS}")
            }
            places.update(own)
            everything.stores.append((group, {path.removeprefix(group.variables): one for path, one in own.items()}))
            continue
        for path, parameter in group.places():
            path = _in_file(path, arrays)
            places.add(path)
            label = shortened(f"{group.name} {parameter.name}")
            problem = _problem(path, label, parameter, arrays.get(path))
            if problem:
                problems.append(problem)
            else:
                found[parameter] = arrays[path]
    problems += [
        f"{shortened(path)} is in the file, the model has no such weight"
        for path in arrays
        if path not in places and not path.startswith(_NOT_WEIGHTS) and not _is_other(path, places)
        if not path.endswith(f"/{IDF_WEIGHTS}")  # which is a part of a vocabulary
    ]
    _refuse(model, problems, skip_mismatch)
    return everything


def _in_file(path: str, arrays: Arrays) -> str:
    """A path as the file has it: Keras 2.15 has the parts of an attention under other names."""
    if path in arrays or not re.search(r"/(query|key|value|gate|output)_dense/", path):
        return path
    return re.sub(r"/(query|key|value|gate|output)_dense/", r"/_\1_dense/", path)


def _is_other(path: str, places: set[str]) -> bool:
    """Whether an array is the state of a random stream, or the second name of weights that are known.

    Bidirectional of Keras 3.0 has its forward layer under "layer" too.
    """
    if "seed_generator/" in path or "/_random_generator/" in path or "/random_generator/" in path:
        return True
    return path.replace("/layer/cell/", "/forward_layer/cell/", 1) in places


def _compare_names(groups: list[Group], arrays: Arrays, model: Any) -> None:
    """ValueError where names that a user gave are in the file and in the model at different places."""
    in_file, in_model = _own_names(arrays.names.items()), _own_names((group.path, group.name) for group in groups)
    moved = {name: (in_file[name], in_model[name]) for name in in_file.keys() & in_model.keys()}
    texts = [
        f"{shortened(name)!r} is {there} in the file and {here} in the model"
        for name, (there, here) in sorted(moved.items())
        if there != here
    ]
    if texts:
        more = f"; and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
        raise ValueError(f"it does not fit {shortened(model.name)}: {'; '.join(texts[:_MOST_NAMED])}{more}")


def _own_names(pairs: Any) -> dict[str, str]:
    """The paths of the objects with a name that no other has, and that is not that of the class with a number."""
    found: dict[str, str] = {}
    twice = set()
    for path, name in pairs:
        if name in found:
            twice.add(name)
        kind = re.sub(r"_\d+$", "", path.rpartition("/")[2])
        if path and "/cell" not in path and re.sub(r"_\d+$", "", name) != kind:
            found[name] = path
    return {name: path for name, path in found.items() if name not in twice}


# Keras 1 and 2, and .h5 of Keras 3: by the names of layers


def _by_layer_names(
    arrays: Arrays, model: Any, order: Mapping[Any, Sequence[Layer]], skip_mismatch: bool
) -> dict[Parameter, Stored]:
    root = "model_weights" if "model_weights" in arrays.groups else ""
    names = arrays.texts(root or "/", "layer_names")
    if names is None:
        raise ValueError("has no list of layers, so it is no file of a model's weights")
    stored: dict[str, list[tuple[str, Stored]]] = {}
    for name in [*names, "top_level_model_weights"]:
        group = f"{root}/{name}".lstrip("/")
        if group not in arrays.groups:
            if name in names:
                raise ValueError(f"{shortened(name)} is not in the file, which says that it is")
            continue
        weights = arrays.texts(group, "weight_names") or []
        stored[name] = [(weight, _stored(arrays, f"{group}/{weight}")) for weight in weights]
    filled = [name for name, weights in stored.items() if weights and name != "top_level_model_weights"]
    layers = [layer for layer in order.get(model) or model.layers if not isinstance(layer, Operation | FunctionCall)]
    layers = [layer for layer in layers if layer.weights]
    problems = []
    if len(filled) != len(layers):
        problems = [f"it has weights of {len(filled)} layers, the model of {len(layers)}"]
    pairs = _paired(filled, layers)
    found: dict[Parameter, Stored] = {}
    for name, layer in pairs:
        problems += _match(stored[name], layer, order, found)
    if stored.get("top_level_model_weights"):
        problems += _match_parameters(stored["top_level_model_weights"], model.own_weights, model.name, found)
    _refuse(model, problems, skip_mismatch)
    return found


def _paired(names: list[str], layers: list[Any]) -> list[tuple[str, Any]]:
    """The names in a file with the layers that they mean: in their order, as Keras pairs them.

    By the names where they are the same in another order. ValueError where a name that a user gave is at another place.
    """
    by_name = {layer.name: layer for layer in layers}
    moved = [
        (name, layer.name)
        for name, layer in zip(names, layers, strict=False)
        if name != layer.name and (name in by_name or layer.name in names) and not _are_automatic(name, layer)
    ]
    if not moved:
        return list(zip(names, layers, strict=False))
    if by_name.keys() == set(names):
        return [(name, by_name[name]) for name in names]
    listing = "; ".join(f"{shortened(name)!r} is where the model has {shortened(here)!r}" for name, here in moved[:8])
    raise ValueError(f"its layers are in another order than those of the model: {listing}")


def _are_automatic(name: str, layer: Any) -> bool:
    """Whether two names are that of the class of the layer, with or without a number."""
    kind = "functional" if kind_of_model(layer) == "Functional" else snake_case(type(layer).__name__)
    return all(re.sub(r"_\d+$", "", one) in (kind, "model") for one in (name, layer.name))


def _match(
    weights: list[tuple[str, Stored]], layer: Any, order: Mapping[Any, Sequence[Layer]], found: dict[Parameter, Stored]
) -> list[str]:
    parameters = _in_legacy_order(layer, order)
    if isinstance(layer, Normalization):
        weights = weights[: len(parameters)]
    return _match_parameters(weights, parameters, layer.name, found)


def _in_legacy_order(layer: Any, order: Mapping[Any, Sequence[Layer]]) -> list[Parameter]:
    """The weights that are trained, then the others, of inner models those of one layer after the other."""

    def all_of(one: Any) -> list[Parameter]:
        inner = order.get(one) or one.sublayers()
        return [*one.own_weights, *(parameter for each in inner for parameter in all_of(each))]

    weights = list(dict.fromkeys(all_of(layer)))
    trained = set(layer.trainable_weights)
    return [*(w for w in weights if w in trained), *(w for w in weights if w not in trained)]


def _match_parameters(
    weights: list[tuple[str, Stored]], parameters: Sequence[Parameter], owner: str, found: dict[Parameter, Stored]
) -> list[str]:
    owner = shortened(owner)
    if len(weights) != len(parameters):
        return [f"the layer {owner!r} has {len(weights)} weights in the file, expected {len(parameters)}"]
    kinds = [_kind_of(parameter.name) for parameter in parameters]
    problems = []
    for (name, stored), parameter, kind in zip(weights, parameters, kinds, strict=True):
        named = _kind_of(name)
        problem = _problem(name, f"{owner} {parameter.name}", parameter, stored)
        if problem is None and named != kind and named in kinds:
            problem = f"{shortened(name)} is where {owner} has its {parameter.name}"
        if problem:
            problems.append(problem)
        else:
            found[parameter] = stored
    return problems


def _kind_of(name: str) -> str:
    return snake_case(name.rpartition("/")[2].partition(":")[0])
