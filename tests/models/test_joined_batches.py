"""Rows that go through a model together at inference, where nobody looks at batches and no result depends on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import layers, losses, metrics
from nnx.backends import Placement
from nnx.layers import Dense, Input
from nnx.random import Generator
from nnx.testing import assert_close
from nnx.training.step import BatchStep

X = np.float32(Generator(0).normal((11, 4)))
Y = np.float32(Generator(1).normal((11, 2)))
WEIGHTS = np.float32(np.abs(Generator(2).normal((11,))))


class Batches(nnx.callbacks.Callback):
    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        pass

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        pass


class Epochs(nnx.callbacks.Callback):
    def on_test_end(self, logs: Any = None) -> None:
        pass

    def on_predict_end(self, logs: Any = None) -> None:
        pass


class Double(layers.Layer):
    def call(self, x: Any) -> Any:
        return x * 2.0


def compiled(*inner: Any, loss: Any = "mse", **options: Any) -> Any:
    model = nnx.Sequential([Input((4,)), *inner, Dense(2)])
    model.compile("sgd", loss, **options)
    return model


def dropping() -> Any:
    x = Input((4,))
    model = nnx.Model(x, Dense(2)(layers.Dropout(0.5)(x, training=True)))
    model.compile("sgd", "mse")
    return model


def stateful() -> Any:
    model = nnx.Sequential([Input((4, 1), batch_size=1), layers.SimpleRNN(3, stateful=True), Dense(2)])
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows went through the model at a time."""
    rows: list[int] = []
    for method in ("predict", "test"):
        original = getattr(BatchStep, method)

        def step(self: Any, xs: Any, *others: Any, original: Callable[..., Any] = original) -> Any:
            rows.append(xs[0].shape[0])
            return original(self, xs, *others)

        monkeypatch.setattr(BatchStep, method, step)
    return rows


APART, TOGETHER = [4, 4, 3], [11]

