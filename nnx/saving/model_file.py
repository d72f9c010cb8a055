"""A whole model in one safetensors file: architecture, parameters, optimiser state and random streams."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nnx import optimizers
from nnx.arguments import OF_ASSETS
from nnx.backends import backend, get_backend, to_numpy
from nnx.descriptions import check_objects, parsed, without_other_files
from nnx.layers.first_values import room_for_weights
from nnx.layers.layer import registry
from nnx.names import shortened
from nnx.random import Generator
from nnx.registry import custom_objects as custom_objects_scope
from nnx.registry import serialize
from nnx.saving.files import read_file, write_file
from nnx.saving.keras_files.archive import is_keras_file
from nnx.saving.keras_files.assets import load_assets, saved_assets
from nnx.saving.keras_files.reading import load_keras_model
from nnx.saving.keras_files.stores import each_once
from nnx.saving.keras_files.writing import save_keras_model
from nnx.saving.keras_objects import serialize_keras_object
from nnx.saving.weights import assign_weights, is_for_keras, weight_arrays

FORMAT = "nnx-model-1"
_OF_OPTIMIZER = "optimizer."
LONGEST_REASON = 2000  # of an error, in characters: names in a file may be of any length
_SPARE_NUMBERS = 1 << 16  # that a model may have more than its file, to be told in which weights it differs

DAMAGE = (json.JSONDecodeError, LookupError, ArithmeticError, TypeError, AttributeError, RecursionError, MemoryError)
"""What reading a description that is not what `save_model` wrote can end in."""


def save_model(
    model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, zipped: bool | None = None
) -> None:
    """Write a model to one file, so that `load_model` gives it back and training can go on.

    model : a model, or a `nnx.utils.FeatureSpace`.
    filepath : a name that ends in ".keras" gives a file in Keras' format, which lacks history and random streams, where
        the package h5py is installed; any other name a safetensors file, with a warning under a name of Keras.
    overwrite : whether a file of that name may be replaced; FileExistsError if not.
    zipped : None or True: there is one file. ValueError for False, which in Keras gives a folder.

    Parameters are under their paths ("dense_1/kernel"), optimiser slots under "optimizer.<slot>/<path>"; architecture,
    compile arguments, step, history and random streams are JSON in the metadata. No pickle. What layers of one's own
    store themselves is under "own_variables.<path>/<name>", and the files they write under "assets.<path>/<file>".

    The file is complete or not there: it is written under another name first, and takes over the mode and the owner of
    the one that it replaces; a link is written through. A model that has not changed gives equal bytes.

    TypeError for a model with an anonymous function, which cannot be saved; PermissionError for a file that is
    read-only, and OSError, with the path, for a full disk, a pipe or a device.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> save_model(model, Path(folder.name, "model.safetensors"))
    >>> sorted(path.name for path in Path(folder.name).iterdir())
    ['model.safetensors']
    >>> folder.cleanup()
    """
    if zipped is False:
        raise ValueError("save_model: zipped=False: nnx writes one file, and no folder: leave it out")
    whole, model = model, _model_of(model)
    model.require_built("parameters to save")
    if is_for_keras(filepath, overwrite):
        save_keras_model(model, filepath, None if whole is model else whole)
    else:
        write_file(filepath, *contents(model, describe(model, whole)))


def _model_of(thing: Any, is_adapted: bool = False) -> Any:
    """The model that something is, or that has the weights of a feature space."""
    return thing.as_model(is_adapted) if hasattr(thing, "as_model") else thing


def describe(model: Any, whole: Any = None) -> dict[str, Any]:
    """The architecture, the arguments of `compile` and the optimiser as plain data that fit into JSON.

    whole : a feature space that stands in the place of the model, which has its layers.

    TypeError where an anonymous function is a part of them.
    """
    described = {"model": serialize(model if whole is None else whole)}
    if model.objective is not None:
        described |= {"compile": serialize(model.compile_arguments), "optimizer": serialize(model.optimizer)}
        if model.overrides("get_compile_config"):
            described["own_compile"] = serialize_keras_object(model.get_compile_config())
    text = json.dumps(described)
    return json.loads(text)  # type: ignore[no-any-return]


def contents(
    model: Any, description: Mapping[str, Any], own_stores: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """What a model's file has, arrays and texts under their names.

    description : what `describe` returned; where it is empty, the file is good for a model that is there already.
    own_stores : whether layers that store themselves do so, in place of their weights.
    """
    description = dict(description)
    arrays = weight_arrays(model, own_stores)
    metadata = {
        "format": FORMAT,
        "dtype": model.placement.dtype,
        "random": json.dumps({path: generator.state() for path, generator in generators(model).items()}),
    }
    if "model" in description:
        metadata["model"] = json.dumps(description.pop("model"))
        metadata["build"] = json.dumps({"input_shape": model.build_shape, "input_structure": model.input_structure})
        assets = saved_assets(each_once(model.named_layers()))
        arrays |= {f"{OF_ASSETS}{path}": np.frombuffer(content, np.uint8) for path, content in assets.items()}
    if model.objective is not None:
        state = model.optimizer.state_arrays(model.flat) if model.optimizer else {}
        arrays |= {f"{_OF_OPTIMIZER}{name}": to_numpy(array) for name, array in state.items()}
        training = {
            **description,
            "optimizer_state": model.optimizer.state() if model.optimizer else None,
            "trained": [parameter.path for parameter in model.flat.parameters],
            "history": None if model.history is None else _plain_history(model.history.history),
            "epoch": None if model.history is None else model.history.epoch,
        }
        metadata["training"] = json.dumps(training, default=_number)
    return arrays, metadata


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Build the model that a file describes, in the current backend, wherever it was saved; its dtype is kept.

    filepath : a file that nnx wrote, or one of Keras, recognised by its content: .keras, or a whole model in .h5. For
        these the package h5py is needed: ImportError.
    custom_objects : classes and functions of your own that the model uses, by name.
    compile : whether to restore the optimiser and its state, the loss and the metrics too.
    safe_mode : accepted for scripts written for Keras; no code in a file is run, whatever it says.

    No initial weights are drawn. FileNotFoundError, or ValueError that says what is wrong with the file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = tempfile.TemporaryDirectory()
    >>> import nnx
    >>> model = nnx.Sequential([nnx.layers.Dense(1, input_shape=(2,))])
    >>> save_model(model, Path(folder.name, "model.safetensors"))
    >>> loaded = load_model(Path(folder.name, "model.safetensors"))
    >>> bool((loaded.get_weights()[0] == model.get_weights()[0]).all())
    True
    >>> folder.cleanup()
    """
    if is_keras_file(filepath):
        with custom_objects_scope(custom_objects):
            return load_keras_model(filepath, compile)
    arrays, metadata = read_file(filepath)
    if metadata.get("format") != FORMAT or "model" not in metadata:
        hint = "it has only weights: build the model and call load_weights" if arrays else "it is empty"
        if str(metadata.get("format")).startswith("nnx-model"):
            unknown = shortened(metadata["format"])
            hint = f"its format {unknown!r} is not known to this version, which reads {FORMAT!r}; update nnx"
        raise ValueError(f"{filepath} is not a model saved by nnx: {hint}")
    with custom_objects_scope(custom_objects):
        try:
            here = get_backend()
            room = _SPARE_NUMBERS + sum(array.size for array in arrays.values())
            size = sum(array.nbytes for array in arrays.values()) + sum(map(len, metadata.values()))
            with (
                backend(here.name, device=here.device, dtype=metadata["dtype"]),
                room_for_weights(room),
                without_other_files(),
            ):
                description = parsed(metadata["model"])
                check_objects(description, size)
                whole = registry.build(description)
                model = _model_of(whole, True)
                if not hasattr(model, "compile_arguments"):
                    raise ValueError(f"it is a {type(model).__name__}, not a model")
                if not model.built:  # a subclass, which is known by the arguments of its constructor
                    build = parsed(metadata["build"])
                    model.input_structure = build["input_structure"]
                    model.build(build["input_shape"])
            assign_weights(model, arrays, str(filepath))
            load_assets(each_once(model.named_layers()), _assets_in(arrays))
            for path, state in parsed(metadata["random"]).items():
                _set_generator(model, path, Generator.from_state(state))
            if compile and "training" in metadata:
                _restore_training(model, parsed(metadata["training"]), arrays)
        except DAMAGE as error:
            what = shortened(f"{type(error).__name__}: {error}", LONGEST_REASON)
            raise ValueError(f"cannot load {filepath}: its description of the model is damaged ({what})") from error
        except ValueError as error:
            is_unknown = str(error).startswith("unknown") and "custom_objects" not in str(error)
            hint = "; one of your own goes into custom_objects={name: object}" if is_unknown else ""
            raise ValueError(f"cannot load {filepath}: {shortened(str(error), LONGEST_REASON)}{hint}") from error
        except Exception as error:  # of a class of the user's
            error.add_note(f"while {filepath} was loaded")
            raise
    return whole


