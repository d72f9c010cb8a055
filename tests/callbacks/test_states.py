"""A training that goes on from what a checkpoint has kept of its callbacks decides as one that never stopped."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnx.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from nnx.optimizers import SGD
from nnx.random import Generator

EPOCHS, BATCHES = 12, 3
CURVE = [round(float(draw), 2) for draw in Generator(3).uniform((EPOCHS,))]

KINDS: dict[str, Callable[[], Callback]] = {
    "early stopping": lambda: EarlyStopping("loss", patience=4, restore_best_weights=True),
    "early stopping, without weights": lambda: EarlyStopping("loss", patience=4, baseline=0.3, min_delta=0.1),
    "early stopping, late": lambda: EarlyStopping("loss", patience=2, start_from_epoch=5, restore_best_weights=True),
    "plateau": lambda: ReduceLROnPlateau("loss", patience=2, cooldown=2, factor=0.5),
    "schedule": lambda: LearningRateScheduler(lambda epoch, lr: lr * 0.9),
    "best": lambda: ModelCheckpoint("m{epoch}", "loss", save_best_only=True),
    "every fifth batch": lambda: ModelCheckpoint("m{epoch}-{batch}", save_freq=5),
    "not a number": TerminateOnNaN,
    "csv": lambda: CSVLogger("log.csv"),
    "csv, appended": lambda: CSVLogger("log.csv", append=True),
}


class Played:
    """A model that is only weights, which name the epoch, and a learning rate."""

    def __init__(self) -> None:
        self.optimizer = SGD(0.1)
        self.stop_training = False
        self.weights = [np.zeros(2)]
        self.files: list[str] = []

    def get_weights(self) -> list[np.ndarray]:
        return [weight.copy() for weight in self.weights]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weights = [np.array(weight) for weight in weights]

    def save(self, path: str, overwrite: bool) -> None:
        self.files.append(path)


def play(callback: Callback, model: Any, epochs: range, state: Any = None) -> Any:
    """Train for some epochs, to the end of which a checkpoint is made; returns what it keeps."""
    callback.set_model(model)
    callback.on_train_begin()
    if state is not None:
        callback.set_state(state)
    kept = callback.state()
    for epoch in epochs:
        if model.stop_training:
            break
        callback.on_epoch_begin(epoch)
        for batch in range(BATCHES):
            callback.on_train_batch_end(batch, {"loss": CURVE[epoch]})
        model.set_weights([np.full(2, float(epoch))])
        callback.on_epoch_end(epoch, {"loss": CURVE[epoch]})
        kept = callback.state()
    return through_a_file(kept)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """What is left of a state after JSON, arrays apart, as a checkpoint keeps them."""
    arrays = {name: value for name, value in state.items() if holds_arrays(value)}
    assert all(array.dtype.kind == "f" for value in arrays.values() for array in value)
    return {**json.loads(json.dumps({n: v for n, v in state.items() if n not in arrays})), **arrays}


def holds_arrays(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, np.ndarray) for item in value)


def outcome(callback: Callback, model: Any) -> Any:
    callback.on_train_end({})
    log = Path("log.csv")
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    log.unlink(missing_ok=True)
    weights = [weight.tolist() for weight in model.weights]
    return model.optimizer.learning_rate, model.stop_training, weights, model.files, text


@pytest.mark.parametrize("stop", [0, 1, 3, 6, 11])
@pytest.mark.parametrize("name", KINDS)
def test_goes_on_as_if_it_had_not_stopped(name: str, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    whole, model = KINDS[name](), Played()
    play(whole, model, range(EPOCHS))
    expected = outcome(whole, model)
    first, model = KINDS[name](), Played()
    state = play(first, model, range(stop))
    # two more epochs that are lost in a crash, except for what is in files
    first.set_model(copy.deepcopy(model))
    for epoch in range(stop, min(stop + 2, EPOCHS)):
        first.on_epoch_begin(epoch)
        first.on_epoch_end(epoch, {"loss": CURVE[epoch]})
    if isinstance(first, CSVLogger):
        first.on_train_end()  # the end of a process closes its file
    second = KINDS[name]()
    play(second, model, range(stop, EPOCHS), state)
    assert outcome(second, model) == expected


def test_the_scenarios_are_worth_playing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The scripted curve makes every kind with a state do something."""
    monkeypatch.chdir(tmp_path)
    seen = {}
    for name, make in KINDS.items():
        callback, model = make(), Played()
        play(callback, model, range(EPOCHS))
        seen[name] = outcome(callback, model)
    assert seen["early stopping"][1]
    assert seen["early stopping, late"][1]
    assert 0 < seen["early stopping"][2][0][0] < EPOCHS - 1
    assert seen["plateau"][0] < 0.1
    assert len(seen["best"][3]) > 1
    assert len(seen["every fifth batch"][3]) == EPOCHS * BATCHES // 5
    assert len(seen["csv"][4].splitlines()) == EPOCHS + 1


def test_nothing_is_the_default():
    callback = Callback()
    assert callback.state() == {}
    callback.set_state({})
