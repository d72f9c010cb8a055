"""Operations and functions of nnx.ops in a graph say whether rows depend on each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import ops
from nnx.layers import Input
from nnx.layers.function_call import _ALONG_AXIS, _ALSO_BY_ELEMENTS
from nnx.ops.operation import OPERATIONS

APART: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: 2.0 * x + x,
    "item": lambda x: x[:, 1:] / x[..., :1],
    "mean": lambda x: x - ops.mean(x, 1, keepdims=True),
    "softmax": ops.softmax,
    "leaky": lambda x: ops.leaky_relu(x, 0.1),
    "where": lambda x: ops.where(x > 0.0, x, ops.exp(x)),
    "both": lambda x: ops.concatenate([x, x], axis=-1),
    "array": lambda x: x + np.ones(3, "float32"),
}
MIXED: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x[::-1],
    "mean": lambda x: x - ops.mean(x),
    "mean of rows": lambda x: x - ops.mean(x, axis=0),
    "softmax": lambda x: ops.softmax(x, axis=0),
    "matmul": lambda x: x @ ops.matmul(ops.transpose(x), x),
    "both": lambda x: ops.concatenate([x[1:], x[:1]], axis=0),
    "take": lambda x: ops.take(x, ops.argsort(x[:, 0]), axis=0),
    "reshape": lambda x: ops.reshape(ops.cumsum(ops.reshape(x, (1, -1, 3)), axis=1), (-1, 3)),
}


def graph(function: Callable[[Any], Any]) -> nnx.Model:
    x = Input((3,))
    return nnx.Model(x, function(x))


@pytest.mark.parametrize("name", APART)
def test_rows_that_are_apart(name: str) -> None:
    assert graph(APART[name]).keeps_rows_apart


@pytest.mark.parametrize("name", MIXED)
def test_rows_that_depend_on_each_other_are_predicted_in_their_batches(name: str) -> None:
    model, x = graph(MIXED[name]), np.random.default_rng(1).normal(size=(12, 3)).astype("float32")
    assert not model.keeps_rows_apart
    by_batch = [model.predict_on_batch(x[start : start + 4]) for start in (0, 4, 8)]
    np.testing.assert_array_equal(model.predict(x, batch_size=4, verbose=0), np.concatenate(by_batch))


def test_the_names_of_functions_are_those_of_ops() -> None:
    assert set(OPERATIONS) >= _ALONG_AXIS | _ALSO_BY_ELEMENTS