PREDICTIONS: dict[str, tuple[Callable[[], Any], dict[str, Any], list[int]]] = {
    "nobody looks": (compiled, {}, TOGETHER),
    "a callback of epochs": (compiled, {"callbacks": [Epochs()]}, TOGETHER),
    "a callback of batches": (compiled, {"callbacks": [Batches()]}, APART),
    "a progress bar": (compiled, {"verbose": 1}, APART),
    "a number of steps": (compiled, {"steps": 2}, [4, 4]),
    "a layer of one's own": (lambda: compiled(Double()), {}, APART),
    "a function of one's own": (lambda: compiled(Dense(3, nnx.ops.tanh)), {}, TOGETHER),
    "a function that may mix rows": (lambda: compiled(Dense(3, lambda x: x / nnx.ops.max(x))), {}, APART),
    "an axis that is the batch's": (lambda: compiled(layers.Softmax(axis=0)), {}, APART),
    "dropout at inference": (dropping, {}, APART),
    "wide rows": (lambda: compiled(Dense(1 << 16)), {}, APART),
    "rows that are not quite so wide": (lambda: compiled(Dense(1 << 15)), {}, [8, 3]),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_predictions(passes: list[int], case: str) -> None:
    make, options, expected = PREDICTIONS[case]
    nnx.random.set_seed(3)
    model = make()
    for _ in range(2):  # the second time goes a shorter way
        passes.clear()
        found = model.predict(X, batch_size=4, **{"verbose": 0, **options})
        assert passes == expected
    if case != "dropout at inference":
        parts = [model.predict(X[start : start + 4], verbose=0) for start in range(0, sum(expected), 4)]
        assert_close(found, np.concatenate(parts), length=1 << 16)


EVALUATIONS: dict[str, tuple[Callable[[], Any], dict[str, Any], list[int]]] = {
    "nobody looks": (lambda: compiled(metrics=["mae"]), {}, TOGETHER),
    "weights": (lambda: compiled(weighted_metrics=["mae"]), {"sample_weight": WEIGHTS}, TOGETHER),
    "a penalty on weights": (lambda: compiled(Dense(3, kernel_regularizer="l2")), {}, TOGETHER),
    "a callback of batches": (compiled, {"callbacks": [Batches()]}, APART),
    "a sum over the batch": (lambda: compiled(loss=losses.MeanSquaredError(reduction="sum")), {}, APART),
    "a mean by weights": (
        lambda: compiled(loss=losses.MeanSquaredError("mean_with_sample_weight")),
        {"sample_weight": WEIGHTS},
        APART,
    ),
    "a loss of the whole batch": (lambda: compiled(loss=losses.Dice()), {}, APART),
    "a metric of the whole batch": (lambda: compiled(metrics=[losses.dice]), {}, APART),
    "a metric along the batch": (lambda: compiled(metrics=[metrics.CosineSimilarity(axis=0)]), {}, APART),
    "a loss of one's own": (lambda: compiled(loss=lambda y, p: nnx.ops.mean((y - p) ** 2)), {}, APART),
    "a metric of one's own": (lambda: compiled(metrics=[lambda y, p: nnx.ops.max(y - p)]), {}, APART),
    "a penalty on outputs": (lambda: compiled(Dense(3, activity_regularizer="l2")), {}, APART),
    "a mask": (lambda: compiled(layers.Reshape((4, 1)), layers.Masking(), layers.LSTM(3)), {}, APART),
}


@pytest.mark.parametrize("case", EVALUATIONS)
def test_evaluations(passes: list[int], case: str) -> None:
    """The running values of all rows are those of the batches, but for rounding in sums of 11 rows."""
    make, options, expected = EVALUATIONS[case]
    nnx.random.set_seed(3)
    model = make()
    found = model.evaluate(X, Y, batch_size=4, verbose=0, **options)
    assert passes == expected
    options["callbacks"] = [Batches()]
    apart = model.evaluate(X, Y, batch_size=4, verbose=0, **options)
    assert_close(np.float32(found), np.float32(apart), length=11 * 4)


def test_a_validation(passes: list[int]) -> None:
    model = compiled(metrics=["mae"])
    model.fit(X, Y, validation_data=(X, Y), batch_size=4, epochs=2, verbose=0)
    assert passes == TOGETHER * 2


def test_a_layer_that_remembers(passes: list[int]) -> None:
    """Rows are batches of one, each of which goes on where the one before it ended; also if it is told so later."""
    model = stateful()
    x = np.float32(Generator(4).normal((3, 4, 1)))
    first = model.predict(x, batch_size=1, verbose=0)
    assert passes == [1, 1, 1]
    model.layers[0].reset_states()
    assert_close(np.concatenate([model.predict(row[None], batch_size=1, verbose=0) for row in x]), first)
    other = nnx.Sequential([Input((4, 1)), layers.SimpleRNN(3), Dense(2)])
    other.predict(x, batch_size=1, verbose=0)
    passes.clear()
    other.layers[0].stateful = True
    other.predict(x, batch_size=1, verbose=0)
    assert passes == [1, 1, 1]


def test_numbers_that_are_checked_name_their_batch() -> None:
    model, x = compiled(), X.copy()
    x[9] = 3e38
    with nnx.debug.check_finite(), np.errstate(over="ignore"), pytest.raises(nnx.debug.NotFiniteError, match="batch 3"):
        model.evaluate(x, Y, batch_size=4, verbose=0)


def test_several_inputs_in_a_dict(backend: Placement) -> None:
    a, b = Input((4,), name="a"), Input((2,), name="b")
    model = nnx.Model({"a": a, "b": b}, layers.Concatenate()([Dense(3)(a), b]))
    model.compile("sgd", "mse")
    data, y = {"a": X, "b": Y}, np.ones((11, 5), np.float32)
    parts = [model.predict({"a": X[i : i + 4], "b": Y[i : i + 4]}, verbose=0) for i in (0, 4, 8)]
    assert_close(model.predict(data, batch_size=4, verbose=0), np.concatenate(parts), length=4)
    together, apart = (
        model.evaluate(data, y, batch_size=4, sample_weight=WEIGHTS, callbacks=callbacks, verbose=0)
        for callbacks in (None, [Batches()])
    )
    assert together == pytest.approx(apart, rel=1e-6)


def test_a_model_that_changes_takes_other_inputs(passes: list[int]) -> None:
    """What was found out of a model is forgotten when it changes."""
    model = compiled()
    model.predict(X, batch_size=4, verbose=0)
    model.add(Double())
    passes.clear()
    before = model.layers[0](X)
    assert_close(model.predict(X, batch_size=4, verbose=0), 2.0 * before, length=4)
    assert passes == APART
    with pytest.raises(ValueError, match=r"expected an input of shape \(None, 4\)"):
        model.predict(X[:, :3], verbose=0)
