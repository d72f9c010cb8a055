"""NaN and infinity are found where they appear: the layer, what of it, and the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.debug import NotFiniteError, check_finite
from nnx.layers import LSTM, Bidirectional, Dense, Flatten, Input, Lambda, Reshape
from nnx.random import Generator

X = np.float32(Generator(1).normal((24, 4)))
Y = np.float32(Generator(2).normal((24, 2)))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def spoiled(forwards: bool = False, backwards: bool = False, from_call: int = 1) -> Lambda:
    """A layer that divides by zero, in its value or its cotangent, from some call on."""
    calls = []

    def function(x: Any) -> Any:
        calls.extend([x] if x.shape[0] > 3 else [])  # not when its shapes are found
        zero = 0.0 if len(calls) >= from_call else 1.0
        y = x / zero if forwards else x
        return y, lambda dy: dy / zero if backwards else dy

    return Lambda(function, name="spoiled")


def model_of(*layers: Any, optimizer: Any = "sgd", **options: Any) -> nnx.Sequential:
    model = nnx.Sequential([Input((4,)), *layers])
    model.compile(optimizer, **{"loss": "mse", **options})
    return model


def found(use: Callable[[], Any]) -> NotFiniteError:
    with check_finite(), pytest.raises(NotFiniteError) as caught:
        use()
    return caught.value


def test_the_output_of_a_layer(backend):
    model = model_of(Dense(3), spoiled(forwards=True), Dense(2))
    error = found(lambda: model.train_on_batch(X, Y))
    assert (error.layer, error.what, error.batch) == ("spoiled", "output", None)
    assert str(error).startswith("spoiled: its output has 72 values that are not finite, the first is [0, 0] = ")


def test_the_batch_is_named():
    model = model_of(Dense(3), spoiled(forwards=True, from_call=9), Dense(2))
    error = found(lambda: model.fit(X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0))
    assert (error.epoch, error.batch) == (2, 3)
    assert str(error).startswith("in batch 3 of epoch 2, spoiled: its output has 12 values")
    model = model_of(Dense(3), spoiled(forwards=True, from_call=3), Dense(2))
    error = found(lambda: model.evaluate(X, Y, batch_size=4, verbose=0))
    assert (error.epoch, error.batch, error.layer) == (None, 3, "spoiled")
    assert str(error).startswith("in batch 3, spoiled")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_the_cause_of_an_output(value: float):
    model = model_of(Dense(3), Dense(2, name="broken"))
    kernel, bias = model.layers[1].get_weights()
    bias[1] = value
    model.layers[1].set_weights([kernel, bias])
    error = found(lambda: model.predict(X, verbose=0))
    assert (error.layer, error.what) == ("broken", "parameter bias")
    assert str(error) == f"broken: its parameter bias has 1 values that are not finite, the first is [1] = {value}"


def test_the_cotangent_of_an_input():
    model = model_of(Dense(3), spoiled(backwards=True), Dense(2))
    error = found(lambda: model.train_on_batch(X, Y))
    assert (error.layer, error.what) == ("spoiled", "gradient of the input")


def test_the_gradient_of_a_parameter():
    """The sum over the batch overflows, though every number that goes in is finite."""
    model = model_of(Dense(2, kernel_initializer="zeros", name="wide"), loss="mae")
    error = found(lambda: model.train_on_batch(X * 0 + 3e38, Y * 0 + 1.0, sample_weight=np.full(24, 10.0)))
    assert (error.layer, error.what) == ("wide", "gradient of kernel")


def test_the_loss_and_its_gradient():
    big = model_of(Dense(2, kernel_initializer="zeros", bias_initializer=nnx.initializers.Constant(1e25)))
    error = found(lambda: big.train_on_batch(X, Y))
    assert (error.layer, error.what, str(error)) == ("", "loss", "the loss is inf")

    class Steep(nnx.losses.Loss):
        def forward(self, y: Any, output: Any, sample_weight: Any = None) -> Any:
            return output.sum() * 0.0, lambda dloss=1.0: output * np.float32(np.nan)

    model = model_of(Dense(2), loss=Steep())
    error = found(lambda: model.train_on_batch(X, Y))
    assert (error.layer, error.what) == ("", "gradient of the loss")


def test_the_loss_of_one_of_several_outputs():
    x = Input((4,))
    model = nnx.Model(
        x, [Dense(2, name="good")(x), Dense(2, name="bad", bias_initializer=lambda *_: np.full(2, 1e25))(x)]
    )
    model.compile("sgd", "mse")
    error = found(lambda: model.train_on_batch(X, [Y, Y]))
    assert (error.layer, error.what) == ("", "loss of bad")


def test_the_penalty_of_a_regularizer():
    model = model_of(Dense(2, kernel_initializer=lambda *_: np.full((4, 2), 1e25), kernel_regularizer="l2"), loss="mae")
    error = found(lambda: model.evaluate(X, Y, verbose=0))
    assert str(error) == "in batch 1, the loss with its penalties is inf"


def test_the_gradient_of_a_regularizer():
    class Torn(nnx.regularizers.Regularizer):
        def forward(self, w: Any) -> Any:
            return w.sum() * 0.0, lambda dy=1.0: w * np.float32(np.inf)

    model = model_of(Dense(3), Dense(2, name="torn", kernel_regularizer=Torn()))
    error = found(lambda: model.train_on_batch(X, Y))
    assert (error.layer, error.what) == ("torn", "gradient of kernel")


def test_a_parameter_after_the_step_of_the_optimizer():
    model = model_of(Dense(3), Dense(2), optimizer=nnx.optimizers.SGD(1e39))
    error = found(lambda: model.train_on_batch(X, Y))
    assert (error.layer, error.what) == ("dense", "parameter kernel")
    assert not np.isfinite(model.layers[0].get_weights()[0]).all()  # which the next forward pass would have met


def test_layers_inside_layers_have_their_path():
    inner = nnx.Sequential([Input((4,)), Dense(4), spoiled(forwards=True)], name="encoder")
    error = found(lambda: model_of(inner, Dense(2)).train_on_batch(X, Y))
    assert (error.layer, error.what) == ("encoder/spoiled", "output")

    class Block(nnx.layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.inner = spoiled(backwards=True)

        def call(self, x: Any) -> Any:
            return self.inner(x) + x

    error = found(lambda: model_of(Dense(4), Block(name="block"), Dense(2)).train_on_batch(X, Y))
    assert (error.layer, error.what) == ("block/spoiled", "gradient of the input")
    wrapped = model_of(Reshape((2, 2)), Bidirectional(LSTM(3), name="both"), Dense(2))
    kernel = wrapped.layers[1].forward_layer.kernel
    kernel.value[0, 0] = np.nan
    error = found(lambda: wrapped.train_on_batch(X, Y))
    assert (error.layer, error.what) == ("both/forward_lstm", "parameter kernel")


def test_the_logits_that_a_fused_loss_takes():
    model = model_of(Dense(3), Dense(2, "softmax", name="digits"), loss="categorical_crossentropy")
    model.layers[1].bias.value[...] = np.inf
    error = found(lambda: model.train_on_batch(X, np.eye(2)[np.arange(24) % 2]))
    assert (error.layer, error.what) == ("digits", "parameter bias")


def test_float16_gradients_are_the_optimizer_s_until_it_cannot_help():
    def model_of_halves(*layers: Any) -> nnx.Sequential:
        with nnx.backend("numpy", dtype="float16"):
            return model_of(*layers, optimizer=nnx.optimizers.SGD(1e-3))

    with check_finite():
        model = model_of_halves(Dense(3), Dense(2))
        model.fit(X, 1e4 * Y, epochs=3, verbose=0)  # times 2**15, that overflows
        assert model.optimizer.loss_scale.numbers()[0] < 2.0**15
    model = model_of_halves(Dense(3), spoiled(backwards=True), Dense(2))
    error = found(lambda: model.fit(X, Y, epochs=50, verbose=0))
    assert (error.layer, error.what, error.batch) == ("spoiled", "gradient of the input", 1)
    assert 10 < error.epoch < 20


def test_a_loop_of_ones_own(backend):
    model = nnx.Sequential([Input((4,)), Dense(3), spoiled(backwards=True), Flatten()])
    x = backend.asarray(X)
    with check_finite():
        y, pullback = model.forward(x, training=True)
    with pytest.raises(NotFiniteError, match="spoiled: its gradient of the input has 72 values"):
        pullback(y)  # observed, because it was made inside
    error = found(lambda: model.forward(x * np.inf))
    assert (error.layer, error.what) == ("dense", "input")


def test_training_is_the_same_and_nothing_is_left_behind(backend):
    def losses(checking: bool) -> list[float]:
        nnx.random.set_seed(3)
        layers = [Reshape((2, 2)), Bidirectional(LSTM(3)), nnx.layers.Dropout(0.2), Dense(2)]
        model = model_of(*layers, metrics=["mae"])
        with check_finite(checking):
            history = model.fit(X, Y, epochs=2, validation_split=0.25, verbose=0).history
        things = [*model.named_layers().values(), model.objective, model.optimizer]
        assert not any({"run", "run_masked", "preactivation", "apply", "update"} & set(vars(thing)) for thing in things)
        assert "forward" not in vars(model.objective)
        return [value for name in sorted(history) for value in history[name]]

    assert losses(checking=True) == losses(checking=False)


def test_after_an_error_the_model_is_as_before():
    model = model_of(Dense(3), spoiled(forwards=True), Dense(2))
    before = model.get_weights()
    found(lambda: model.train_on_batch(X, Y))
    assert "run" not in vars(model.layers[0])
    assert all(np.array_equal(now, then) for now, then in zip(model.get_weights(), before, strict=True))


def test_nobody_looks_while_it_is_off():
    seen = []

    def function(x: Any) -> Any:
        seen.append("run" in vars(model.layers[0]))
        return x, lambda dy: dy

    model = model_of(Dense(2), Lambda(function))
    model.train_on_batch(X, Y)
    with check_finite():
        model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    assert seen[-3:] == [False, True, False]  # before, its shapes were found
    assert np.isnan(model.train_on_batch(X * np.nan, Y))
