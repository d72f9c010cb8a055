"""Training that ends before its time: Ctrl-C, errors of data, callbacks and layers. The model stays usable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.callbacks import Callback, LambdaCallback
from nnx.layers import Dense
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((20, 3)))
Y = np.float32(Generator(2).normal((20, 2)))


def make(optimizer: Any = "sgd") -> nnx.Sequential:
    model = nnx.Sequential([Dense(4, "tanh", input_dim=3), Dense(2)])
    model.compile(optimizer, "mse")
    return model


class Ending(Callback):
    """Counts how often the end of training was told."""

    ends = 0

    def on_train_end(self, logs: Any = None) -> None:
        self.ends += 1


def raise_in(hook: str, error: BaseException, after: int = 0) -> Callback:
    """A callback that raises in a hook, when it is called for that number."""

    def act(number: int, logs: Any = None) -> None:
        if number == after:
            raise error

    return LambdaCallback(**{hook: act})


def still_works(model: nnx.Sequential) -> None:
    assert np.isfinite(model.predict(X, verbose=0)).all()
    assert all(layer.activity_penalties is None for _, layer in model.walk())
    losses = model.fit(X, Y, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


def at_batch(number: int) -> Callback:
    """Ctrl-C at the end of that batch, counted over all epochs."""
    seen: list[int] = []

    def act(batch: int, logs: Any = None) -> None:
        seen.append(batch)
        if len(seen) == number:
            raise KeyboardInterrupt

    return LambdaCallback(on_train_batch_end=act)


@pytest.mark.parametrize(
    "where",
    [
        lambda: raise_in("on_epoch_end", KeyboardInterrupt(), after=2),
        lambda: raise_in("on_epoch_begin", KeyboardInterrupt(), after=2),
        lambda: at_batch(5),
    ],
    ids=["end of an epoch", "begin of an epoch", "in an epoch"],
)
def test_ctrl_c(where: Callable[[], Callback]):
    model, recorder = make(), Ending()
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(X, Y, batch_size=10, epochs=9, verbose=0, callbacks=[recorder, where()])
    assert recorder.ends == 1
    assert model.history.epoch == [0, 1]
    assert len(model.history.history["loss"]) == 2
    assert caught.value.__notes__ == ["training stopped after 2 complete epochs; they are in model.history.history"]
    still_works(model)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, ValueError])
def test_an_error_of_the_data_source(error: type[BaseException]):
    def source() -> Iterator[Any]:
        yield X, Y
        yield X, Y
        raise error("the disk is gone")

    model, recorder = make(), Ending()
    with pytest.raises(error, match="the disk is gone"):
        model.fit(source(), epochs=2, verbose=0, callbacks=[recorder])
    assert model.optimizer.iterations == 2
    assert recorder.ends == 1
    assert model.history.epoch == []
    still_works(model)


def test_an_error_inside_a_layer():
    def broken(x: Any) -> Any:
        if switch:
            raise ZeroDivisionError("inside")
        return x, lambda dy: dy

    switch: list[int] = []
    model = nnx.Sequential(
        [Dense(4, "tanh", input_dim=3, activity_regularizer="l2"), nnx.layers.Lambda(broken), Dense(2)]
    )
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    switch.append(1)
    with pytest.raises(ZeroDivisionError, match="inside"):
        model.fit(X, Y, verbose=0)
    switch.clear()
    still_works(model)


def test_moving_average_also_after_an_interruption():
    model = make(nnx.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=9, verbose=0, callbacks=[raise_in("on_epoch_end", KeyboardInterrupt(), 3)])
    assert_close(model.flat.values, model.optimizer.slots["average"], 0.0, 0.0)
