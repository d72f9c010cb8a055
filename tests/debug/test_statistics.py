"""Statistics of parameters and gradients: numbers against NumPy, and when there is a gradient."""

from __future__ import annotations

import numpy as np

import nnx
from nnx.layers import BatchNormalization, Dense, Input, Normalization
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((24, 4)))
Y = np.float32(Generator(2).normal((24, 2)))


def test_numbers(backend):
    model = nnx.Sequential([Input((4,)), Dense(3, "relu"), BatchNormalization(), Dense(2)])
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    rows = {(row.path, row.of): row for row in nnx.debug.statistics(model).rows}
    expected = {(path, "value"): parameter.value for path, parameter in model.named_weights().items()}
    expected |= {(parameter.path, "gradient"): parameter.grad for parameter in model.flat.parameters}
    assert set(rows) == set(expected)
    for key, array in expected.items():
        host, row = nnx.to_numpy(array).astype(np.float64), rows[key]
        assert row.shape == host.shape
        found = [row.mean, row.std, row.min, row.max, row.norm, row.zeros]
        numbers = [host.mean(), host.std(), host.min(), host.max(), np.linalg.norm(host), (host == 0.0).mean()]
        assert_close(found, numbers, rtol=1e-5, atol=1e-6)


def test_there_is_a_gradient_once_there_was_a_pullback():
    model = nnx.Sequential([Input((4,)), Dense(2)])
    assert [row.of for row in nnx.debug.statistics(model).rows] == ["value", "value"]
    y, pullback = model.forward(X)
    assert [row.of for row in nnx.debug.statistics(model).rows] == ["value", "value"]
    pullback(y)
    assert [row.of for row in nnx.debug.statistics(model).rows] == ["value", "gradient"] * 2


def test_integers_frozen_parameters_and_float16():
    layer = Normalization()
    layer.adapt(X)
    frozen = Dense(3, trainable=False)
    with nnx.backend("numpy", dtype="float16"):
        half = nnx.Sequential([Input((4,)), Dense(300, kernel_initializer=lambda *_: np.full((4, 300), 100.0))])
    model = nnx.Sequential([Input((4,)), layer, frozen, Dense(2)])
    model.compile("sgd", "mse")
    model.train_on_batch(X, Y)
    rows = {(row.path, row.of): row for row in nnx.debug.statistics(model).rows}
    assert rows["normalization/count", "value"].mean == 24.0
    assert ("dense/kernel", "gradient") not in rows
    assert ("dense_1/kernel", "gradient") in rows
    kernel = nnx.debug.statistics(half).rows[0]
    assert_close(kernel.norm, 100.0 * np.sqrt(1200.0), rtol=1e-5)  # whose square is beyond float16


def test_nan_is_shown():
    model = nnx.Sequential([Input((4,)), Dense(2)])
    model.layers[0].kernel.value[0, 0] = np.nan
    assert "nan" in str(nnx.debug.statistics(model)).splitlines()[1]


def test_a_model_without_parameters():
    model = nnx.Sequential([Input((4,)), nnx.layers.Flatten()])
    assert nnx.debug.statistics(model).rows == []
    assert str(nnx.debug.statistics(model)).startswith("parameter")
