"""The one contiguous buffer of a model: views, sums of gradients, and parameters that leave it."""

from __future__ import annotations

import numpy as np
import pytest

import nnx
from nnx.backends import Placement
from nnx.layers import Dense, FlatParameters, Parameter
from nnx.random import Generator
from nnx.testing import assert_close

X = np.float32(Generator(1).normal((8, 3)))


def parameters(placement: Placement) -> list[Parameter]:
    generator = Generator(2)
    shapes = {"kernel": (3, 2), "bias": (2,), "scale": (), "empty": (0, 4)}
    return [Parameter(placement.asarray(generator.normal(shape)), name) for name, shape in shapes.items()]


def test_values_and_gradients_are_views(backend: Placement):
    mine = parameters(backend)
    before = [parameter.numpy() for parameter in mine]
    flat = FlatParameters(mine, backend)
    assert flat.values.shape == flat.grads.shape == (9,)
    assert flat.slices == [(0, 6), (6, 8), (8, 9), (9, 9)]
    for parameter, old in zip(mine, before, strict=True):
        assert_close(parameter.value, old, 0.0, 0.0, like=flat.values)
        assert parameter.grad.shape == parameter.shape
    flat.values[...] = flat.values * 2.0
    flat.grads[...] = flat.values + 1.0
    for parameter, old in zip(mine, before, strict=True):
        assert_close(parameter.value, 2.0 * old)
        assert_close(parameter.grad, 2.0 * old + 1.0, length=10)
    mine[1].value[...] = 5.0
    assert_close(flat.values[6:8], [5.0, 5.0])


def test_the_first_cotangent_of_a_pass_replaces_and_further_ones_add(backend: Placement):
    kernel, bias, scale, _ = mine = parameters(backend)
    flat = FlatParameters(mine, backend)
    ones = backend.zeros((3, 2)) + 1.0
    flat.grads[...] = flat.grads + 77.0  # what is left from before
    for _ in range(2):
        flat.start_pass()
        kernel.receive(ones)
        kernel.receive(2.0 * ones)
        scale.receive(backend.zeros(()) + 4.0)
        flat.finish_pass()
        assert_close(flat.grads, [3.0] * 6 + [0.0, 0.0, 4.0])
    flat.finish_pass()  # twice is once
    assert_close(bias.grad, [0.0, 0.0])
    assert_close(kernel.grad, 3.0 * np.ones((3, 2)))


def test_a_parameter_without_a_buffer_ignores_cotangents(backend: Placement):
    kernel = parameters(backend)[0]
    kernel.receive(kernel.value)
    assert kernel.grad is None


def test_an_empty_buffer(backend: Placement):
    flat = FlatParameters([], backend)
    assert flat.values.shape == (0,)
    flat.start_pass()
    flat.finish_pass()


def test_another_buffer_takes_parameters_out():
    place = nnx.get_backend()
    mine = parameters(place)
    first = FlatParameters(mine, place)
    second = FlatParameters(mine[:1], place)
    assert second.whole
    assert not first.whole
    second.values[...] = 3.0
    assert_close(mine[0].value, 3.0 * np.ones((3, 2)))
    again = FlatParameters(mine, place)
    assert_close(again.values[:6], [3.0] * 6)
    assert not second.whole


def test_parameters_of_different_dtypes_are_named():
    model = nnx.Sequential([Dense(2, input_dim=3), Dense(2, dtype="float64")])
    with pytest.raises(
        ValueError,
        match=r"must have one dtype, or float16 and float32, but dense/kernel is float32.*dense_1/bias is float64",
    ):
        _ = model.flat


def test_looks_and_sizes():
    kernel = parameters(nnx.get_backend())[0]
    kernel.path = "dense/kernel"
    assert repr(kernel) == "<Parameter dense/kernel, shape (3, 2), float32>"
    assert (kernel.size, kernel.nbytes, kernel.dtype, kernel.shape) == (6, 24, "float32", (3, 2))
    kernel.numpy()[...] = 7.0  # a copy
    assert not (kernel.value == 7.0).any()


# In a model


def test_the_buffer_of_a_model_stays_while_nothing_changes():
    model = nnx.Sequential([Dense(2, input_dim=3), Dense(1)])
    flat = model.flat
    assert model.flat is flat
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    model.forward(X)
    assert model.flat is flat
    assert [parameter.path for parameter in flat.parameters] == [parameter.path for parameter in model.weights]
    model.add(Dense(1))
    assert model.flat is not flat
    assert len(model.flat.parameters) == 6


def test_gradients_are_written_where_they_belong(backend: Placement):
    """The first layer's and the last layer's gradients are in the flat buffer, in the parameters' order."""
    model = nnx.Sequential([Dense(2, input_dim=3), Dense(1, use_bias=False)])
    x = backend.asarray(X)
    flat = model.flat
    flat.start_pass()
    y, pullback = model.forward(x, training=True)
    assert pullback(y * 0.0 + 1.0, inputs=False) is None
    flat.finish_pass()
    first, second = (nnx.to_numpy(layer.kernel.value) for layer in model.layers)
    hidden, ones = X @ first, np.ones((8, 1))
    expected = [X.T @ (ones @ second.T), (ones @ second.T).sum(axis=0), hidden.T @ ones]
    assert_close(flat.grads, np.concat([part.reshape(-1) for part in expected]), 1e-5)


def test_none_is_no_value():
    model = nnx.Sequential([nnx.layers.Dense(1, input_dim=2)])
    kernel = model.flat.parameters[0]
    for give in (kernel.assign, lambda value: setattr(kernel, "value", value)):
        with pytest.raises(TypeError, match=r"dense/kernel: expected a value of shape \(2, 1\), got None"):
            give(None)
