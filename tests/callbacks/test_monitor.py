"""Which value is watched, and which way is better. Decisions are compared with Keras in tests/oracles."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from nnx.callbacks.monitor import MonitorCallback
from nnx.layers import Dense
from nnx.random import Generator

X = np.float32(Generator(1).normal((12, 3)))
Y = np.float32(Generator(2).normal((12, 1)))


def value(y_true: Any, y_pred: Any) -> Any:
    """A metric of which nobody knows which way is better."""
    return (y_pred - y_true) ** 2


def trained() -> nnx.Sequential:
    model = nnx.Sequential([Dense(1, "sigmoid", input_dim=3)])
    metrics = ["acc", "mse", "cosine_similarity", nnx.losses.mean_absolute_error, value]
    model.compile("sgd", "mse", metrics=metrics, weighted_metrics=[nnx.metrics.RootMeanSquaredError("rmse")])
    model.fit(X, np.float32(Y > 0), verbose=0)
    return model


@pytest.mark.parametrize(
    ("monitor", "direction"),
    [
        ("loss", "min"),
        ("val_loss", "min"),
        ("acc", "max"),
        ("val_acc", "max"),
        ("val_mse", "min"),
        ("val_cosine_similarity", "max"),
        ("mean_absolute_error", "min"),
        ("rmse", "min"),
    ],
)
def test_auto_knows_losses_and_metrics(monitor: str, direction: str):
    callback = MonitorCallback(monitor)
    callback.set_model(trained())
    assert callback.direction == direction


@pytest.mark.parametrize("monitor", ["val_value", "val_auc", "learning_rate"])
def test_auto_says_what_it_does_not_know(monitor: str):
    callback = EarlyStopping(monitor)
    callback.set_model(trained())
    with pytest.raises(ValueError, match=rf"EarlyStopping received monitor='{monitor}', .* Pass mode='max'"):
        callback.on_epoch_end(0, {monitor: 1.0})
    assert MonitorCallback(monitor, "max").direction == "max"


def test_auto_knows_each_of_several_outputs():
    x = nnx.Input((3,))
    model = nnx.Model(x, [Dense(1, "sigmoid", name="a")(x), Dense(1, name="b")(x)])
    model.compile("sgd", {"a": "binary_crossentropy", "b": "mse"}, metrics={"a": ["acc"], "b": ["mae"]})
    stopping = EarlyStopping("val_a_acc", patience=50, restore_best_weights=True)
    model.fit(X, [np.float32(Y > 0), Y], epochs=3, validation_split=0.5, callbacks=[stopping], verbose=0)
    assert stopping.best == max(model.history.history["val_a_acc"])
    for monitor, direction in (("b_loss", "min"), ("val_b_mae", "min"), ("a_acc", "max")):
        callback = MonitorCallback(monitor)
        callback.set_model(model)
        assert callback.direction == direction


def test_better_by_more_than_min_delta():
    less, more = MonitorCallback("x", "min", min_delta=-0.25), MonitorCallback("x", "max", min_delta=0.25)
    assert less.improves(9.0, None)
    assert more.improves(9.0, None)
    assert [less.improves(value, 1.0) for value in (0.5, 0.75, 1.0, 1.5, -math.inf, math.nan)] == [
        *(True, False, False, False, True, False)
    ]
    assert [more.improves(value, 1.0) for value in (1.5, 1.25, 1.0, 0.5, math.inf, math.nan)] == [
        *(True, False, False, False, True, False)
    ]


NAN_FIRST = (math.nan, 3.0, 2.0, math.nan, 1.0, math.nan)


def play(callback: Any) -> list[float | None]:
    """Epochs whose losses are those above; returns what was the best after each of them."""
    model = nnx.Sequential([Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    callback.set_model(model)
    callback.on_train_begin()
    best = []
    for epoch, loss in enumerate(NAN_FIRST):
        model.set_weights([np.full((3, 1), epoch), np.zeros(1)])
        callback.on_epoch_end(epoch, {"loss": loss})
        best.append(callback.best)
    callback.on_train_end()
    return best


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_never_the_best(mode: str):
    callback = MonitorCallback("x", mode)
    assert not callback.improves(math.nan, None)
    assert not callback.improves(math.nan, math.nan)
    assert callback.improves(3.0, math.nan)


def test_an_epoch_with_nan_is_not_kept_as_the_best(tmp_path: Path):
    stopping = EarlyStopping("loss", patience=3, restore_best_weights=True)
    assert play(stopping) == [None, 3.0, 2.0, 2.0, 1.0, 1.0]
    assert stopping.best_epoch == 4
    assert float(stopping.model.get_weights()[0][0, 0]) == 4.0
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}", "loss", save_best_only=True)
    assert play(checkpoint) == [None, 3.0, 2.0, 2.0, 1.0, 1.0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["2", "3", "5"]
    assert play(ReduceLROnPlateau("loss", patience=2)) == [None, 3.0, 2.0, 2.0, 1.0, 1.0]


@pytest.mark.filterwarnings("ignore:y has NaN")
def test_a_loss_that_is_nan_from_the_first_epoch_on_stops_training():
    model = nnx.Sequential([Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    stopping = EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = model.fit(X, Y * np.nan, epochs=9, verbose=0, callbacks=[stopping])
    assert (len(history.epoch), stopping.best, stopping.best_weights) == (2, None, None)


@pytest.mark.parametrize(
    ("monitor", "logs", "message"),
    [
        ("val_loss", {"loss": 1.0, "acc": 0.5}, r"are: loss,acc; there is no validation in this epoch: give fit vali"),
        ("val_acc", {"loss": 1.0, "val_accuracy": 0.5}, r"are: loss,val_accuracy; did you mean 'val_accuracy'\?"),
        ("accuracy", {"loss": 1.0, "acc": 0.5}, r"are: loss,acc; did you mean 'acc'\?"),
        ("lr", {"loss": 1.0}, r"metric `lr` which is not available. Available metrics are: loss$"),
    ],
)
def test_what_is_missing_is_said_with_what_there_is(monitor: str, logs: dict[str, float], message: str):
    with pytest.warns(UserWarning, match=message):
        EarlyStopping(monitor).on_epoch_end(0, logs)


@pytest.mark.parametrize("make", [EarlyStopping, ReduceLROnPlateau, lambda **o: ModelCheckpoint("x", **o)])
def test_an_unknown_mode_is_auto(make: Any):
    with pytest.warns(UserWarning, match="mode 'largest' is unknown, fallback to auto mode") as caught:
        callback = make(mode="largest")
    assert callback.mode == "auto"
    assert len(caught) == 1
