"""Inputs with a last axis of length one more or less than a graph of layers expects: as tolerant as Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import LSTM, Dense, Input
from nnx.testing import assert_close, check_gradients

ROWS = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def of_rows() -> Any:
    x = Input((6,))
    return nnx.Model(x, Dense(2)(x))


def of_steps() -> Any:
    x = Input((6, 1))
    return nnx.Model(x, LSTM(2)(x))


def stack() -> Any:
    return nnx.Sequential([Input((6,)), Dense(2)])


CASES = [(of_rows, ROWS, ROWS[..., None]), (of_steps, ROWS[..., None], ROWS), (stack, ROWS, ROWS[..., None])]
each_case = pytest.mark.parametrize(("make", "expected", "given"), CASES)


@each_case
def test_everything_takes_them(
    make: Callable[[], Any], expected: np.ndarray, given: np.ndarray, backend: Placement
) -> None:
    model = make()
    y = model.predict(expected, verbose=0)
    assert_close(model.predict(given, verbose=0), y)
    assert_close(model.predict_on_batch(given), y)
    assert_close(model(backend.asarray(given)), y)
    model.compile("sgd", "mse")
    assert model.evaluate(given, y, verbose=0) == 0.0
    model.fit(given, y, verbose=0)
    model.train_on_batch(given, y)


@each_case
def test_models_inside_of_models_too(
    make: Callable[[], Any], expected: np.ndarray, given: np.ndarray, backend: Placement
) -> None:
    inner = make()
    x = Input(given.shape[1:])
    for outer in (nnx.Model(x, inner(x)), nnx.Sequential([Input(given.shape[1:]), inner])):
        assert outer.output_shape == (None, 2)
        assert_close(outer.predict(given, verbose=0), inner.predict(expected, verbose=0))
        outer.compile("sgd", "mse")
        outer.fit(given, np.zeros((4, 2)), verbose=0)


def test_cotangents_have_the_shape_of_what_was_given(backend_float64: Placement) -> None:
    with nnx.backend(backend_float64.name, device=backend_float64.device, dtype="float64"):
        model = of_rows()
    check_gradients(model.forward, ROWS[..., None].astype(np.float64), placement=backend_float64)


def test_one_of_several_inputs() -> None:
    rows, steps = Input((6,)), Input((3, 1))
    model = nnx.Model([rows, steps], [Dense(1)(rows), LSTM(2)(steps)])
    given, expected = [ROWS[..., None], ROWS[:, :3]], [ROWS, ROWS[:, :3, None]]
    for found, right in zip(model.predict(given, verbose=0), model.predict(expected, verbose=0), strict=True):
        assert_close(found, right)


@pytest.mark.parametrize("shape", [(4, 5, 1), (4, 6, 2), (6,), (4, 6, 1, 1)])
def test_other_shapes_are_errors(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"functional: expected an input of shape \(None, 6\), got "):
        of_rows()(np.ones(shape, dtype=np.float32))


def test_a_graph_is_called_functional() -> None:
    assert of_rows().name == "functional"
    assert nnx.models.clone_model(of_rows()).name == "functional"
    x = Input((6,))
    assert nnx.Model(x, Dense(2)(x), name="mine").name == "mine"

    class Mine(nnx.Model):
        pass

    assert Mine(x, Dense(2)(x)).name == "mine"
