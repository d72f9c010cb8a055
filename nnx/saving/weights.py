"""The parameters of a model in a file."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np

from nnx.arguments import OF_STORES, RESERVED_PREFIXES, check_name, refuse
from nnx.backends import to_numpy
from nnx.names import shortened
from nnx.parameters import Parameter
from nnx.saving.files import read_file, write_file
from nnx.saving.keras_files.archive import is_keras_file
from nnx.saving.keras_files.reading import load_keras_weights
from nnx.saving.keras_files.stores import each_once, kept_by_path, load_stores, stored
from nnx.saving.keras_files.writing import save_keras_weights
from nnx.user_warnings import warn_user


def weight_arrays(model: Any, own_stores: bool = True) -> dict[str, np.ndarray]:
    """Every parameter of a model on the host, by its path. ValueError for a path that names something else in files.

    own_stores : whether layers that store themselves do so, in place of their weights.
    """
    named, layers = model.named_weights(), model.named_layers()
    for path in named:
        check_name(path.partition("/")[0])  # a name may have been set after the constructor
    own = {path: layer for path, layer in each_once(layers).items() if own_stores and layer.stores_itself}
    kept = kept_by_path(layers, set(own.values()))
    arrays = {path: to_numpy(parameter.value) for path, parameter in named.items() if parameter in kept}
    for path, layer in own.items():
        arrays |= {f"{OF_STORES}{path}/{name}": array for name, array in stored(layer, path or layer.name).items()}
    return arrays


def save_weights(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, max_shard_size: float | None = None
) -> None:
    """Write the parameters to a safetensors file, each under its path such as "dense_1/kernel".

    filepath : a name that ends in ".weights.h5" gives a file in Keras' format, where the package h5py is installed; a
        warning says where a name of Keras gives a safetensors file.
    overwrite : whether a file of that name may be replaced; FileExistsError if not. Other errors as of `save_model`.
    max_shard_size : None: there is one file. ValueError for anything else.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> save_weights(model, Path(folder.name, "weights.safetensors"))
    >>> sorted(read_file(Path(folder.name, "weights.safetensors"))[0])
    ['dense/bias', 'dense/kernel']
    >>> folder.cleanup()
    """
    refuse("save_weights", max_shard_size=max_shard_size)
    model.require_built("weights to save")
    if is_for_keras(filepath, overwrite, ".weights.h5"):
        save_keras_weights(model, filepath)
        return
    write_file(filepath, weight_arrays(model), {"format": "nnx-weights"})


def load_weights(model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Read parameters that `save_weights` or `save` has written, here or in Keras, into a model of one architecture.

    skip_mismatch : leave parameters as they are, with a warning, where the file has none of that name and shape, or one
        in numbers of another kind. Numbers of another size are converted, bfloat16 among them.

    ValueError that names what is missing or differs, what is wrong with the file, or which layer failed to take what it
    has stored; then nothing is changed. Files that layers have written are not read.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> save_weights(model, Path(folder.name, "weights.safetensors"))
    >>> load_weights(model, Path(folder.name, "weights.safetensors"))
    >>> folder.cleanup()
    """
    model.require_built("weights to load into")
    if is_keras_file(filepath):
        load_keras_weights(model, filepath, skip_mismatch)
        return
    arrays, _ = read_file(filepath)
    assign_weights(model, arrays, str(filepath), skip_mismatch)


def assign_weights(model: Any, arrays: dict[str, np.ndarray], source: str, skip_mismatch: bool = False) -> None:
    """Give a model's parameters the values of that path, all or none.

    arrays : those of parameters are taken out, so that a large one is in memory once. They may become the parameters'.
    """
    named, layers = model.named_weights(), model.named_layers()
    stores: dict[str, dict[str, np.ndarray]] = {}
    for name in [name for name in arrays if name.startswith(OF_STORES)]:
        path, _, inner = name.removeprefix(OF_STORES).rpartition("/")
        stores.setdefault(path, {})[inner] = arrays.pop(name)
    own = {
        path: layer
        for path, layer in each_once(layers).items()
        if layer.stores_itself and (path in stores or not any(one.path in arrays for one in layer.own_variables))
    }  # without those of a file in which each weight is under its path
    kept = kept_by_path(layers, set(own.values()))
    found: dict[str, str] = {}
    hosts: dict[str, np.ndarray] = {}  # all are converted before the first is assigned
    for path, parameter in named.items():
        if parameter not in kept:
            continue
        array = arrays.pop(path, None)
        problem = _problem(path, parameter, array)
        if array is not None and problem is None:
            try:
                with np.errstate(over="raise"):
                    hosts[path] = np.asarray(array, dtype=parameter.dtype)
            except FloatingPointError:
                problem = f"{path} is {parameter.dtype}, in the file are numbers too large for it"
        if problem is not None:
            found[path] = problem
        del array
    extra = [name for name in arrays if not name.startswith(RESERVED_PREFIXES)]
    extra += [f"{path}/{inner}" for path in stores if path not in own for inner in stores[path]]
    if found or extra:
        more = [f"{shortened(name)} is in the file, the model has no such parameter" for name in extra[:8]]
        listing, count = [*map(shortened, found.values()), *more], len(found) + len(extra)
        message = f"{source} does not fit {shortened(model.name)}: " + "; ".join(listing[:8])
        message += f"; and {count - 8} more" if count > 8 else ""
        if not skip_mismatch:
            raise ValueError(message)
        warn_user(message)
    given = ((path or layer.name, layer, stores.get(path, {})) for path, layer in own.items())
    for problem in load_stores(given, skip_mismatch, f"{source}: "):
        warn_user(problem)
    with model.placement.computing:
        for path in list(hosts):
            parameter = named[path]
            value = model.placement.asarray(hosts.pop(path), parameter.dtype)
            if parameter.backward is None:  # not in a model's buffer: no copy is needed
                parameter.memory = value
            else:
                parameter.value[...] = value


def _problem(path: str, parameter: Parameter, array: np.ndarray | None) -> str | None:
    if array is None:
        return f"{path} of shape {parameter.shape} is not in the file"
    if array.shape != parameter.shape:
        return f"{path} has shape {parameter.shape}, in the file {array.shape}"
    if not np.can_cast(array.dtype, parameter.dtype, "same_kind"):
        return f"{path} is {parameter.dtype}, in the file {array.dtype}"
    return None


def is_for_keras(filepath: str | os.PathLike[str], overwrite: bool, ending: str = ".keras") -> bool:
    """Whether a file of that name is written in Keras' format: with `ending`, where h5py is installed.

    Under Keras' other names, and without h5py, a training shall not be lost: a warning says that the file is nnx's own.
    FileExistsError for a file that is there and is to stay.
    """
    if not overwrite and os.path.exists(filepath):
        raise FileExistsError(f"{filepath} already exists; pass overwrite=True to replace it")
    name = os.fspath(filepath)
    if not name.endswith((".h5", ".hdf5", ".keras")):
        return False
    if name.endswith(ending):
        if importlib.util.find_spec("h5py") is not None:
            return True
        advice = "pip install 'nnx-array[keras-files]', or call it .safetensors"
    else:
        advice = "call it .keras for a model, .weights.h5 for weights, in Keras' formats, or .safetensors for either"
    warn_user(f"{filepath} is a safetensors file, which nnx reads and Keras does not: {advice}")
    return False
