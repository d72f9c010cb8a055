"""Subnormal numbers are made 0, in place, on every backend; and optimisers do not keep them."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backends import to_numpy
from nnx.functional.subnormals import flush_subnormals
from nnx.optimizers import SGD, Adam, Muon, Nadam
from nnx.optimizers.multi_optimizer import MultiOptimizer, OptimizerMap


def check(backend, dtype: str) -> None:
    smallest = float(np.finfo(dtype).smallest_normal)
    given = [1.0, -smallest, smallest / 2, -smallest / 2, 0.0, np.inf, -np.inf, np.nan]
    whole = backend.asarray(np.asarray([smallest / 2, *given, smallest / 2], dtype))
    flush_subnormals(whole[1:-1])
    expected = [smallest / 2, 1.0, -smallest, 0.0, 0.0, 0.0, np.inf, -np.inf, np.nan, smallest / 2]
    np.testing.assert_array_equal(to_numpy(whole), np.asarray(expected, dtype))


def test_what_is_below_the_normal_numbers_is_made_zero(backend):
    check(backend, "float32")


def test_in_float64_they_are_other_ones(backend_float64):
    check(backend_float64, "float64")


@pytest.mark.parametrize(
    "make",
    [
        Adam,
        lambda: Adam(gradient_accumulation_steps=2),
        lambda: SGD(momentum=0.9),
        Muon,
        lambda: MultiOptimizer(OptimizerMap(Adam(), {".*/bias": Nadam()})),
    ],
    ids=["Adam", "Adam in rounds", "momentum", "Muon", "two"],
)
def test_an_average_of_gradients_that_are_no_more_becomes_zero(make, backend):
    """As that of a unit which is never active again, or of a word that comes no more."""
    model = nnx.Sequential([nnx.Input((4,)), nnx.layers.Dense(3), nnx.layers.Dense(2)])
    optimizer = make()
    model.compile(optimizer, "mse")
    x, y = np.ones((2, 4), "float32"), np.ones((2, 2), "float32")
    model.train_on_batch(x, y)
    kept = [one for one in optimizer.variables if one.shape]
    assert kept
    for one in kept:
        one.assign(np.full(one.shape, 1e-40, "float32"))
    for _ in range(128):
        model.flat.start_pass()
        optimizer.step(model)
    assert all(not to_numpy(one.value).any() for one in kept)
