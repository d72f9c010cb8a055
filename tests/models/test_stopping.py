"""Ends that a callback asks for: of predictions and evaluations as of training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.callbacks import Callback

X = np.ones((4, 3), dtype=np.float32)


def endless() -> Iterator[Any]:
    for _ in range(100):
        yield X, X[:, :1]
    raise AssertionError("nobody stopped it")


class Stop(Callback):
    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.stop_predicting = batch == 2

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.stop_evaluating = batch == 2


def compiled(optimizer: Any = "sgd") -> Any:
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=3)])
    model.compile(optimizer, "mse")
    return model


def test_predictions(backend: Placement) -> None:
    model = compiled()
    assert model.predict(endless(), callbacks=[Stop()], verbose=0).shape == (12, 1)
    assert model.predict(X, verbose=0).shape == (4, 1)  # the next call begins anew


def test_evaluations(backend: Placement) -> None:
    model = compiled()
    stopped = model.evaluate(endless(), callbacks=[Stop()], verbose=0)
    assert stopped == pytest.approx(model.evaluate(X, X[:, :1], verbose=0))


def test_a_validation_can_be_stopped_and_training_goes_on() -> None:
    history = compiled().fit(X, X[:, :1], validation_data=endless(), callbacks=[Stop()], epochs=1, verbose=0)
    assert "val_loss" in history.history


def test_a_model_without_an_optimizer_is_evaluated_saved_and_not_trained(tmp_path: Any) -> None:
    model = compiled(optimizer=None)
    loss = model.evaluate(X, X[:, :1], verbose=0)
    for train in (lambda: model.fit(X, X[:, :1], verbose=0), lambda: model.train_on_batch(X, X[:, :1])):
        with pytest.raises(ValueError, match=r"sequential was compiled without an optimizer.*compile\('adam'"):
            train()
    model.save(tmp_path / "model.nnx")
    assert nnx.saving.load_model(tmp_path / "model.nnx").evaluate(X, X[:, :1], verbose=0) == pytest.approx(loss)
