"""fit and its relatives: history, callbacks, interruptions, and the options of optimisers over a whole training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.callbacks import Callback, History, LambdaCallback
from nnx.layers import Dense, Dropout
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((20, 3)))
Y = np.float32(Generator(2).normal((20, 2)))


def make(optimizer: Any = "sgd", *, seed: int = 4, metrics: Any = None, dropout: float = 0.0) -> nnx.Sequential:
    nnx.random.set_seed(seed)
    model = nnx.Sequential([Dense(4, "tanh", input_dim=3), Dropout(dropout), Dense(2)])
    model.compile(optimizer, "mse", metrics=metrics)
    return model


class Recorder(Callback):
    """Notes every hook that is called."""

    def __init__(self, name: str = "", calls: list[str] | None = None) -> None:
        self.name, self.calls = name, [] if calls is None else calls

    def note(self, text: str) -> None:
        self.calls.append(f"{self.name}{text}")

    def on_train_begin(self, logs: Any = None) -> None:
        self.note("train")

    def on_train_end(self, logs: Any = None) -> None:
        self.note("train end " + ",".join(logs))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.note(f"epoch {epoch}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.note(f"epoch {epoch} end " + ",".join(logs))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.note(f"batch {batch}")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.note(f"batch {batch} end {'loss' in logs}")

    def on_test_begin(self, logs: Any = None) -> None:
        self.note("test")

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.note(f"test {batch}")

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.note(f"test {batch} end")

    def on_test_end(self, logs: Any = None) -> None:
        self.note("test end " + ",".join(logs))

    def on_predict_begin(self, logs: Any = None) -> None:
        self.note("predict")

    def on_predict_end(self, logs: Any = None) -> None:
        self.note("predict end")


def test_functions_of_hooks_take_logs_everywhere():
    """As with Keras, where the hooks at a beginning get empty logs."""
    seen = []
    names = ["train", "epoch", "train_batch", "test", "test_batch", "predict", "predict_batch"]
    hooks = {f"on_{name}_{end}": f"{name} {end}" for name in names for end in ("begin", "end")}
    functions = {
        hook: (lambda *where, label=label: seen.append((label, len(where), dict(where[-1]))))
        for hook, label in hooks.items()
    }
    model = make()
    model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=LambdaCallback(**functions))
    model.predict(X, verbose=0, callbacks=LambdaCallback(**functions))
    assert {label for label, _, _ in seen} == set(hooks.values())
    assert all(count == (2 if "batch" in label or "epoch" in label else 1) for label, count, _ in seen)
    assert all(logs == {} for label, _, logs in seen if "begin" in label or label == "predict end")
    assert [logs["outputs"].shape[1:] for label, _, logs in seen if label == "predict_batch end"] == [
        model.output_shape[1:]
    ]


# History


def test_history():
    model = make(metrics=["mae"])
    history = model.fit(X, Y, epochs=3, validation_split=0.2, batch_size=8, verbose=0)
    assert isinstance(history, History)
    assert history is model.history
    assert history.model is model
    assert history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss", "mae", "val_loss", "val_mae"]
    assert all(isinstance(value, float) for values in history.history.values() for value in values)
    assert history.history["loss"][2] < history.history["loss"][0]
    assert history.params == {"verbose": 0, "epochs": 3, "steps": 2}


def test_initial_epoch():
    model = make()
    assert model.fit(X, Y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    assert model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0).epoch == []


def test_fit_again_starts_a_new_history_and_goes_on_training():
    model, other = make("adam"), make("adam")
    first, second = (model.fit(X, Y, epochs=2, verbose=0) for _ in range(2))
    assert first is not second
    whole = other.fit(X, Y, epochs=4, verbose=0).history["loss"]
    assert first.history["loss"] + second.history["loss"] == whole


def test_the_loss_of_an_epoch_is_the_mean_before_each_step():
    model = make("sgd")
    losses = []
    for start in range(0, 20, 8):
        losses.append(len(X[start : start + 8]) * model.train_on_batch(X[start : start + 8], Y[start : start + 8]))
    history = make("sgd").fit(X, Y, batch_size=8, shuffle=False, verbose=0).history
    assert history["loss"][0] == pytest.approx(sum(losses) / 20, rel=1e-6)


def test_the_seed_decides_about_shuffles_and_dropout():
    def curve(seed: int) -> list[float]:
        return make(seed=seed, dropout=0.3).fit(X, Y, epochs=3, batch_size=8, verbose=0).history["loss"]

    assert curve(1) == curve(1)
    assert curve(1) != curve(2)


def test_every_epoch_is_shuffled_anew_and_takes_every_sample():
    model = nnx.Sequential([Dense(1, input_dim=1)])
    model.compile(nnx.optimizers.SGD(0.0), "mse")
    orders: list[float] = []
    step = model.trainer.step.train
    model.trainer.step.train = lambda x, y, w: (orders.extend(x[0][:, 0].tolist()), step(x, y, w))  # type: ignore[method-assign]
    x = np.arange(20.0)
    model.fit(x, x, epochs=2, batch_size=6, verbose=0)
    model.fit(x, x, batch_size=6, shuffle=False, verbose=0)
    first, second, third = (orders[start : start + 20] for start in (0, 20, 40))
    assert sorted(first) == sorted(second) == third == x.tolist()
    assert first != second
    assert first != third


# Single batches


def test_what_is_returned():
    model, single = make(metrics=["mae", "mse"]), make()
    assert isinstance(single.train_on_batch(X, Y), float)
    assert isinstance(single.test_on_batch(X, Y), float)
    assert isinstance(single.evaluate(X, Y, verbose=0), float)
    for method in (model.train_on_batch, model.test_on_batch, lambda *a, **o: model.evaluate(*a, verbose=0, **o)):
        values = method(X, Y)
        assert type(values) is list
        assert len(values) == 3
        assert list(method(X, Y, return_dict=True)) == ["loss", "mae", "mse"]
    assert model.metrics_names == ["loss", "mae", "mse"]
    loss = single.test_on_batch(X, Y)
    assert single.train_on_batch(X, Y) == pytest.approx(loss, rel=1e-6)  # the loss before the step
    assert single.test_on_batch(X, Y) < loss


def test_train_on_batch_equals_fit():
    model, other = make("adam"), make("adam")
    for _ in range(3):
        for start in range(0, 20, 8):
            model.train_on_batch(X[start : start + 8], Y[start : start + 8])
    other.fit(X, Y, epochs=3, batch_size=8, shuffle=False, verbose=0)
    assert_close(model.flat.values, other.flat.values, 0.0, 0.0)


# Callbacks


def test_order_of_callbacks():
    calls: list[str] = []
    first, second = Recorder("a: ", calls), Recorder("b: ", calls)
    make().fit(X, Y, batch_size=10, verbose=0, validation_data=(X[:9], Y[:9]), callbacks=[first, second])
    logs = "loss,val_loss"
    assert [call[3:] for call in calls[::2]] == [call[3:] for call in calls[1::2]]
    assert [call[:3] for call in calls] == ["a: ", "b: "] * (len(calls) // 2)
    assert [call[3:] for call in calls[::2]] == [
        *("train", "epoch 0", "batch 0", "batch 0 end True", "batch 1", "batch 1 end True"),
        *("test", "test 0", "test 0 end", "test end loss", f"epoch 0 end {logs}", f"train end {logs}"),
    ]


def test_callbacks_of_evaluate_and_predict():
    recorder = Recorder()
    model = make()
    model.evaluate(X, Y, verbose=0, callbacks=[recorder])
    model.predict(X, verbose=0, callbacks=recorder)
    assert recorder.calls == ["test", "test 0", "test 0 end", "test end loss", "predict", "predict end"]
    assert recorder.model is model


def test_stop_training_after_an_epoch_or_a_batch():
    model = make()
    stop = LambdaCallback(on_epoch_end=lambda epoch, logs: setattr(model, "stop_training", epoch == 1))
    assert model.fit(X, Y, epochs=5, verbose=0, callbacks=[stop]).epoch == [0, 1]
    assert model.fit(X, Y, epochs=2, verbose=0).epoch == [0, 1]  # the flag is taken back
    before = model.optimizer.iterations
    stop = LambdaCallback(on_train_batch_end=lambda batch, logs: setattr(model, "stop_training", batch == 2))
    assert model.fit(X, Y, batch_size=2, epochs=5, verbose=0, callbacks=[stop]).epoch == [0]
    assert model.optimizer.iterations - before == 3


def test_a_callback_can_change_the_learning_rate():
    model = make()
    halve = LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(model.optimizer, "learning_rate", model.optimizer.learning_rate / 2)
    )
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[halve])
    assert model.optimizer.learning_rate == 0.01 / 8


# Options of optimisers over a training


def test_moving_average_replaces_the_weights_at_the_end_of_fit(backend: Placement):
    model = make(nnx.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    path: list[np.ndarray] = []
    note = LambdaCallback(on_train_batch_end=lambda batch, logs: path.append(nnx.to_numpy(model.flat.values).copy()))
    model.fit(X, Y, batch_size=10, epochs=2, shuffle=False, verbose=0, callbacks=[note])
    average = path[0]
    for values in path[1:]:
        average = 0.5 * average + 0.5 * values
    assert_close(model.flat.values, average, 1e-5)


def test_gradient_accumulation_equals_a_larger_batch():
    model, other = make(nnx.optimizers.SGD(0.1, gradient_accumulation_steps=4)), make(nnx.optimizers.SGD(0.1))
    model.fit(X, Y, batch_size=5, epochs=3, shuffle=False, verbose=0)
    other.fit(X, Y, batch_size=20, epochs=3, shuffle=False, verbose=0)
    assert model.optimizer.iterations == other.optimizer.iterations == 3
    assert_close(model.flat.values, other.flat.values, 1e-5)


@pytest.mark.parametrize("constraint", ["max_norm", "non_neg", "unit_norm"])
def test_constraints_hold_after_every_step(backend: Placement, constraint: str):
    model = nnx.Sequential([Dense(4, input_dim=3, kernel_constraint=constraint), Dense(2)])
    model.compile(nnx.optimizers.SGD(1.0), "mse")
    project: Callable[[Any], Any] = nnx.constraints.get(constraint)
    for _ in range(3):
        model.train_on_batch(X, Y)
        kernel = nnx.to_numpy(model.layers[0].kernel.value)
        assert_close(project(kernel), kernel, 1e-5)


@pytest.mark.parametrize("verbose", [0, 1])
def test_no_epochs_at_all(verbose: int) -> None:
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    told: list[str] = []
    callback = nnx.callbacks.LambdaCallback(
        on_train_begin=lambda *_: told.append("begin"), on_train_end=lambda *_: told.append("end")
    )
    before = model.get_weights()
    history = model.fit([[0.0, 1.0]], [[1.0]], epochs=0, verbose=verbose, callbacks=[callback])
    assert (history.history, history.epoch, told) == ({}, [], ["begin", "end"])
    assert model.history is history
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), before, strict=True))


def test_a_training_within_another_one_changes_nothing_of_that() -> None:
    class Inner(Callback):
        histories: list[History]

        def __init__(self) -> None:
            self.histories = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            stop = LambdaCallback(on_train_end=lambda logs: setattr(model, "stop_training", epoch == 0))
            self.histories.append(model.fit(X, Y, epochs=3, verbose=0, callbacks=stop))

    class Stop(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    model, inner = make(), Inner()
    history = model.fit(X, Y, epochs=9, verbose=0, callbacks=[Stop(), inner])
    assert model.history is history
    assert history.epoch == [0, 1]
    assert [one.epoch for one in inner.histories] == [[0, 1, 2]] * 2
    assert history is not inner.histories[0]
