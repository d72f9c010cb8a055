"""Sums and limits of half precision: what is added up is added in float32, so that nothing saturates or overflows.

In float16 2048 + 1 is 2048, and 65504 is the largest number.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.functional import arithmetic, pooling
from nnx.functional.activations import log_softmax, prelu, softmax, sparsemax
from nnx.functional.affine import bias_activation
from nnx.functional.axes import repeat_vector
from nnx.functional.inner_product import dot
from nnx.functional.merging import average
from nnx.layers import GRU, LSTM, AveragePooling1D, AveragePooling2D, Conv1D, Dense, DepthwiseConv2D, SimpleRNN
from nnx.pullbacks import linear
from nnx.testing import assert_close
from nnx.testing.backend_rows import default_rows

HALF_ROWS = [row for row in default_rows() if row.problem() is None and "strict" not in str(row)]  # that has no float16


@pytest.fixture(params=HALF_ROWS, ids=str)
def half(request: pytest.FixtureRequest) -> Iterator[Placement]:
    with request.param.entered("float16") as placement:
        yield placement


def full(half: Placement, shape: tuple[int, ...], value: float):
    return half.asarray(np.full(shape, value))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("size", "strides", "padding"), [(64, None, "valid"), (40, 8, "same"), (64, 1, "same")])
def test_means_of_large_windows(half, size, strides, padding, data_format):
    x = full(half, (1, 64, 64, 64), 200.0)
    y, pullback = pooling.average_pool(x, size, strides, padding, data_format)
    assert_close(y, np.full(y.shape, 200.0), rtol=1e-3, like=x)
    dx = pullback(full(half, tuple(y.shape), 1.0))
    assert_close(np.sum(nnx.to_numpy(dx), dtype="float64"), np.prod(y.shape), rtol=5e-3)


def test_average_pooling_of_a_large_image_as_a_layer(half):
    assert_close(AveragePooling2D(64)(full(half, (1, 64, 64, 1), 200.0)), np.full((1, 1, 1, 1), 200.0), rtol=1e-3)
    assert_close(AveragePooling1D(4096)(full(half, (1, 4096, 1), 200.0)), np.full((1, 1, 1), 200.0), rtol=1e-3)


def test_global_pooling(half):
    x = full(half, (2, 5000, 3), 100.0)
    assert_close(pooling.global_average_pool(x)[0], np.full((2, 3), 100.0), rtol=1e-3)
    mask = np.arange(5000) < 4000
    y, pullback = pooling.global_average_pool(x, mask=half.asarray(np.stack([mask, ~mask]), "bool"))
    assert_close(y, np.full((2, 3), 100.0), rtol=1e-3, like=x)
    dx = nnx.to_numpy(pullback(full(half, (2, 3), 1000.0)))
    assert_close(dx[:, :, 0], np.stack([mask / 4.0, ~mask * 1.0]), rtol=2e-3)
    dx = pooling.global_max_pool(x)[1](full(half, (2, 3), 1000.0))  # 5000 elements share it
    assert_close(dx, np.full((2, 5000, 3), 0.2), rtol=2e-3, like=x)


@pytest.mark.parametrize("axis", [0, -1])
def test_softmax_over_many_classes(half, axis):
    for count in (5000, 70_000):
        x = full(half, (count, 2) if axis == 0 else (2, count), 1.0)
        y, pullback = softmax(x, axis)
        assert_close(y, np.full(x.shape, 1.0 / count), rtol=2e-3, atol=4e-8, like=x)
        assert_close(pullback(full(half, tuple(x.shape), 3.0)), np.zeros(x.shape), atol=1e-6, like=x)
        y, pullback = log_softmax(x, axis)
        assert_close(y, np.full(x.shape, -np.log(count)), rtol=2e-3, like=x)
        assert_close(pullback(full(half, tuple(x.shape), 1.0)), np.zeros(x.shape), atol=0.08, like=x)
    x = full(half, (5000, 2) if axis == 0 else (2, 5000), 1.0)
    y, pullback = sparsemax(x, axis)
    assert_close(y, np.full(x.shape, 1.0 / 5000), rtol=2e-3, like=x)
    assert_close(pullback(full(half, tuple(x.shape), 100.0)), np.zeros(x.shape), atol=0.1, like=x)


def test_gradients_of_what_is_repeated(half):
    rows = 5000
    x, dy = full(half, (rows, 2), 1.0), full(half, (rows, 2), 1.0)
    assert_close(arithmetic.add(x, full(half, (2,), 1.0))[1](dy)[1], np.full(2, rows), rtol=1e-3, like=x)
    assert_close(bias_activation(x, full(half, (2,), 0.0), linear)[1](dy)[1], np.full(2, rows), rtol=1e-3, like=x)
    negative = full(half, (1, rows, 2), -1.0)
    dalpha = prelu(negative, full(half, (1, 2), 0.5))[1](full(half, (1, rows, 2), 1.0))[1]
    assert_close(dalpha, np.full((1, 2), -rows), rtol=1e-3, like=x)
    dx = repeat_vector(full(half, (1, 2), 1.0), rows)[1](full(half, (1, rows, 2), 1.0))
    assert_close(dx, np.full((1, 2), rows), rtol=1e-3, like=x)


def test_inner_products_and_means_of_layers(half):
    x = full(half, (2, 5000), 1.0)
    assert_close(dot(x, x, 1)[0], np.full((2, 1), 5000.0), rtol=1e-3, like=x)
    large = full(half, (2, 3), 6e4)
    y, pullback = average(large, large, large)
    assert_close(y, np.full((2, 3), 6e4), rtol=1e-3, like=large)
    assert [tuple(dx.shape) for dx in pullback(large)] == [(2, 3)] * 3
    y, pullback = average(large)
    assert_close(pullback(y), np.full((2, 3), 6e4), rtol=1e-3, like=large)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: Dense(2), (5000, 3)),
        (lambda: Dense(2, "relu", bias_initializer="ones"), (5000, 3)),
        (lambda: Conv1D(2, 3, padding="same"), (50, 100, 3)),
        (lambda: DepthwiseConv2D(3, padding="same"), (5, 40, 25, 3)),
        (lambda: SimpleRNN(2, return_sequences=True), (2500, 2, 3)),
        (lambda: LSTM(2, return_sequences=True), (2500, 2, 3)),
        (lambda: GRU(2, return_sequences=True), (2500, 2, 3)),
        (lambda: GRU(2, return_sequences=True, reset_after=False), (2500, 2, 3)),
    ],
)
def test_gradients_of_weights_over_many_rows_are_those_of_float32(half, make, shape):
    gradients = []
    x = nnx.random.Generator(1).uniform(shape) * 0.25
    for dtype in ("float32", "float16"):
        with nnx.backend(half.name, dtype=dtype) as placement:
            nnx.random.set_seed(2)
            model = nnx.Sequential([nnx.Input(shape[1:]), make()])
            y, pullback = model.forward(placement.asarray(x), training=True)
            pullback(placement.xp.ones_like(y))
            gradients.append([nnx.to_numpy(p.grad).astype("float64") for p in model.trainable_weights])
    for exact, found in zip(*gradients, strict=True):
        assert np.abs(found - exact).max() < 1e-2 * np.abs(exact).max()


def test_losses_and_metrics_of_float16(half):
    y_true, y_pred = full(half, (70_000, 2), 0.0), full(half, (70_000, 2), 300.0)
    loss = nnx.losses.MeanSquaredError()
    assert_close(loss(y_true, y_pred), 9e4, rtol=1e-6)
    value, pullback = loss.forward(y_true, y_pred)
    assert_close(value, 9e4, rtol=1e-6)
    dy = pullback(140_000.0)
    assert_close(dy, np.full((70_000, 2), 600.0), rtol=1e-3, like=y_pred)
    assert_close(nnx.losses.mean_squared_error(y_true, y_pred), np.full(70_000, 9e4), rtol=1e-6)
    for metric, expected in ((nnx.metrics.MeanSquaredError(), 9e4), (nnx.metrics.MeanAbsoluteError(), 300.0)):
        metric.update_state(y_true, y_pred)
        assert_close(metric.result(), expected, rtol=1e-6)