def _assets_in(arrays: Mapping[str, np.ndarray]) -> dict[str, Callable[[], bytes]]:
    return {name.removeprefix(OF_ASSETS): array.tobytes for name, array in arrays.items() if name.startswith(OF_ASSETS)}


def _restore_training(model: Any, training: dict[str, Any], arrays: Mapping[str, Any]) -> None:
    generator = model.random
    optimizer = training["optimizer"]
    own = training.get("own_compile")
    check_objects([training["compile"], optimizer, own])
    if own is None:
        made = None if optimizer is None else optimizers.resolve(optimizer)
        own = {"optimizer": made, **training["compile"]}
    model.compile_from_config(own)
    model.random = generator or model.random
    if model.objective is not None:
        model.restore_trained(training["trained"])
    if model.objective is not None and optimizer is not None:
        restore_optimizer(model, training["optimizer_state"], arrays)
    history, epochs = training["history"], training["epoch"]
    if history is not None:
        if not isinstance(epochs, list) or not all(isinstance(epoch, int) for epoch in epochs):
            raise TypeError(f"the epochs of a history are whole numbers, not {epochs!r}")
        model.restore_history({name: _recorded(values) for name, values in history.items()}, epochs)


def _recorded(values: Any) -> list[Any]:
    """The values of a name in a history: numbers, and lists of numbers, which become arrays."""
    found = [np.asarray(value) if isinstance(value, list) else value for value in values]
    if not isinstance(values, list) or not all(
        type(value) is float or (np.size(value) and np.asarray(value).dtype.kind in "biuf") for value in found
    ):
        raise TypeError(f"a history is made of lists of numbers, not of {values!r}")
    return found


