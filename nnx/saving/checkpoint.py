"""A training in one file: the model, and all that `fit` needs to go on in the middle of it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from nnx import random
from nnx.descriptions import parsed
from nnx.names import shortened
from nnx.saving.differences import differences
from nnx.saving.files import write_file
from nnx.saving.keras_files.stores import put_back_if_it_fails
from nnx.saving.model_file import DAMAGE, LONGEST_REASON, contents, describe, generators, restore_optimizer
from nnx.saving.packing import pack, unpack
from nnx.saving.weights import assign_weights

_MOST_DIFFERENCES = 5


def save_checkpoint(model: Any, path: str | os.PathLike[str], previous: Path | None = None) -> None:
    """Write where the training of a model is, to go on from there. For callbacks, after a batch or an epoch.

    The file is that of `save_model`, with the position of the training as well; `load_model` and `load_weights` read it
    too. A model with an anonymous function has no description in it, only its state.

    previous : what the file that was there is called from now on.

    TypeError for what cannot be saved in the state of a callback.
    """
    arrays, metadata = contents(model, _description(model))
    run = {
        **model.training_run.state(),
        "random": random.default().state(),
        "states": {path: layer.states for path, layer in _layers_with_states(model).items()},
    }
    position, more = pack(run, "run.", "the state of the training")
    write_file(path, {**arrays, **more}, {**metadata, "run": json.dumps(position)}, previous)


def restore_checkpoint(model: Any, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str], path: str) -> None:
    """Let a model's training, which has just begun, go on from where `save_checkpoint` was called, on any backend.

    arrays, metadata : what is in the file.
    path : how error messages call it.

    ValueError for a file that is damaged, or was written by another training: it names what differs. Then the model is
    as it was.
    """
    if "run" not in metadata or "training" not in metadata:
        raise ValueError(f"cannot go on from {path}: it does not say where a training was")
    try:
        training = parsed(metadata["training"])
        run = unpack(parsed(metadata["run"]), arrays)
        _require_same(model, metadata, training)
        before = _State.of(model)
        with put_back_if_it_fails(layer for layer in model.named_layers().values() if layer.stores_itself):
            try:
                model.training_run.set_state(run)
                _State(arrays, training["optimizer_state"], parsed(metadata["random"]), run["states"]).give_to(model)
                random.default().set_state(run["random"])
            except BaseException:
                before.give_to(model)
                raise
    except DAMAGE as error:
        what = shortened(f"{type(error).__name__}: {error}", LONGEST_REASON)
        raise ValueError(f"cannot go on from {path}: it is damaged ({what})") from error
    except ValueError as error:
        raise ValueError(f"cannot go on from {path}: {shortened(str(error), LONGEST_REASON)}") from error


@dataclasses.dataclass(frozen=True)
class _State:
    """What changes in a model when it is trained.

    arrays : parameters and slots, under their names in a file.
    optimizer : the optimiser's state without its slots. streams : the state of each random stream.
    states : the states of recurrent layers that remember them.
    """

    arrays: Mapping[str, np.ndarray]
    optimizer: Mapping[str, Any]
    streams: Mapping[str, Any]
    states: Mapping[str, Any]

    @classmethod
    def of(cls, model: Any) -> Self:
        arrays, _ = contents(model, {}, own_stores=False)
        return cls(
            {name: np.array(array) for name, array in arrays.items()},
            model.optimizer.state(),
            {path: generator.state() for path, generator in generators(model).items()},
            {path: layer.states for path, layer in _layers_with_states(model).items()},
        )

    def give_to(self, model: Any) -> None:
        streams, layers = generators(model), _layers_with_states(model)
        if streams.keys() != self.streams.keys() or layers.keys() != self.states.keys():
            raise ValueError("its random streams and states are not those of the layers")
        assign_weights(model, dict(self.arrays), "it")
        restore_optimizer(model, self.optimizer, self.arrays)
        for path, state in self.streams.items():
            streams[path].set_state(state)
        for path, states in self.states.items():
            layers[path].reset_states(states)


def _layers_with_states(model: Any) -> dict[str, Any]:
    return {path: layer for path, layer in model.named_layers().items() if hasattr(layer, "states")}


def _description(model: Any) -> dict[str, Any]:
    """What the model and its training are; nothing where a part of them is an anonymous function."""
    try:
        return describe(model)
    except TypeError:
        return {}


def _require_same(model: Any, metadata: Mapping[str, str], training: Mapping[str, Any]) -> None:
    """ValueError unless a file is of a model like this one that is trained in the same way."""
    paths = {parameter: path for path, parameter in model.named_weights().items()}
    now = {
        **_description(model),
        "dtype": model.placement.dtype,
        "trained weights": [paths[parameter] for parameter in model.flat.parameters],
    }
    then = {
        "model": parsed(metadata.get("model", "null")),
        "compile": training.get("compile"),
        "optimizer": training.get("optimizer"),
        "dtype": metadata["dtype"],
        "trained weights": training["trained"],
    }
    if "model" not in now or then["model"] is None:  # where one has no description, shapes have to do
        now, then = ({key: side[key] for key in ("dtype", "trained weights")} for side in (now, then))
    else:
        rates = [side["optimizer"]["config"].pop("learning_rate") for side in (then, now)]
        if not all(isinstance(rate, int | float) for rate in rates):  # a number is a state: callbacks change it
            then["learning rate"], now["learning rate"] = rates
    found = list(differences(then, now))
    if found:
        listing = "; ".join(found[:_MOST_DIFFERENCES]) + "; and more" * (len(found) > _MOST_DIFFERENCES)
        raise ValueError(f"it was written by a training of another kind: {listing}")
