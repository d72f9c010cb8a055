"""Metrics in compile: which one a name means, what it is called, and that NaN is found when asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense
from nnx.random import Generator

X = Generator(1).normal((12, 4))
LABELS = np.arange(12) % 3
ONE_HOT = np.eye(3)[LABELS]


def make(units: int, activation: Any, loss: Any, **options: Any) -> nnx.Sequential:
    nnx.random.set_seed(5)
    model = nnx.Sequential([Dense(units, activation, input_dim=4)])
    model.compile("sgd", loss, **options)
    return model


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y", "metric"),
    [
        (1, "sigmoid", "binary_crossentropy", LABELS % 2, "binary_accuracy"),
        (1, "sigmoid", "binary_crossentropy", (LABELS % 2)[:, None], "binary_accuracy"),
        (1, "sigmoid", "mse", (LABELS % 2)[:, None], "binary_accuracy"),
        (3, "softmax", "sparse_categorical_crossentropy", LABELS, "sparse_categorical_accuracy"),
        (3, "softmax", "sparse_categorical_crossentropy", LABELS[:, None], "sparse_categorical_accuracy"),
        (3, "softmax", "categorical_crossentropy", ONE_HOT, "categorical_accuracy"),
        (3, "sigmoid", "mse", ONE_HOT, "categorical_accuracy"),
    ],
)
@pytest.mark.parametrize("name", ["acc", "accuracy", "Accuracy"])
def test_accuracy_is_decided_by_the_shapes(name: str, units: int, activation: str, loss: str, y: Any, metric: str):
    found = make(units, activation, loss, metrics=[name]).evaluate(X, y, verbose=0, return_dict=True)
    assert list(found) == sorted(["loss", name])
    expected = make(units, activation, loss, metrics=[metric]).evaluate(X, y, verbose=0, return_dict=True)
    assert found[name] == expected[metric]
    outputs = make(units, activation, loss).predict(X, verbose=0)
    right = outputs > 0.5 if units == 1 else outputs.argmax(axis=-1)
    truth = np.reshape(y, (12, 1)) == 1 if units == 1 else LABELS
    assert found[name] == pytest.approx((right == truth).mean())


def test_accuracy_of_several_labels_is_warned_of():
    coins = (ONE_HOT + np.roll(ONE_HOT, 1, axis=0)) > 0.0
    model = make(3, "sigmoid", "binary_crossentropy", metrics=["acc"])
    with pytest.warns(UserWarning, match=r"categorical accuracy, as in Keras.*'binary_accuracy'"):
        model.fit(X, coins, verbose=0)
    make(3, "sigmoid", "binary_crossentropy", metrics=["binary_accuracy"]).fit(X, coins, verbose=0)


def test_forms_and_names_of_metrics():
    def own(y_true: Any, y_pred: Any) -> Any:
        return (y_true - y_pred)[:, 0]

    for metrics, names in [
        ("mae", ["mae"]),
        (["mae"], ["mae"]),
        ([["mae", "mse"]], ["mae", "mse"]),
        ({"dense": ["mae"]}, ["mae"]),
        ({"dense": "mae"}, ["mae"]),
        ([nnx.metrics.MeanAbsoluteError()], ["mean_absolute_error"]),
        ([nnx.metrics.MeanAbsoluteError(name="mine"), nnx.metrics.MeanSquaredError], ["mine", "mean_squared_error"]),
        ([nnx.metrics.mean_absolute_error, own], ["mean_absolute_error", "own"]),
        (["mae", "mae"], ["mae", "mae_1"]),
        (("MeanAbsoluteError", "mean_squared_error"), ["MeanAbsoluteError", "mean_squared_error"]),
    ]:
        model = make(3, None, "mse", metrics=metrics)
        assert list(model.evaluate(X, ONE_HOT, verbose=0, return_dict=True)) == sorted(["loss", *names])
        assert model.metrics_names == ["loss", *names]
    model = make(3, None, "mse", metrics=["mae"], weighted_metrics=["mae", "mae"])
    assert list(model.evaluate(X, ONE_HOT, verbose=0, return_dict=True)) == [
        "loss",
        "mae",
        "weighted_mae",
        "weighted_mae_1",
    ]


@pytest.mark.parametrize(
    "loss",
    [
        "mse",
        "MSE",
        "mean_squared_error",
        "MeanSquaredError",
        nnx.losses.mse,
        nnx.losses.mean_squared_error,
        nnx.losses.MeanSquaredError,
        nnx.losses.MeanSquaredError(),
        nnx.functional.mean_squared_error,
        {"class_name": "MeanSquaredError", "config": {}},
    ],
)
def test_forms_of_the_loss(loss: Any):
    model = make(3, None, loss)
    error = model.predict(X, verbose=0) - ONE_HOT
    assert model.evaluate(X, ONE_HOT, verbose=0) == pytest.approx((error**2).mean(), rel=1e-5)


@pytest.mark.parametrize("loss", ["kullback_leibler_divergence", "logcosh", "cosine_proximity"])
def test_old_names_of_losses(loss: str):
    history = make(3, "softmax", loss).fit(X, 0.5 * ONE_HOT + 0.2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("optimizer", ["adam", "Adam", "RMSprop", nnx.optimizers.SGD, nnx.optimizers.SGD(lr=1)])
def test_forms_of_the_optimizer(optimizer: Any):
    model = nnx.Sequential([Dense(3, input_dim=4)])
    model.compile(optimizer=optimizer, loss="mse")
    assert isinstance(model.optimizer, nnx.optimizers.Optimizer)
    model.fit(X, ONE_HOT, verbose=False)


def test_metrics_are_reset_between_epochs_and_calls():
    model = make(3, None, "mse", metrics=["mse"])
    model.fit(X, ONE_HOT, verbose=0, epochs=3, batch_size=5)
    first, second = (model.evaluate(X, ONE_HOT, verbose=0) for _ in range(2))
    assert first == second
    assert first[0] == pytest.approx(first[1], rel=1e-6)


# NaN in the data


def test_nan_is_found_when_asked_for():
    model = make(3, None, "mse")
    broken, weights = X.copy(), np.ones(12)
    broken[7, 2], weights[3] = np.nan, np.inf
    for data, words in [
        ((broken, ONE_HOT), r"x has 1 values that are not finite, the first is x\[7, 2\] = nan"),
        ((X, np.where(ONE_HOT > 0, np.inf, 0.0)), r"y has 12 values that are not finite, the first is y\[0, 0\] = inf"),
        ((X, ONE_HOT, weights), r"sample_weight has 1 values .*sample_weight\[3\] = inf"),
    ]:
        with nnx.debug.check_finite():
            with pytest.raises(ValueError, match=words):
                model.train_on_batch(*data)
            with pytest.raises(ValueError, match=words):
                model.fit([data], verbose=0)
            with pytest.raises(ValueError, match=words):
                model.evaluate(iter([data]), verbose=0)
    assert np.isfinite(model.train_on_batch(X, ONE_HOT))
    assert np.isnan(make(3, None, "mse").train_on_batch(broken, ONE_HOT))  # nobody asked


def test_checking_from_now_on_and_no_longer():
    model, broken = make(3, None, "mse"), np.full((12, 4), np.nan)
    nnx.debug.check_finite()
    try:
        with pytest.raises(ValueError, match="x has 48 values"):
            model.fit(broken, ONE_HOT, verbose=0)
        with nnx.debug.check_finite(False):
            model.evaluate(broken, ONE_HOT, verbose=0)
    finally:
        nnx.debug.check_finite(False)
    model.evaluate(broken, ONE_HOT, verbose=0)


@pytest.mark.parametrize(
    "metric", ["mse", nnx.losses.mse, nnx.losses.MeanSquaredError(), nnx.losses.MeanSquaredError, nnx.metrics.Huber()]
)
def test_losses_given_as_metrics_look_at_targets_before_training(metric: Any):
    model = make(3, "softmax", "sparse_categorical_crossentropy", metrics=[metric])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"metric '\w+': loss '\w+' expects targets of the shape .*\(batch, 3\)"):
        model.fit(X, LABELS, verbose=0)
    assert all((old == new).all() for old, new in zip(before, model.get_weights(), strict=True))


def test_options_of_a_loss_count_when_it_looks_at_targets():
    labels = np.where(LABELS == 2, -1, LABELS)
    loss = nnx.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    metric = nnx.metrics.SparseCategoricalCrossentropy(ignore_class=-1)
    make(3, "softmax", loss, metrics=[metric, loss]).fit(X, labels, verbose=0)
    with pytest.raises(ValueError, match=r"metric 'sparse_categorical_crossentropy': .* got -1 at index 2"):
        make(3, "softmax", loss, metrics=["sparse_categorical_crossentropy"]).fit(X, labels, verbose=0)
