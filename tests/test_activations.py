"""Activations by name, and those that users write."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest

import nnx
from nnx import activations, functional
from nnx.registry import custom_objects
from nnx.testing import assert_close

X = np.asarray([-1.0, 2.0], dtype=np.float32)


def cube(x):
    return x * x * x, lambda dy: dy * 3.0 * x * x


def bare_cube(x):
    return x * x * x


@pytest.mark.parametrize("name", sorted(activations.registry.objects))
def test_every_way_to_write_a_built_in(name):
    differentiable = getattr(functional, name)
    for identifier in (name, name.upper(), getattr(activations, name), differentiable):
        assert activations.resolve(identifier) is differentiable
        assert activations.get(identifier) is getattr(activations, name)
    assert activations.serialize(differentiable) == activations.serialize(getattr(activations, name)) == name
    assert pickle.loads(pickle.dumps(getattr(activations, name))) is getattr(activations, name)


def test_values_only():
    assert activations.relu(X).tolist() == [0.0, 2.0]
    assert activations.leaky_relu(X, negative_slope=0.5).tolist() == [-0.5, 2.0]


@pytest.mark.parametrize(
    ("alias", "name"),
    [("swish", "silu"), ("hard_swish", "hard_silu"), ("heaviside", "step"), ("LeakyReLU", "leaky_relu")],
)
def test_aliases(alias, name):
    assert activations.get(alias) is getattr(activations, name)


def test_none_is_linear():
    assert activations.resolve(None) is functional.linear
    assert activations.get(None) is activations.linear
    assert activations.serialize(None) == "linear"


def test_partial():
    form = functools.partial(activations.leaky_relu, negative_slope=0.5)
    y, pullback = activations.resolve(form)(X)
    assert y.tolist() == [-0.5, 2.0]
    assert pullback(np.ones_like(X)).tolist() == [0.5, 1.0]
    assert activations.get(form)(X).tolist() == [-0.5, 2.0]


def test_function_of_ones_own():
    function = activations.resolve(cube)
    y, pullback = function(X)
    assert y.tolist() == [-1.0, 8.0]
    assert pullback(np.ones_like(X)).tolist() == [3.0, 12.0]
    assert activations.resolve(function) is function
    assert activations.get(cube)(X).tolist() == [-1.0, 8.0]
    assert activations.serialize(function) == activations.serialize(cube) == "cube"
    with custom_objects({"cube": cube}):
        assert activations.resolve("cube")(X)[0].tolist() == [-1.0, 8.0]


@pytest.mark.parametrize("wrapped", [activations.relu, nnx.functional.relu])
def test_a_function_written_around_one_of_nnx_is_not_taken_for_it(wrapped):
    @functools.wraps(wrapped)
    def one(x):
        return 0.0 * x + 1.0, lambda dy: 0.0 * dy

    layer = nnx.layers.Dense(2, activation=one)
    assert activations.resolve(one)(X)[0].tolist() == [1.0, 1.0]
    assert layer(X[None]).tolist() == [[1.0, 1.0]]


def test_a_function_of_array_code_has_its_derivative(backend):
    x = backend.asarray(X)
    y, pullback = activations.resolve(bare_cube)(x)
    assert_close(y, X**3, length=3)
    assert_close(pullback(x), 3.0 * X**3, length=6)


@pytest.mark.parametrize("result", [lambda x: (x, x), lambda x: None])
def test_a_function_that_returns_no_array(result):
    with pytest.raises(
        TypeError, match=r"the activation '<lambda>' returned \w+, expected an array, computed from its"
    ):
        activations.resolve(result)(X)


@pytest.mark.parametrize("identifier", [3, nnx.layers.LeakyReLU(), nnx.layers.LeakyReLU, {"class_name": "relu"}])
def test_what_is_not_an_activation(identifier):
    with pytest.raises(TypeError, match="an activation is None, a name such as 'relu', or a function"):
        activations.resolve(identifier)


def test_unknown_name_suggests_known_ones():
    with pytest.raises(ValueError, match=r"unknown activation 'sigmoyd': did you mean .*'sigmoid'"):
        activations.resolve("sigmoyd")


def test_function_without_a_name_cannot_be_serialized():
    with pytest.raises(TypeError, match="cannot be saved"):
        activations.serialize(lambda x: cube(x))
