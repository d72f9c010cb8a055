"""Callbacks that set the learning rate. Their decisions are compared with Keras in tests/oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau
from nnx.layers import Dense
from nnx.optimizers import SGD
from nnx.optimizers.schedules import ExponentialDecay
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((12, 3)))
Y = np.float32(Generator(2).normal((12, 2)))


def make(rate: Any = 0.1) -> nnx.Sequential:
    nnx.random.set_seed(4)
    model = nnx.Sequential([Dense(2, input_dim=3)])
    model.compile(SGD(rate), "mse")
    return model


def test_an_epoch_is_trained_with_the_rate_of_the_schedule():
    model, by_hand = make(), make()
    scheduler = LearningRateScheduler(lambda epoch, lr: (0.1, 0.0, 0.02)[epoch])
    history = model.fit(X, Y, batch_size=4, shuffle=False, epochs=3, verbose=0, callbacks=[scheduler])
    assert history.history["learning_rate"] == [0.1, 0.0, 0.02]
    for epoch, rate in ((0, 0.1), (2, 0.02)):
        by_hand.optimizer.learning_rate = rate
        by_hand.fit(X, Y, batch_size=4, shuffle=False, initial_epoch=epoch, epochs=epoch + 1, verbose=0)
    assert_close(model.flat.values, by_hand.flat.values, 0.0, 0.0)


def test_epochs_count_from_initial_epoch():
    seen: list[int] = []

    def schedule(epoch: int) -> float:
        seen.append(epoch)
        return 0.1

    make().fit(X, Y, initial_epoch=3, epochs=5, verbose=0, callbacks=[LearningRateScheduler(schedule)])
    assert seen == [3, 4]


def _fails(epoch: int, lr: float) -> float:
    raise TypeError("a mistake inside")


def test_an_error_of_the_function_is_its_own():
    """A TypeError in a function of two arguments is not taken for a function of one."""
    with pytest.raises(TypeError, match="a mistake inside"):
        make().fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(_fails)])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (lambda epoch, *rest: rest[0] / 2, 0.05),
        (lambda epoch, decay=0.25: decay, 0.1),  # a second argument is the rate
        (ExponentialDecay(0.5, 1, 0.5), 0.5),  # a schedule, of the epoch
        (lambda epoch: np.array(0.25), 0.25),
        (lambda epoch: 1, 1.0),
        (max, 0.1),
    ],
)
def test_forms_of_the_schedule(schedule: Callable[..., Any], expected: float):
    model = make()
    LearningRateScheduler(schedule).set_model(model)
    model.fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(schedule)])
    assert model.optimizer.learning_rate == expected


@pytest.mark.parametrize("result", ["0.1", None, True, [0.1], np.array([0.1])])
def test_a_schedule_has_to_give_a_number(result: Any):
    model = make()
    with pytest.raises(ValueError, match=r"output of the `schedule` function should be a float. Got: "):
        model.fit(X, Y, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: result)])
    assert model.optimizer.learning_rate == 0.1


def test_a_schedule_has_to_be_a_function():
    with pytest.raises(TypeError, match=r"schedule must be a function of \(epoch, lr\), got 0.1"):
        LearningRateScheduler(0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [ExponentialDecay(0.1, 10, 0.5), lambda: 0.1], ids=["schedule", "function"])
@pytest.mark.parametrize(
    "callback",
    [lambda: ReduceLROnPlateau("loss"), lambda: LearningRateScheduler(lambda epoch: 0.1)],
    ids=["plateau", "scheduler"],
)
def test_a_rate_that_follows_a_schedule_is_not_set(rate: Any, callback: Callable[[], Callback]):
    """Said before the first batch."""
    model = make(rate)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"the learning rate, but that of sgd follows (ExponentialDecay|<lambda>): ma"):
        model.fit(X, Y, verbose=0, callbacks=[callback()])
    assert all((mine == kept).all() for mine, kept in zip(model.get_weights(), before, strict=True))
    model.fit(X, Y, verbose=0)


def test_plateau_in_a_training(capsys: pytest.CaptureFixture[str]):
    model = make(0.5)
    plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9, min_lr=0.2, verbose=1)
    history = model.fit(X, Y, epochs=5, verbose=0, callbacks=[plateau]).history
    assert history["learning_rate"] == [0.5, 0.5, 0.25, 0.2, 0.2]
    assert capsys.readouterr().out == (
        "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.\n"
        "Epoch 3: ReduceLROnPlateau reducing learning rate to 0.2.\n"
    )


def test_old_names_and_wrong_values():
    with pytest.warns(DeprecationWarning, match=r"write min_delta=0.01"):
        assert ReduceLROnPlateau(epsilon=0.01).min_delta == 0.01
    for factor in (1.0, -0.1):
        with pytest.raises(ValueError, match=rf"to make it smaller; got factor={factor}"):
            ReduceLROnPlateau(factor=factor)
