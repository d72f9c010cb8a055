"""Training that has come to nothing ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.callbacks import LambdaCallback, TerminateOnNaN
from nnx.layers import Dense

X = np.ones((20, 3), np.float32)
Y = np.zeros((20, 1), np.float32)
Y[13] = np.nan  # in the fourth of five batches


def make() -> nnx.Sequential:
    model = nnx.Sequential([Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    return model


def test_after_the_batch_in_which_it_happens(backend: Placement, capsys: pytest.CaptureFixture[str]):
    model = make()
    with pytest.warns(UserWarning, match="y has NaN in 1 of 20 samples, the first of them 13, and so the loss is NaN"):
        history = model.fit(X, Y, batch_size=4, shuffle=False, epochs=5, verbose=0, callbacks=[TerminateOnNaN()])
    assert model.optimizer.iterations == 4
    assert history.epoch == [0]
    assert math.isnan(history.history["loss"][0])
    assert capsys.readouterr().out == "Batch 3: Invalid loss, terminating training\n"


def test_as_an_error():
    model, ends = make(), []
    callbacks = [TerminateOnNaN(raise_error=True), LambdaCallback(on_train_end=ends.append)]
    with pytest.raises(RuntimeError, match=r"NaN or Inf loss encountered at batch 3. Loss value: nan."):
        model.fit(X, Y, batch_size=4, shuffle=False, epochs=5, verbose=0, callbacks=callbacks)
    assert len(ends) == 1
    assert model.history.epoch == []


@pytest.mark.parametrize("logs", [None, {}, {"loss": 1e300}, {"acc": math.nan}])
def test_what_is_no_reason(logs: Any):
    callback = TerminateOnNaN(raise_error=True)
    callback.on_batch_end(0, logs)
    callback.on_train_batch_end(0, logs)
