"""The weights of a model, as lists of arrays and as parameters."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, Dropout
from nnx.random import Generator
from nnx.testing import assert_close

X = Generator(1).normal((6, 4))


def small() -> nnx.Sequential:
    return nnx.Sequential([Dense(3, "relu", input_shape=(4,)), Dropout(0.5), Dense(2, "softmax")])


def test_get_and_set_weights(backend: Placement):
    model = small()
    weights = model.get_weights()
    assert [type(weight) for weight in weights] == [np.ndarray] * 4
    new = [weight + 1.0 for weight in weights]
    model.set_weights(new)
    for now, wanted in zip(model.get_weights(), new, strict=True):
        assert_close(now, wanted, 0.0, 0.0)
    weights[0][...] = 7.0  # a copy
    assert_close(model.get_weights()[0], new[0], 0.0, 0.0)
    with pytest.raises(ValueError, match=r"weight dense_1/bias of sequential has shape \(2,\), got \(3,\)"):
        model.set_weights([*weights[:3], np.zeros(3)])
    with pytest.raises(ValueError, match=r"sequential has 4 weights, dense/kernel \(4, 3\), .*got 3"):
        model.set_weights(weights[:3])
    assert_close(model.get_weights()[0], new[0], 0.0, 0.0)  # all or none


def test_set_weights_reaches_the_trained_buffer():
    model = small()
    model.compile("sgd", "mse")
    model.train_on_batch(X, X[:, :2])
    model.set_weights([np.zeros(parameter.shape) for parameter in model.weights])
    assert not model.flat.values.any()


def test_trainable_and_other_weights():
    model = small()
    assert len(model.trainable_weights) == len(model.weights) == 4
    model.layers[0].trainable = False
    assert [p.path for p in model.trainable_weights] == ["dense_1/kernel", "dense_1/bias"]
    assert [p.path for p in model.non_trainable_weights] == ["dense/kernel", "dense/bias"]
    model.trainable = False
    assert model.trainable_weights == []
    assert nnx.Sequential([Dense(2, input_dim=3)], trainable=False).trainable_weights == []
