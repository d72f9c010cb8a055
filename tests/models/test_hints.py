"""Hints at what is likely to be a mistake, where the mistake is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import LSTM, Dense, Input, Reshape

X = np.ones((6, 3), dtype=np.float32)


def compiled(*layers: Any) -> Any:
    model = nnx.Sequential([Input((3,)), *layers])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda model: model.fit(X, X[:, :1], epoch=3), r"fit\(\) has no argument 'epoch'; did you mean 'epochs'\?"),
        (lambda model: model.compile(optimiser="adam"), r"compile\(\) has no argument .* mean 'optimizer'\?"),
        (lambda model: model.predict(X, batchsize=2), r"predict\(\) has no argument .* mean 'batch_size'\?"),
        (lambda model: model.evaluate(X, X[:, :1], qqq=2), r"evaluate\(\) has no argument 'qqq'; it has x, y, "),
    ],
)
def test_misspelt_arguments(call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        call(compiled(Dense(1)))


@pytest.mark.parametrize(
    "loss", ["mse", "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"]
)
def test_softmax_of_one_unit(loss: str) -> None:
    model = nnx.Sequential([Dense(1, activation="softmax", input_dim=3)])
    model.compile("sgd", loss)
    with pytest.warns(UserWarning, match=r"is always [01].*activation='sigmoid'") as caught:
        model.fit(X, np.zeros((6, 1)), epochs=2, verbose=0)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize("what", ["x", "y", "sample_weight"])
def test_values_that_are_missing(what: str, backend: Placement) -> None:
    given = {"x": X.copy(), "y": X[:, :1].copy(), "sample_weight": np.ones(6, dtype=np.float32)}
    given[what][4] = np.nan
    with pytest.warns(UserWarning, match=rf"^{what} has NaN in 1 of 6 samples, the first of them 4") as caught:
        compiled(Dense(1)).fit(**given, epochs=3, verbose=0)
    assert len(caught) == 1


def test_a_table_before_a_recurrent_layer() -> None:
    with pytest.raises(ValueError, match=r"lstm: .*got \(None, 3\); the rows of a table .* Reshape\(\(3, 1\)\)"):
        compiled(LSTM(2))
    assert compiled(Reshape((3, 1)), LSTM(2)).output_shape == (None, 2)
