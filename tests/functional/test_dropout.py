"""Dropout: its mask is the same on every backend, its mean that of its input."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx import functional
from nnx.random import Draw, Generator, host_words
from nnx.testing import assert_close, check_gradients, no_synchronization

SHAPE = (7, 9)


def _draw(size: int = 63) -> Draw:
    return Generator(3).draw(size)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_mask_is_that_of_the_words_and_used_twice(backend, rate):
    x, dy = backend.asarray(np.full(SHAPE, 2.0)), backend.asarray(np.full(SHAPE, -3.0))
    with no_synchronization():
        y, pullback = functional.dropout(x, rate, _draw())
        dx = pullback(dy)
    kept = host_words(_draw()).reshape(SHAPE).astype(np.int64) >= round(rate * 2**32)
    scale = 1.0 / (1.0 - rate) if rate < 1.0 else 0.0
    assert ((nnx.to_numpy(y) != 0.0) == kept).all()
    assert_close(y, 2.0 * scale * kept, like=x)
    assert_close(dx, -3.0 * scale * kept, like=x)


def test_mean_and_rate():
    y, _ = functional.dropout(np.ones((1000, 100), dtype=np.float32), 0.3, _draw(100_000))
    assert abs((y == 0.0).mean() - 0.3) < 0.005
    assert abs(y.mean() - 1.0) < 0.01


@pytest.mark.parametrize("noise_shape", [(7, 1), (1, 9), (None, 1), (7, None), [1, 1]])
def test_noise_shape_shares_decisions(backend, noise_shape):
    shape = tuple(full if size is None else size for size, full in zip(noise_shape, SHAPE, strict=True))
    draw = _draw(int(np.prod(shape)))
    x = backend.asarray(np.ones(SHAPE))
    y, pullback = functional.dropout(x, 0.5, draw, noise_shape)
    expected = np.broadcast_to(2.0 * (host_words(draw).reshape(shape) >= 2**31), SHAPE)
    assert_close(y, expected, like=x)
    assert_close(pullback(x), expected, like=x)


@pytest.mark.parametrize("noise_shape", [None, (7, 1)])
def test_gradient(noise_shape):
    x = Generator(0).normal(SHAPE)
    check_gradients(lambda x: functional.dropout(x, 0.4, _draw(63 if noise_shape is None else 7), noise_shape), x)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_rate_out_of_range(rate):
    with pytest.raises(ValueError, match="rate must be between 0 and 1"):
        functional.dropout(np.ones(SHAPE), rate, _draw())


def test_wrong_sizes():
    with pytest.raises(ValueError, match=r"mask of shape \(7, 9\) needs a draw of as many words, got 62"):
        functional.dropout(np.ones(SHAPE), 0.5, _draw(62))
    for noise_shape in [(7,), (7, 3), (7, 9, 1)]:
        with pytest.raises(ValueError, match="noise_shape must have 1, None or x's size along each axis"):
            functional.dropout(np.ones(SHAPE), 0.5, _draw(), noise_shape)
