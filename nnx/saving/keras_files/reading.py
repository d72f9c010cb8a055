"""Reading files of Keras: models, as they were compiled and trained, and weights."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from nnx.backends import backend, get_backend, to_numpy
from nnx.descriptions import check_objects, parsed, without_other_files
from nnx.layers.first_values import room_for_weights
from nnx.names import shortened
from nnx.parameters import Parameter
from nnx.precision import wide
from nnx.saving.keras_files import optimizer_state
from nnx.saving.keras_files.archive import KerasFile, opened
from nnx.saving.keras_files.assets import load_assets
from nnx.saving.keras_files.graphs import functional_from
from nnx.saving.keras_files.hdf5 import DamagedError
from nnx.saving.keras_files.layers import LayerReader
from nnx.saving.keras_files.objects import made_loss, made_metrics, made_optimizer
from nnx.saving.keras_files.places import groups_of, trained_in_order
from nnx.saving.keras_files.vocabularies import with_vocabularies
from nnx.saving.keras_files.weights import Found, assign, found_weights, optimizer_arrays, scale_arrays

__all__ = ["load_keras_model", "load_keras_weights"]

_SPARE_NUMBERS = 1 << 16
_LONGEST_REASON = 2000
_DAMAGE = (LookupError, ArithmeticError, TypeError, AttributeError, RecursionError, MemoryError, json.JSONDecodeError)


@contextlib.contextmanager
def _named_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """A block whose errors are ValueErrors that name the file."""
    try:
        yield
    except DamagedError as error:
        raise ValueError(f"cannot load {path}: it {shortened(str(error), _LONGEST_REASON)}") from error
    except _DAMAGE as error:
        what = shortened(f"{type(error).__name__}: {error}", _LONGEST_REASON)
        raise ValueError(f"cannot load {path}: it is damaged ({what})") from error
    except ValueError as error:
        is_unknown = str(error).startswith("unknown") and "custom_objects" not in str(error)
        hint = "; one of your own goes into custom_objects={name: object}" if is_unknown else ""
        raise ValueError(f"cannot load {path}: {shortened(str(error), _LONGEST_REASON)}{hint}") from error


def load_keras_model(path: str | os.PathLike[str], compile: bool = True) -> Any:
    """The model, or the feature space, in a file of Keras: .keras of Keras 3 and 2.15, or a whole model in .h5.

    compile : whether to restore the optimiser and what it has learned, the loss and the metrics too.

    ValueError that names the file, for what is damaged, what nnx does not have, and code, which is never run;
    ImportError without h5py.
    """
    with _named_errors(path), opened(path) as file:
        if file.config is None:
            raise ValueError("it has only weights: build the model and call load_weights")
        description = parsed(file.config)
        check_objects(description)
        if not isinstance(description, dict):
            raise ValueError("its description of the model is no dict")
        dtype = _dtype_of(description) or get_backend().dtype
        here = get_backend()
        room = _SPARE_NUMBERS + sum(_size(stored.shape) for stored in file.arrays.values())
        reader = LayerReader(dtype, functional_from)
        with backend(here.name, device=here.device, dtype=dtype):
            with room_for_weights(room), without_other_files():
                whole = reader.layer(with_vocabularies(description, file))
                model = whole.as_model(True) if hasattr(whole, "as_model") else whole
            if not hasattr(model, "compile_arguments"):
                raise ValueError(f"it is a {type(model).__name__}, not a model")
            if not model.built:
                raise ValueError(f"its model {shortened(model.name)!r} was never built, so it has no weights")
            found = found_weights(file, whole, reader.order)
            assign(model, found)
            layers = {group.path: group.layer for group in groups_of(whole, reader.order) if group.layer is not None}
            load_assets(layers, file.assets)
            model.named_weights()  # parameters learn their paths, by which an optimiser knows them
            if compile:
                _restore_training(model, _training_of(file, description), file, reader, found)
    return whole


def load_keras_weights(model: Any, path: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Read the weights of a file of Keras into a model of the same architecture: all or none.

    skip_mismatch : leave weights as they are, with a warning, that are not in the file or have another shape there.
    """
    with _named_errors(path), opened(path) as file:
        assign(model, found_weights(file, model, {}, skip_mismatch), skip_mismatch)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for one in shape:
        size *= one
    return size


def _dtype_of(description: Any) -> str | None:
    """The floating dtype of the first layer that has one."""
    open_ones = [description]
    while open_ones:
        one = open_ones.pop()
        if isinstance(one, list):
            open_ones.extend(reversed(one))
            continue
        if not isinstance(one, dict):
            continue
        settings = one.get("config")
        if isinstance(settings, dict) and one.get("class_name") != "InputLayer":
            dtype = settings.get("dtype")
            if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict):
                dtype = dtype["config"].get("name")
            if dtype in ("float16", "float32", "float64", "mixed_float16"):
                return str(dtype).removeprefix("mixed_")
        open_ones.extend(value for key, value in reversed(list(one.items())) if key in ("config", "layers", "layer"))
    return None


def _training_of(file: KerasFile, description: dict[str, Any]) -> dict[str, Any] | None:
    """How the model was compiled; None for one that was not."""
    if file.training is not None:
        training = parsed(file.training)
        training["optimizer"] = training.pop("optimizer_config", None)
    else:
        training = description.get("compile_config")
    if not training:
        return None
    if not isinstance(training, dict):
        raise ValueError("its description of the training is no dict")
    check_objects(training)
    return training


def _restore_training(
    model: Any,
    training: dict[str, Any] | None,
    file: KerasFile,
    reader: LayerReader,
    found: Found,
) -> None:
    if training is None:
        return
    if model.overrides("compile", "compile_from_config"):
        model.compile_from_config(training)
    else:
        model.compile(
            optimizer=made_optimizer(training.get("optimizer"), "the optimizer"),
            loss=made_loss(training.get("loss")),
            loss_weights=training.get("loss_weights"),
            metrics=made_metrics(_of_outputs(training.get("metrics"), model)),
            weighted_metrics=made_metrics(_of_outputs(training.get("weighted_metrics"), model)),
        )
    stored = optimizer_arrays(file)
    if stored and model.optimizer is not None:
        shapes = [one.shape for one in stored]
        trained = trained_in_order(model, reader.order)
        scale = [one.read() for one in scale_arrays(file)]

        def value(one: Parameter) -> Any:
            return found.weights[one].read() if one in found.weights else to_numpy(wide(one.value))

        optimizer_state.restore(model, trained, shapes, lambda index: stored[index].read(), value, scale)


def _of_outputs(metrics: Any, model: Any) -> Any:
    """Metrics of one output, which Keras 2 puts into a list for each output."""
    if isinstance(metrics, list) and len(metrics) == 1 and isinstance(metrics[0], list):
        return metrics[0]
    return metrics
