"""Validation during fit: split, data of its own, steps and frequency."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.layers import Dense
from nnx.random import Generator

X = np.float32(Generator(1).normal((22, 3)))
Y = np.float32(Generator(2).normal((22, 2)))


def make() -> nnx.Sequential:
    nnx.random.set_seed(4)
    model = nnx.Sequential([Dense(4, "tanh", input_dim=3), Dense(2)])
    model.compile(nnx.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"])
    return model


def batches() -> list[tuple[np.ndarray, ...]]:
    return [(X[start : start + 5], Y[start : start + 5]) for start in range(0, 22, 5)]


class Batches:
    """A sequence of batches, without `__iter__`."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return batches()[index]


def test_validation_split_is_the_last_part_before_shuffling():
    model = make()
    history = model.fit(X, Y, validation_split=0.25, batch_size=4, epochs=2, verbose=0).history
    rows = 22 - 6  # Keras trains on floor(22 * 0.75) = 16 rows
    assert model.optimizer.iterations == 2 * 4
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(X[rows:], Y[rows:], verbose=0)[0], rel=1e-6)
    other = make()
    same = other.fit(X[:rows], Y[:rows], validation_data=(X[rows:], Y[rows:]), batch_size=4, epochs=2, verbose=0)
    assert same.history == history


VALIDATION: dict[str, Callable[[], Any]] = {
    "pair": lambda: (X, Y),
    "list": lambda: [X, Y],
    "lists": lambda: (X.tolist(), Y.tolist()),
    "weighted": lambda: (X, Y, np.ones(22)),
    "sequence": Batches,
    "list of batches": batches,
}


@pytest.mark.parametrize("form", VALIDATION)
def test_forms_of_validation_data(form: str):
    model = make()
    history = model.fit(X, Y, validation_data=VALIDATION[form](), batch_size=5, epochs=2, verbose=0).history
    assert list(history) == ["loss", "mae", "val_loss", "val_mae"]
    assert [history["val_loss"][-1], history["val_mae"][-1]] == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)


def test_validation_steps_take_the_same_batches_every_time():
    model = make()
    history = model.fit(X, Y, validation_data=(X, Y), validation_steps=2, batch_size=4, epochs=3, verbose=0)
    expected = model.evaluate(X[:8], Y[:8], verbose=0)
    assert [history.history["val_loss"][-1], history.history["val_mae"][-1]] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("frequency", "epochs"), [(1, 5), (2, 2), ([1, 4], 2), (np.int64(5), 1), (9, 0)])
def test_validation_frequency(frequency: Any, epochs: int):
    history = make().fit(X, Y, validation_data=(X, Y), validation_freq=frequency, epochs=5, verbose=0).history
    assert len(history["loss"]) == 5
    assert len(history.get("val_loss", [])) == epochs


def test_validation_batch_size_does_not_change_the_result():
    results = [
        make()
        .fit(X, Y, validation_data=(X, Y), validation_batch_size=size, batch_size=8, verbose=0)
        .history["val_loss"]
        for size in (None, 1, 7, 100)
    ]
    assert all(result == pytest.approx(results[0], rel=1e-5) for result in results)


def test_a_generator_for_validation_ends_with_what_it_has():
    """It cannot be started again: the second validation has no data, which is an error that says so."""
    history = make().fit(X, Y, validation_data=iter(batches()), verbose=0).history
    assert len(history["val_loss"]) == 1
    with (
        pytest.warns(UserWarning, match="the data ended after 0 batches"),
        pytest.raises(ValueError, match=r"the validation after epoch 2 got no data: .* generator"),
    ):
        make().fit(X, Y, epochs=2, validation_data=iter(batches()), verbose=0)


def test_validation_changes_nothing():
    model, other = make(), make()
    model.fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0)
    other.fit(X, Y, epochs=3, verbose=0)
    assert (model.flat.values == other.flat.values).all()
