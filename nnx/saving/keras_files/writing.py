"""Writing files of Keras: whole or not at all, with equal bytes for equal models."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from nnx import ranks
from nnx.backends import to_numpy
from nnx.file_targets import replacing
from nnx.layers.layer import Layer
from nnx.parameters import Parameter
from nnx.saving.keras_files import hdf5, optimizer_state
from nnx.saving.keras_files.archive import ASSETS, CONFIG, METADATA, WEIGHTS
from nnx.saving.keras_files.assets import saved_assets
from nnx.saving.keras_files.optimizer_state import INNER, SCALING
from nnx.saving.keras_files.places import groups_of, trained_in_order
from nnx.saving.keras_files.serialization import compile_config, feature_space_config, model_config
from nnx.saving.keras_files.stores import stored
from nnx.saving.keras_files.vocabularies import IDF_WEIGHTS

__all__ = ["save_keras_model", "save_keras_weights"]

_METADATA = {"keras_version": "3.0.5", "date_saved": "1980-01-01@00:00:00"}  # the least version that reads it
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive can have


def save_keras_model(model: Any, path: str | os.PathLike[str], space: Any = None) -> None:
    """Write a model to a .keras file: architecture, weights, how it was compiled, the state of the optimiser.

    space : a feature space that is written in its place; the model has its layers.

    TypeError or ValueError, before anything is written, for what such a file cannot say; ImportError without h5py.
    """
    hdf5.require_h5py(f"write {path}")
    config = model_config(model) if space is None else feature_space_config(space, model.placement.dtype)
    compiled = compile_config(model)
    if compiled is not None:
        config["compile_config"] = compiled
    text = json.dumps(config)
    arrays, names, assets = _contents(model, space)
    files = saved_assets(assets)
    if compiled is not None and model.optimizer is not None:
        state = optimizer_state.stored(model, trained_in_order(model, {}))
        names["optimizer"] = model.optimizer.name
        if optimizer_state.scales_loss(model):
            names |= {"optimizer": SCALING, f"optimizer/{INNER}": model.optimizer.name}
            arrays |= {f"optimizer/{INNER}/vars/{number}": array for number, array in enumerate(state)}
            state = [*optimizer_state.stored_scale(model.optimizer), *state]  # Keras has these twice
        arrays |= {f"optimizer/vars/{number}": array for number, array in enumerate(state)}
    if not ranks.is_main():
        return
    with replacing(path) as new:
        weights = new.with_name(WEIGHTS)
        with weights.open("xb+") as file:
            hdf5.written(file, arrays, names)
        with zipfile.ZipFile(new, "x", zipfile.ZIP_STORED) as archive:
            for name, part in ((METADATA, json.dumps(_METADATA)), (CONFIG, text)):
                archive.writestr(_member(name), part)
            _add(archive, weights)
            for name, content in files.items():
                archive.writestr(_member(f"{ASSETS}{name}"), content)
        weights.unlink()


def save_keras_weights(model: Any, path: str | os.PathLike[str]) -> None:
    """Write the weights of a model to a .weights.h5 file. ImportError without h5py."""
    hdf5.require_h5py(f"write {path}")
    arrays, names, _ = _contents(model)
    if not ranks.is_main():
        return
    with replacing(path) as new, new.open("xb+") as file:
        hdf5.written(file, arrays, names)


def _contents(model: Any, space: Any = None) -> tuple[dict[str, np.ndarray], dict[str, str], dict[str, Layer]]:
    """The weights by their places in the model, or in the feature space, the names of all groups, and the layers."""
    model.named_weights()  # parameters learn their paths, by which an optimiser knows them
    groups, masters = groups_of(model if space is None else space, {}), optimizer_state.masters(model)

    def host(parameter: Parameter) -> np.ndarray:
        return _as_stored(to_numpy(parameter.value), masters.get(parameter.path))

    arrays: dict[str, np.ndarray] = {}
    for group in groups:
        if group.layer is not None and group.stores_itself:
            own = stored(group.layer, group.label, host)
            arrays |= {f"{group.variables}{name}": array for name, array in own.items()}
        else:
            arrays |= {path: host(parameter) for path, parameter in group.places()}
    arrays |= {f"{group.path}/{IDF_WEIGHTS}": group.idf_weights for group in groups if group.idf_weights is not None}
    names = {group.path: group.name for group in groups}
    return arrays, names, {group.path: group.layer for group in groups if group.layer is not None}


def _as_stored(array: np.ndarray, master: np.ndarray | None) -> np.ndarray:
    """Counts are int32 there, and weights of layers that compute in float16 are float32, as they are trained.

    master : what an optimiser has trained, if the array is still that, rounded.
    """
    if array.dtype == np.float16:
        wide = array.astype(np.float32)
        if master is None:
            return wide
        with np.errstate(over="ignore"):
            return np.where(master.astype(np.float16) == array, master, wide)
    return array.astype(np.int32) if array.dtype == np.int64 else array


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.external_attr = 0o644 << 16
    return member


def _add(archive: zipfile.ZipFile, path: Path) -> None:
    member = _member(path.name)
    member.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(member, "w") as target:
        while block := source.read(1 << 20):
            target.write(block)
