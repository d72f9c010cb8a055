"""Early stopping of real trainings. Its decisions are compared with Keras in tests/oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement, backend_of
from nnx.callbacks import EarlyStopping, LambdaCallback
from nnx.layers import BatchNormalization, Dense
from nnx.random import Generator

X = np.float32(Generator(1).normal((24, 3)))
Y = np.float32(Generator(2).normal((24, 2)))


def make(rate: float = 0.1) -> nnx.Sequential:
    nnx.random.set_seed(4)
    model = nnx.Sequential([Dense(16, "tanh", input_dim=3), BatchNormalization(), Dense(2)])
    model.compile(nnx.optimizers.SGD(rate), "mse")
    return model


def remember(model: nnx.Sequential, seen: list[list[np.ndarray]]) -> LambdaCallback:
    """Keeps the weights of every epoch."""
    return LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()))


def test_the_best_weights_come_back_on_every_backend(backend: Placement):
    model, seen = make(), []
    stopping = EarlyStopping(patience=3, restore_best_weights=True)
    callbacks = [stopping, remember(model, seen)]
    history = model.fit(X, Y, epochs=40, validation_split=0.5, verbose=0, callbacks=callbacks).history["val_loss"]
    assert len(history) == stopping.stopped_epoch + 1 < 40
    assert stopping.best_epoch == int(np.argmin(history)) == stopping.stopped_epoch - 3
    assert stopping.best == min(history)
    for mine, best in zip(model.get_weights(), seen[stopping.best_epoch], strict=True):
        assert (mine == best).all()
    assert model.flat.whole
    assert backend_of(model.flat.values).name == backend.name
    assert model.evaluate(X[12:], Y[12:], verbose=0) == pytest.approx(stopping.best, rel=1e-5)


def test_the_best_weights_come_back_after_ctrl_c():
    """And not those of the epoch that was interrupted."""
    model, seen = make(), []

    def interrupt(epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    callbacks = [EarlyStopping("loss", patience=9, restore_best_weights=True), remember(model, seen)]
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=9, verbose=0, callbacks=[*callbacks, LambdaCallback(on_epoch_begin=interrupt)])
    assert all((mine == best).all() for mine, best in zip(model.get_weights(), seen[1], strict=True))


def test_it_begins_anew_with_every_training():
    model, stopping = make(), EarlyStopping("loss", patience=0)
    stopping.best, stopping.wait, stopping.stopped_epoch = -1.0, 7, 7
    assert len(model.fit(X, Y, epochs=3, verbose=0, callbacks=[stopping]).epoch) == 3
    assert stopping.best > 0.0
    assert (stopping.wait, stopping.stopped_epoch) == (0, 0)


def test_what_it_says(capsys: pytest.CaptureFixture[str]):
    model = make(rate=0.0)
    model.fit(
        *(X, Y),
        epochs=9,
        shuffle=False,
        verbose=0,
        callbacks=[EarlyStopping("loss", patience=2, verbose=1, restore_best_weights=True)],
    )
    assert capsys.readouterr().out == (
        "Epoch 3: early stopping\nRestoring model weights from the end of the best epoch: 1.\n"
    )


def test_training_without_validation_goes_on():
    with pytest.warns(UserWarning, match="give fit validation_data or validation_split"):
        history = make().fit(X, Y, epochs=2, verbose=0, callbacks=[EarlyStopping(restore_best_weights=True)])
    assert history.epoch == [0, 1]
