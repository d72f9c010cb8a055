"""Reshape and flatten."""

from __future__ import annotations

import numpy as np
import pytest

from nnx import functional
from nnx.testing import assert_close, check_gradients

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("shape", [(24,), (2, 12), (4, -1), (2, 3, 4)])
def test_reshape(backend, shape):
    x = backend.asarray(X)
    y, pullback = functional.reshape(x, shape)
    assert_close(y, X.reshape(shape), like=x)
    assert_close(pullback(y), X, like=x)
    check_gradients(lambda x: functional.reshape(x, shape), X)


@pytest.mark.parametrize(
    ("shape", "flat"), [((2, 3, 4), (2, 12)), ((5,), (5, 1)), ((0, 3, 4), (0, 12)), ((6, 2), (6, 2))]
)
def test_flatten_keeps_the_batch_axis(backend, shape, flat):
    x = backend.asarray(np.ones(shape))
    y, pullback = functional.flatten(x)
    assert y.shape == flat
    assert pullback(y).shape == shape
