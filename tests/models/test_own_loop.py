"""A training loop written by hand: forward, a loss with its pullback, a step of the optimiser."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.callbacks import LambdaCallback
from nnx.layers import Dense, Dropout
from nnx.random import Generator
from nnx.testing import assert_close, check_gradients, no_synchronization

X = np.float32(Generator(1).normal((16, 3)))
Y = np.float32(Generator(2).normal((16, 2)))


def make(**options: Any) -> nnx.Sequential:
    nnx.random.set_seed(3)
    return nnx.Sequential([Dense(4, "tanh", input_dim=3, **options), Dense(2)])


def test_six_lines(backend: Placement):
    model, other = make(), make()
    x, y = nnx.asarray(X), nnx.asarray(Y)
    loss, optimizer = nnx.losses.MeanSquaredError(), nnx.optimizers.Adam(0.01)
    values = []
    with no_synchronization():
        for _ in range(5):
            outputs, pullback = model.forward(x, training=True)
            value, pullback_loss = loss.forward(y, outputs)
            pullback(pullback_loss())
            optimizer.step(model)
            values.append(value)
    other.compile(nnx.optimizers.Adam(0.01), "mse")
    assert [float(nnx.to_numpy(v)) for v in values] == pytest.approx(
        [other.train_on_batch(X, Y) for _ in range(5)], rel=1e-5
    )
    assert_close(model.predict(X, verbose=0), other.predict(X, verbose=0), 1e-4, 1e-5)


def test_penalties_in_a_loop_of_ones_own():
    model, other = make(kernel_regularizer="l2"), make(kernel_regularizer="l2")
    loss, optimizer = nnx.losses.MeanSquaredError(), nnx.optimizers.SGD(0.1)
    outputs, pullback = model.forward(X, training=True)
    _, pullback_loss = loss.forward(Y, outputs)
    penalty, pullback_penalty = model.regularization()
    pullback(pullback_loss())
    pullback_penalty()
    optimizer.step(model)
    other.compile(nnx.optimizers.SGD(0.1), "mse")
    other.train_on_batch(X, Y)
    assert float(penalty) > 0.0
    assert_close(model.flat.values, other.flat.values, 1e-5)


def test_the_pullback_of_a_model_returns_the_cotangent_of_its_input(backend_float64: Placement):
    model = make()
    check_gradients(lambda x: model.forward(x, training=True), X, placement=backend_float64)


def test_gradients_add_up_until_the_step():
    model, other = make(), make()
    optimizer = nnx.optimizers.SGD(1.0)
    for half in (slice(0, 8), slice(8, 16)):
        outputs, pullback = model.forward(X[half], training=True)
        pullback(outputs / 16.0)
    optimizer.step(model)
    outputs, pullback = other.forward(X, training=True)
    pullback(outputs / 16.0)
    nnx.optimizers.SGD(1.0).step(other)
    assert_close(model.flat.values, other.flat.values, 1e-5)
    model.flat.start_pass()  # and what was gathered can be thrown away
    before = model.flat.values.copy()
    outputs, pullback = model.forward(X, training=True)
    pullback(outputs)
    model.flat.start_pass()
    optimizer.step(model)
    assert_close(model.flat.values, before, 0.0, 0.0)


def test_forward_follows_freezing_at_once():
    model = make()
    model.layers[0].trainable = False
    outputs, pullback = model.forward(X, training=True)
    pullback(outputs)
    before = model.get_weights()
    nnx.optimizers.SGD(0.1).step(model)
    assert [(a != b).any() for a, b in zip(before, model.get_weights(), strict=True)] == [False, False, True, True]


def test_training_and_inference():
    model = nnx.Sequential([Dropout(0.5, input_shape=(3,))])
    assert_close(model(X), X, 0.0, 0.0)
    assert_close(model.forward(X)[0], X, 0.0, 0.0)
    for trained in (model(X, training=True), model.forward(X, training=True)[0]):
        kept = trained != 0.0
        assert 0 < kept.sum() < X.size
        assert_close(trained[kept], 2.0 * X[kept])


def test_models_and_layers_run_on_any_array(backend: Placement):
    model = make()
    x = backend.asarray(X)
    assert_close(model(x), model.layers[1](model.layers[0](x)), 0.0, 0.0, like=model.flat.values)
    assert_close(nnx.to_numpy(model(x)), model.predict(X, verbose=0), length=10)
    assert backend.holds(nnx.asarray(X))
    with pytest.raises(ValueError, match=r"sequential: expected an input of shape \(None, 3\), got \(16, 2\)"):
        model.forward(x[:, :2])
    with pytest.raises(TypeError, match=r"expected an array, got list; convert it with nnx.asarray"):
        model.forward(X.tolist())


# Memory


@pytest.mark.filterwarnings("ignore:metric 'acc'")
@pytest.mark.parametrize("use", ["fit", "loop", "save", "interrupt", "move"])
def test_a_model_is_freed_by_counting_references(use: str, tmp_path: Any):
    """No cycles: the model and its buffers go at once, not when the garbage collector comes."""

    def run() -> list[weakref.ref[Any]]:
        model = nnx.Sequential([Dense(4, "relu", input_dim=3, activity_regularizer="l2"), Dropout(0.2), Dense(2)])
        inner = nnx.Sequential([model, Dense(2, "softmax", kernel_regularizer="l2", kernel_constraint="max_norm")])
        inner.compile(nnx.optimizers.Adam(use_ema=True), "mse", metrics=["mae", "acc"])
        if use == "fit":
            note = LambdaCallback(on_train_batch_end=lambda batch, logs: logs["loss"])
            inner.fit(X, Y, validation_split=0.25, epochs=2, verbose=0, callbacks=[note], shuffle=True)
            inner.fit(((X, Y) for _ in range(2)), verbose=0)
            inner.evaluate(X, Y, verbose=0)
            inner.predict(X, verbose=0)
        elif use == "loop":
            outputs, pullback = inner.forward(X, training=True)
            pullback(outputs)
            inner.optimizer.step(inner)
        elif use == "save":
            inner.fit(X, Y, verbose=0)
            inner.save(tmp_path / "model.safetensors")
            inner = nnx.models.load_model(tmp_path / "model.safetensors")
            model = inner.layers[0]
        elif use == "interrupt":

            def interrupt(epoch: int, logs: Any) -> None:
                raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                inner.fit(X, Y, verbose=0, callbacks=[LambdaCallback(on_epoch_end=interrupt)])
        else:
            inner.fit(X, Y, verbose=0)
            inner.to("array-api-strict", device="device1").fit(X, Y, verbose=0)
        return [weakref.ref(inner), weakref.ref(model), weakref.ref(inner.flat), weakref.ref(inner.optimizer)]

    gc.collect()
    gc.disable()
    try:
        alive = [reference() is not None for reference in run()]
    finally:
        gc.enable()
    assert alive == [False] * 4


def test_the_history_outlives_the_model():
    model = make()
    model.compile("sgd", "mse")
    history = model.fit(X, Y, verbose=0)
    del model
    assert history.model is None
    assert len(history.history["loss"]) == 1