def restore_optimizer(model: Any, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Let a model's optimiser go on from its state and the slots in a file."""
    if not isinstance(state["steps"], int) or not 0 <= state["steps"] < 1 << 63:
        raise TypeError(f"the optimizer cannot have made {state['steps']!r} steps")
    slots = {name.removeprefix(_OF_OPTIMIZER): a for name, a in arrays.items() if name.startswith(_OF_OPTIMIZER)}
    model.optimizer.set_state(state)
    model.optimizer.load_state_arrays(model.flat, slots)


def generators(model: Any) -> dict[str, Generator]:
    return {path: layer.random for path, layer in model.named_layers().items() if layer.random is not None}


def _plain_history(history: Mapping[str, Any]) -> Any:
    try:
        return serialize(history)
    except TypeError as error:
        raise TypeError(f"the history has what cannot be saved, which a callback has put there: {error}") from None


def _number(value: Any) -> Any:
    """What a callback may have put into the history, numbers and arrays of NumPy, for JSON."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"the history has {value!r} of type {type(value).__name__}, which cannot be saved")


def _set_generator(model: Any, path: str, generator: Generator) -> None:
    layers = model.named_layers()
    if path not in layers:
        raise ValueError(f"{model.name} has no layer {path!r}, whose random stream the file has")
    layers[path].random = generator
