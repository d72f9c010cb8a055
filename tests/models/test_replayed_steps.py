"""Epochs whose steps are replayed in a row: the numbers of other epochs, and what changes meanwhile counts at once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense, Dropout, Input
from nnx.training.replayed_steps import ReplayedSteps
from nnx.training.step import BatchStep

CHANCE = np.random.default_rng(3)
X = CHANCE.normal(size=(45, 4)).astype(np.float32)
LABELS = CHANCE.integers(0, 3, 45)
Y = CHANCE.uniform(size=(45, 3)).astype(np.float32)


def classifier() -> nnx.Model:
    return nnx.Sequential([Input((4,)), Dense(6, "relu"), Dropout(0.2), Dense(3, "softmax")])


def two_outputs() -> nnx.Model:
    x = Input((4,))
    hidden = Dense(5, "tanh")(x)
    return nnx.Model(x, [Dense(3, name="one")(hidden), Dense(3, name="other")(hidden)])


def two(make: Callable[[], nnx.Model], **options: Any) -> tuple[nnx.Model, nnx.Model]:
    """A model, and one like it."""
    nnx.random.set_seed(5)
    first = make()
    second = copy.deepcopy(first)
    for model in (first, second):
        model.compile(**copy.deepcopy(options))
    return first, second


def fitted(model: nnx.Model, *data: Any, **options: Any) -> dict[str, list[float]]:
    """The history of a training whose samples are shuffled as in each other one."""
    nnx.random.set_seed(9)
    return model.fit(*data, **options).history


def assert_same_weights(first: nnx.Model, second: nnx.Model) -> None:
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(one, other)


class Counting:
    """How many steps compare what their plans depend on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps, train = 0, BatchStep.train

        def counted(step: BatchStep, *batch: Any) -> None:
            self.steps += 1
            train(step, *batch)

        monkeypatch.setattr(BatchStep, "train", counted)


FITS: dict[str, tuple[Callable[[], nnx.Model], dict[str, Any], dict[str, Any]]] = {
    "labels and metrics": (
        classifier,
        {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        {"y": LABELS},
    ),
    "sample weights": (
        classifier,
        {"optimizer": "sgd", "loss": "mse", "weighted_metrics": ["mae"]},
        {"y": Y, "sample_weight": np.linspace(0.0, 2.0, 45, dtype=np.float32)},
    ),
    "two outputs": (
        two_outputs,
        {"optimizer": "rmsprop", "loss": "mse", "loss_weights": [1.0, 0.5]},
        {"y": [Y, 1 - Y]},
    ),
    "a schedule": (
        classifier,
        {"optimizer": nnx.optimizers.AdamW(nnx.optimizers.schedules.ExponentialDecay(0.01, 2, 0.7)), "loss": "mse"},
        {"y": Y},
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_results_are_those_of_epochs_that_are_observed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, options, data = FITS[name]
    replayed, observed = two(make, **options)
    observer = nnx.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    expected = fitted(observed, X, **data, epochs=4, batch_size=8, verbose=0, shuffle=False, callbacks=[observer])
    counting = Counting(monkeypatch)
    found = fitted(replayed, X, **data, epochs=4, batch_size=8, verbose=0, shuffle=False)
    assert found == expected
    assert_same_weights(replayed, observed)
    assert counting.steps < 4 * 6 - 8  # of a first epoch four or five, of each other one the first and the smaller last


def test_epochs_with_a_progress_bar_are_replayed_too(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    silent, drawn = two(classifier, optimizer="adam", loss="mse", metrics=["mae"])
    expected = fitted(silent, X, Y, epochs=3, batch_size=5, verbose=0, shuffle=False)
    counting = Counting(monkeypatch)
    found = fitted(drawn, X, Y, epochs=3, batch_size=5, verbose=1, shuffle=False)
    assert found == expected
    assert counting.steps < 3 * 9 - 8
    assert "9/9" in capsys.readouterr().out


def test_a_learning_rate_of_ones_own_may_do_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its function is called in each step, and so each step looks at everything."""
    weights = []
    for wished in ("auto", False):
        nnx.random.set_seed(5)
        model = classifier()

        def rate(step: int, model: nnx.Model = model) -> float:
            if step == 4:
                model.layers[1].rate = 0.5
            if step == 7:
                model.layers[0].trainable = False
            return 0.1

        model.compile(nnx.optimizers.SGD(rate), "mse", jit_compile=wished)
        counting = Counting(monkeypatch)
        model.fit(X, Y, epochs=2, batch_size=5, shuffle=False, verbose=0)
        weights.append(model.get_weights())
        assert counting.steps == 18
    assert all(map(np.array_equal, *weights))


def freeze(model: nnx.Model) -> None:
    model.layers[0].trainable = False


def _set(owner: Callable[[nnx.Model], Any], name: str, value: Any) -> Callable[[nnx.Model], None]:
    return lambda model: setattr(owner(model), name, value)


CHANGES: dict[str, Callable[[nnx.Model], None]] = {
    "an attribute of a layer": _set(lambda model: model.layers[1], "rate", 0.7),
    "the learning rate": _set(lambda model: model.optimizer, "learning_rate", 0.3),
    "a number of the formula": _set(lambda model: model.optimizer, "beta_1", 0.1),
    "the norm of gradients": _set(lambda model: model.optimizer, "clipnorm", 0.01),
    "a frozen layer": freeze,
    "values": lambda model: model.set_weights([0.5 * value for value in model.get_weights()]),
    "the number of steps": _set(lambda model: model.optimizer, "iterations", 0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_by_another_thread_counts_at_once(name: str) -> None:
    """Between two steps is when one can come."""
    options = {"optimizer": nnx.optimizers.Adam(0.05), "loss": "mse", "metrics": ["mae"]}
    replayed, plain = two(classifier, **options)
    for model in (replayed, plain):
        model.compile(jit_compile="auto" if model is replayed else False, **copy.deepcopy(options))
        train = ReplayedSteps(model.trainer.step).train if model is replayed else model.trainer.step.train
        for number in range(12):
            batch = slice(3 * number, 3 * number + 3)
            train(*model.trainer.pipeline.batch(X[batch], Y[batch]))
            if number == 7:
                CHANGES[name](model)
    assert_same_weights(replayed, plain)
    assert replayed.require_compiled().read() == plain.require_compiled().read()
