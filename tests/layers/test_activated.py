"""Layers with a kernel and an activation at their end, which are computed together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import activations, functional, random
from nnx.backends import Placement
from nnx.layers import (
    Activation,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Layer,
    SeparableConv1D,
    SeparableConv2D,
)
from nnx.testing import assert_close, check_gradients

LAYERS: dict[str, Callable[..., Layer]] = {
    "Dense": functools.partial(Dense, 3),
    "Dense of sequences": functools.partial(Dense, 3),
    **{
        f"{layer.__name__} {data_format}": functools.partial(layer, *arguments, data_format=data_format)
        for layer, *arguments in [
            (Conv1D, 3, 2),
            (Conv2D, 3, 2),
            (Conv1DTranspose, 3, 2),
            (Conv2DTranspose, 3, 2),
            (DepthwiseConv1D, 2),
            (DepthwiseConv2D, 2),
            (SeparableConv1D, 3, 2),
            (SeparableConv2D, 3, 2),
        ]
        for data_format in ("channels_last", "channels_first")
    },
}
each_layer = pytest.mark.parametrize("name", LAYERS)
with_and_without_bias = pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no bias"])


def stack_of(name: str, activation: Any, use_bias: bool = True, **options: Any) -> tuple[nnx.Sequential, np.ndarray]:
    """The layer alone in a model with random parameters, and an input."""
    shape = (4, 3) if name == "Dense" else (2, 3, 4) if "1D" in name or "Dense" in name else (2, 3, 4, 3)
    model = nnx.Sequential([LAYERS[name](activation=activation, use_bias=use_bias, **options)])
    model.build((None, *shape[1:]))
    generator = random.Generator(3)
    model.set_weights([0.5 * generator.normal(weight.shape) for weight in model.get_weights()])
    return model, np.asarray(generator.normal(shape))


def of_parameters(model: nnx.Sequential) -> Callable[..., Any]:
    """The model as a function of its input and its trained parameters."""

    def function(x: Any, *values: Any) -> tuple[Any, Callable[..., Any]]:
        for parameter, value in zip(model.flat.parameters, values, strict=True):
            parameter.value[...] = value
        y, pullback = model.forward(x, training=True)

        def pull_back(dy: Any) -> Any:
            model.flat.start_pass()
            dx = pullback(dy)
            model.flat.finish_pass()
            return (dx, *(nnx.array_namespace(x).asarray(p.grad, copy=True) for p in model.flat.parameters))

        return y, pull_back

    return function


def check(model: nnx.Sequential, x: np.ndarray, place: Placement) -> None:
    check_gradients(of_parameters(model), x, *(p.numpy().copy() for p in model.flat.parameters), placement=place)


@each_layer
@with_and_without_bias
def test_gradients_with_every_activation(name: str, use_bias: bool) -> None:
    with nnx.backend("numpy", dtype="float64") as place:
        for activation in sorted(set(activations.registry.objects) - {"step", "heaviside"}):
            if use_bias and "first" in name and activation in ("softmax", "log_softmax", "sparsemax"):
                continue  # along positions, whose sum the bias does not change: its gradient is rounding errors
            model, x = stack_of(name, activation, use_bias)
            check(model, x, place)


@each_layer
@pytest.mark.parametrize("frozen", ["kernel", "bias"])
def test_gradients_with_a_frozen_parameter(name: str, frozen: str) -> None:
    with nnx.backend("numpy", dtype="float64") as place:
        model, x = stack_of(name, "relu")
        for parameter in model.layers[0].weights:
            parameter.trainable = frozen not in parameter.name
        assert 0 < len(model.flat.parameters) < len(model.weights)
        check(model, x, place)


@each_layer
def test_it_is_the_activation_of_the_layer_without_one(backend: Placement, name: str) -> None:
    for activation, use_bias in (("relu", True), ("gelu", True), ("softmax", True), ("relu", False), (None, True)):
        model, x = stack_of(name, activation, use_bias)
        layer, x = model.layers[0], backend.asarray(np.float32(x))
        y, pullback = layer.forward(x)
        z, pullback_z = layer.preactivation(x)
        expected, pullback_y = activations.resolve(activation)(z)
        assert_close(y, expected, length=20)
        dy = backend.asarray(np.float32(random.Generator(5).normal(tuple(y.shape))))
        assert_close(pullback(dy), pullback_z(pullback_y(dy)), length=50)


@functools.wraps(functional.relu)
def twice_relu(x: Any) -> tuple[Any, Callable[..., Any]]:
    y, pullback = functional.relu(x)
    return 2.0 * y, lambda dy: pullback(2.0 * dy)


@each_layer
def test_activations_of_ones_own(backend_float64: Placement, name: str) -> None:
    model, x = stack_of(name, twice_relu)
    of_relu, _ = stack_of(name, Activation("relu"))
    x_there = backend_float64.asarray(x)
    assert_close(model(x_there), 2.0 * nnx.to_numpy(of_relu(x_there)), length=20)
    check(model, x, backend_float64)


@each_layer
def test_float16_and_an_empty_batch(name: str) -> None:
    expected, x = stack_of(name, "relu")
    with nnx.backend("numpy", dtype="float16"):
        model, _ = stack_of(name, "relu")
        y, pullback = model.forward(np.float16(x))
        assert_close(y, expected(np.float16(x)), length=20)
        assert pullback(y).dtype == np.float16
    nothing = np.float32(x[:0])
    y, pullback = expected.forward(nothing)
    assert y.shape == (0, *expected.output_shape[1:])
    assert pullback(y).shape == nothing.shape


def test_the_activation_of_a_layer_is_a_function():
    assert Dense(2, "relu").activation is nnx.activations.relu
    assert Dense(2).activation is nnx.activations.linear
    assert nnx.layers.LSTM(2).recurrent_activation is nnx.activations.sigmoid
    assert nnx.layers.Conv2D(2, 3, activation="elu").get_config()["activation"] == "elu"
    model = nnx.Sequential([nnx.Input((3,)), Dense(2, "softmax")])
    x = np.ones((1, 3), "float32")
    before = model.predict(x, verbose=0)
    model.layers[-1].activation = "linear"  # what shows what a network sees does so
    logits = model.predict(x, verbose=0)
    assert_close(nnx.activations.softmax(logits), before, rtol=1e-6)
    assert model.layers[-1].get_config()["activation"] == "linear"
    assert not hasattr(nnx.layers.ReLU(), "activation")
