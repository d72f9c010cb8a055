"""Convolutions, pooling and resizing against Keras 3 on JAX: outputs and all gradients, with the weights copied."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

from nnx.backends import get_backend  # noqa: E402
from nnx.layers import (  # noqa: E402
    adaptive_pooling,
    convolution,
    padding,
    pooling,
    separable_convolution,
    transposed_convolution,
    upsampling,
)
from nnx.layers.layer import registry  # noqa: E402
from nnx.parameters import FlatParameters  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402
from nnx.testing.rows.completeness import assert_complete, row_complaints  # noqa: E402

RTOL = 2e-5  # relative to the largest element
FIRST = "channels_first"
MODULES = (adaptive_pooling, convolution, pooling, padding, upsampling, separable_convolution, transposed_convolution)
KINDS = {
    name: thing
    for module in MODULES
    for name, thing in vars(module).items()
    if registry.objects.get(name) is thing and thing.__module__ == module.__name__ and hasattr(keras.layers, name)
}


# class, shape of the input, arguments
ROWS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("Conv1D", (2, 9, 3), {"filters": 4, "kernel_size": 3}),
    ("Conv1D", (2, 9, 3), {"filters": 4, "kernel_size": 4, "padding": "same", "activation": "tanh"}),
    ("Conv1D", (2, 8, 3), {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}),
    ("Conv1D", (2, 8, 3), {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 3}),
    ("Conv1D", (2, 9, 3), {"filters": 4, "kernel_size": 3, "padding": "causal"}),
    ("Conv1D", (2, 9, 3), {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}),
    ("Conv1D", (2, 9, 3), {"filters": 4, "kernel_size": 3, "padding": "causal", "strides": 2}),
    ("Conv1D", (2, 9, 4), {"filters": 6, "kernel_size": 2, "groups": 2, "use_bias": False}),
    ("Conv1D", (2, 3, 9), {"filters": 4, "kernel_size": 3, "strides": 2, "data_format": FIRST}),
    ("Conv1D", (2, 3, 9), {"filters": 4, "kernel_size": 3, "padding": "same", "data_format": FIRST}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 3}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "sigmoid"}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": (2, 4), "padding": "same"}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 2, "padding": "same", "strides": (3, 2)}),
    ("Conv2D", (2, 9, 8, 3), {"filters": 4, "kernel_size": (3, 2), "strides": (2, 3)}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 2, "dilation_rate": (2, 3)}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}),
    ("Conv2D", (2, 7, 8, 6), {"filters": 6, "kernel_size": 3, "groups": 3}),
    ("Conv2D", (2, 7, 8, 4), {"filters": 6, "kernel_size": 3, "groups": 2, "strides": 2, "padding": "same"}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 1, "activation": "relu"}),
    ("Conv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 1, "strides": 2}),
    ("Conv2D", (2, 5, 6, 3), {"filters": 4, "kernel_size": (5, 6)}),
    ("Conv2D", (1, 12, 13, 1), {"filters": 4, "kernel_size": 3}),
    ("Conv2D", (2, 3, 7, 8), {"filters": 4, "kernel_size": 3, "data_format": FIRST, "padding": "same"}),
    ("Conv2D", (2, 4, 7, 8), {"filters": 4, "kernel_size": 3, "data_format": FIRST, "groups": 2, "strides": 2}),
    ("Conv1DTranspose", (2, 5, 3), {"filters": 4, "kernel_size": 3}),
    ("Conv1DTranspose", (2, 5, 3), {"filters": 4, "kernel_size": 3, "strides": 2, "activation": "tanh"}),
    ("Conv1DTranspose", (2, 5, 3), {"filters": 4, "kernel_size": 2, "strides": 3}),
    ("Conv1DTranspose", (2, 5, 3), {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same"}),
    ("Conv1DTranspose", (2, 5, 3), {"filters": 4, "kernel_size": 5, "strides": 2, "padding": "same"}),
    ("Conv1DTranspose", (2, 5, 3), {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1}),
    ("Conv1DTranspose", (2, 5, 3), {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}),
    ("Conv1DTranspose", (2, 3, 5), {"filters": 4, "kernel_size": 3, "strides": 2, "data_format": FIRST}),
    ("Conv2DTranspose", (2, 4, 5, 3), {"filters": 4, "kernel_size": 3}),
    ("Conv2DTranspose", (2, 4, 5, 3), {"filters": 4, "kernel_size": 3, "padding": "same"}),
    ("Conv2DTranspose", (2, 4, 5, 3), {"filters": 4, "kernel_size": (3, 2), "strides": 2, "padding": "same"}),
    ("Conv2DTranspose", (2, 4, 5, 3), {"filters": 4, "kernel_size": 2, "strides": 2, "use_bias": False}),
    ("Conv2DTranspose", (2, 4, 5, 3), {"filters": 4, "kernel_size": 5, "strides": (2, 3), "padding": "same"}),
    (
        "Conv2DTranspose",
        (2, 4, 5, 3),
        {"filters": 4, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": (0, 2)},
    ),
    (
        "Conv2DTranspose",
        (2, 4, 5, 3),
        {"filters": 4, "kernel_size": 3, "strides": 3, "padding": "same", "output_padding": 1},
    ),
    ("Conv2DTranspose", (2, 4, 5, 3), {"filters": 4, "kernel_size": 3, "dilation_rate": 2}),
    ("Conv2DTranspose", (2, 3, 4, 5), {"filters": 4, "kernel_size": 3, "strides": 2, "data_format": FIRST}),
    ("DepthwiseConv1D", (2, 9, 3), {"kernel_size": 3}),
    ("DepthwiseConv1D", (2, 9, 3), {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2}),
    ("DepthwiseConv1D", (2, 3, 9), {"kernel_size": 3, "dilation_rate": 2, "data_format": FIRST}),
    ("DepthwiseConv2D", (2, 7, 8, 3), {"kernel_size": 3, "activation": "relu"}),
    ("DepthwiseConv2D", (2, 7, 8, 3), {"kernel_size": (3, 2), "strides": 2, "padding": "same", "depth_multiplier": 2}),
    ("DepthwiseConv2D", (2, 7, 8, 3), {"kernel_size": 2, "dilation_rate": 2, "use_bias": False}),
    ("DepthwiseConv2D", (2, 3, 7, 8), {"kernel_size": 3, "depth_multiplier": 2, "data_format": FIRST}),
    ("SeparableConv1D", (2, 9, 3), {"filters": 4, "kernel_size": 3, "depth_multiplier": 2}),
    ("SeparableConv1D", (2, 9, 3), {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
    ("SeparableConv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 3, "activation": "tanh"}),
    ("SeparableConv2D", (2, 7, 8, 3), {"filters": 4, "kernel_size": 3, "padding": "same", "depth_multiplier": 2}),
    ("SeparableConv2D", (2, 3, 7, 8), {"filters": 4, "kernel_size": (2, 3), "strides": 2, "data_format": FIRST}),
    ("MaxPooling1D", (2, 9, 3), {}),
    ("MaxPooling1D", (2, 9, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    ("MaxPooling1D", (2, 3, 9), {"pool_size": 3, "data_format": FIRST}),
    ("MaxPooling2D", (2, 7, 8, 3), {}),
    ("MaxPooling2D", (2, 7, 8, 3), {"padding": "same"}),
    ("MaxPooling2D", (2, 7, 8, 3), {"pool_size": (3, 2), "strides": (2, 1)}),
    ("MaxPooling2D", (2, 7, 8, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    ("MaxPooling2D", (2, 3, 7, 8), {"pool_size": 3, "strides": 2, "data_format": FIRST}),
    ("AveragePooling1D", (2, 9, 3), {"pool_size": 2}),
    ("AveragePooling1D", (2, 9, 3), {"pool_size": 4, "strides": 2, "padding": "same"}),
    ("AveragePooling2D", (2, 7, 8, 3), {"pool_size": 2}),
    ("AveragePooling2D", (2, 7, 8, 3), {"pool_size": 3, "strides": 2, "padding": "same"}),
    ("AveragePooling2D", (2, 7, 8, 3), {"pool_size": (3, 2), "strides": 1}),
    ("AveragePooling2D", (2, 3, 7, 8), {"pool_size": 3, "padding": "same", "data_format": FIRST}),
    ("GlobalMaxPooling1D", (2, 9, 3), {}),
    ("GlobalMaxPooling1D", (2, 3, 9), {"keepdims": True, "data_format": FIRST}),
    ("GlobalMaxPooling2D", (2, 7, 8, 3), {"keepdims": True}),
    ("GlobalMaxPooling2D", (2, 3, 7, 8), {"data_format": FIRST}),
    ("GlobalAveragePooling1D", (2, 9, 3), {"keepdims": True}),
    ("GlobalAveragePooling1D", (2, 3, 9), {"data_format": FIRST}),
    ("GlobalAveragePooling2D", (2, 7, 8, 3), {}),
    ("GlobalAveragePooling2D", (2, 3, 7, 8), {"keepdims": True, "data_format": FIRST}),
    ("ZeroPadding1D", (2, 5, 3), {"padding": (1, 2)}),
    ("ZeroPadding1D", (2, 3, 5), {"padding": 2, "data_format": FIRST}),
    ("ZeroPadding2D", (2, 4, 5, 3), {"padding": (1, 2)}),
    ("ZeroPadding2D", (2, 4, 5, 3), {"padding": ((1, 2), (0, 3)), "data_format": FIRST}),
    ("Cropping1D", (2, 5, 3), {"cropping": (1, 2)}),
    ("Cropping2D", (2, 4, 6, 3), {"cropping": ((1, 0), (2, 1))}),
    ("Cropping2D", (2, 3, 4, 6), {"cropping": (1, 2), "data_format": FIRST}),
    ("Conv3D", (2, 4, 5, 4, 3), {"filters": 4, "kernel_size": 3}),
    ("Conv3D", (2, 4, 5, 4, 3), {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "tanh"}),
    ("Conv3D", (2, 4, 5, 4, 3), {"filters": 4, "kernel_size": 2, "padding": "same", "strides": 2}),
    ("Conv3D", (2, 4, 5, 4, 3), {"filters": 4, "kernel_size": (1, 3, 2), "strides": (2, 1, 3)}),
    ("Conv3D", (2, 4, 5, 4, 3), {"filters": 4, "kernel_size": 2, "dilation_rate": (1, 2, 3), "use_bias": False}),
    ("Conv3D", (2, 4, 5, 4, 4), {"filters": 6, "kernel_size": 2, "groups": 2, "padding": "same"}),
    ("Conv3D", (2, 3, 4, 5, 4), {"filters": 4, "kernel_size": 2, "padding": "same", "data_format": FIRST}),
    ("Conv3DTranspose", (2, 2, 3, 4, 3), {"filters": 4, "kernel_size": 3}),
    ("Conv3DTranspose", (2, 2, 3, 4, 3), {"filters": 4, "kernel_size": (3, 2, 1), "strides": 2, "padding": "same"}),
    ("Conv3DTranspose", (2, 2, 3, 4, 3), {"filters": 4, "kernel_size": 2, "strides": (1, 2, 3), "use_bias": False}),
    ("Conv3DTranspose", (2, 2, 3, 4, 3), {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": (1, 0, 1)}),
    ("Conv3DTranspose", (2, 2, 3, 4, 3), {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "padding": "same"}),
    ("MaxPooling3D", (2, 4, 5, 4, 3), {}),
    ("MaxPooling3D", (2, 4, 5, 4, 3), {"pool_size": (2, 3, 1), "strides": (1, 2, 2), "padding": "same"}),
    ("MaxPooling3D", (2, 3, 4, 5, 4), {"pool_size": 3, "strides": 1, "data_format": FIRST}),
    ("AveragePooling3D", (2, 4, 5, 4, 3), {"pool_size": 2}),
    ("AveragePooling3D", (2, 4, 5, 4, 3), {"pool_size": (2, 3, 2), "strides": 2, "padding": "same"}),
    ("AveragePooling3D", (2, 3, 4, 5, 4), {"pool_size": 2, "strides": (1, 2, 1), "data_format": FIRST}),
    ("GlobalMaxPooling3D", (2, 4, 5, 4, 3), {}),
    ("GlobalMaxPooling3D", (2, 3, 4, 5, 4), {"keepdims": True, "data_format": FIRST}),
    ("GlobalAveragePooling3D", (2, 4, 5, 4, 3), {"keepdims": True}),
    ("GlobalAveragePooling3D", (2, 3, 4, 5, 4), {"data_format": FIRST}),
    ("ZeroPadding3D", (2, 2, 3, 4, 3), {}),
    ("ZeroPadding3D", (2, 2, 3, 4, 3), {"padding": ((1, 2), (0, 3), (1, 0)), "data_format": FIRST}),
    ("Cropping3D", (2, 4, 5, 4, 3), {}),
    ("Cropping3D", (2, 3, 4, 5, 4), {"cropping": ((1, 0), (2, 1), (0, 2)), "data_format": FIRST}),
    ("UpSampling3D", (2, 2, 3, 2, 3), {}),
    ("UpSampling3D", (2, 3, 2, 3, 2), {"size": (1, 2, 3), "data_format": FIRST}),
    ("AdaptiveAveragePooling1D", (2, 9, 3), {"output_size": 4}),
    ("AdaptiveAveragePooling1D", (2, 3, 8), {"output_size": 3, "data_format": FIRST}),
    ("AdaptiveAveragePooling2D", (2, 7, 8, 3), {"output_size": (3, 4)}),
    ("AdaptiveAveragePooling2D", (2, 3, 6, 5), {"output_size": 2, "data_format": FIRST}),
    ("AdaptiveAveragePooling3D", (2, 3, 4, 5, 3), {"output_size": (1, 2, 3)}),
    ("AdaptiveMaxPooling1D", (2, 9, 3), {"output_size": 4}),
    ("AdaptiveMaxPooling1D", (2, 3, 8), {"output_size": 3, "data_format": FIRST}),
    ("AdaptiveMaxPooling2D", (2, 7, 8, 3), {"output_size": (3, 4)}),
    ("AdaptiveMaxPooling2D", (2, 3, 6, 5), {"output_size": 2, "data_format": FIRST}),
    ("AdaptiveMaxPooling3D", (2, 3, 4, 5, 3), {"output_size": (1, 2, 3)}),
    ("UpSampling1D", (2, 5, 3), {"size": 3}),
    ("UpSampling2D", (2, 4, 5, 3), {"size": (2, 3)}),
    ("UpSampling2D", (2, 4, 5, 3), {"size": 2, "interpolation": "bilinear"}),
    ("UpSampling2D", (2, 4, 5, 3), {"size": (3, 4), "interpolation": "bilinear"}),
    ("UpSampling2D", (2, 3, 4, 1), {"size": (3, 2), "interpolation": "bilinear", "data_format": FIRST}),
]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return Generator(seed).normal(shape).astype(np.float32)


def of_keras(layer: Any, **options: Any) -> Any:
    """A function (weights, x, dy) -> the output, and the cotangents of the input and of the weights."""

    def call(weights: Any, x: Any) -> Any:
        return layer.stateless_call(weights, [], x, **options)[0]

    compiled = jax.jit(call)

    def differentiate(weights: Any, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        y, pull_back = jax.vjp(compiled, weights, x)
        of_weights, of_x = pull_back(jax.numpy.asarray(dy))
        return np.asarray(y), [np.asarray(array) for array in (of_x, *of_weights)]

    return differentiate


def assert_agrees(mine: Any, theirs: Any, shape: tuple[int, ...], **options: Any) -> None:
    """Both layers with the same weights: shapes, outputs and gradients, also after two steps of gradient descent."""
    x = normal(*shape)
    theirs.build(shape)
    mine.build_on(get_backend(), (None, *shape[1:]))
    weights = [0.5 * normal(*w.shape, seed=i) for i, w in enumerate(theirs.weights)]
    mine.set_weights(weights)
    assert [parameter.name for parameter in mine.weights] == [weight.name for weight in theirs.weights]
    flat, differentiate = FlatParameters(mine.trainable_weights, get_backend()), of_keras(theirs, **options)
    for _ in range(3 if weights else 1):
        y, pullback = mine.forward(x, training=True, **options)
        dy = normal(*y.shape, seed=10) / y.size
        flat.start_pass()
        dx = pullback(dy)
        flat.finish_pass()
        expected, gradients = differentiate(weights, x, dy)
        assert mine.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape)) == expected.shape
        gradients_of_mine = [parameter.grad for parameter in mine.trainable_weights]
        found, wanted = [y, dx, *gradients_of_mine, *mine.get_weights()], [expected, *gradients, *weights]
        for array, other in zip(found, wanted, strict=True):
            assert_close(array, other, rtol=RTOL, atol=RTOL * float(np.abs(other).max()))
        weights = [weight - 10.0 * gradient for weight, gradient in zip(weights, gradients[1:], strict=True)]
        flat.values[...] -= 10.0 * flat.grads


def _name(value: Any) -> str | None:
    return "-".join(f"{key}={option}" for key, option in value.items()) if isinstance(value, dict) else None


@pytest.mark.parametrize(("name", "shape", "options"), ROWS, ids=_name)
def test_layer(name, shape, options):
    assert_agrees(KINDS[name](**options), getattr(keras.layers, name)(**options), shape)


def test_every_layer_has_a_row():
    line = '("{name}", <the shape of an input>, <arguments>),'
    file = "tests/oracles/test_keras_convolution.py"
    assert_complete(row_complaints(file, {name for name, _, _ in ROWS}, KINDS, line))


def test_mean_of_the_steps_that_a_mask_keeps():
    mask = np.asarray([[True, True, False, True, False], [False, True, True, True, True]])
    layer = keras.layers.GlobalAveragePooling1D()
    assert_agrees(pooling.GlobalAveragePooling1D(), layer, (2, 5, 3), mask=mask)


@pytest.mark.parametrize("name", ["MaxPooling2D", "GlobalMaxPooling2D"])
def test_gradient_of_equal_maxima(name):
    x = np.zeros((1, 4, 4, 1), np.float32)  # as after ReLU
    y, pullback = KINDS[name]().forward(x)
    dy = normal(*y.shape, seed=3)
    _, (expected,) = of_keras(getattr(keras.layers, name)())([], x, dy)
    assert_close(pullback(dy), expected, rtol=RTOL)


@pytest.mark.parametrize("name", KINDS)
def test_arguments_are_those_of_keras(name):
    theirs = list(inspect.signature(getattr(keras.layers, name)).parameters)
    mine = [argument for argument in inspect.signature(KINDS[name]).parameters if argument != "name"]
    assert mine == [argument for argument in theirs if argument not in ("lora_rank", "lora_alpha", "name")]


@pytest.mark.parametrize("name", KINDS)
def test_a_configuration_of_keras_is_understood(name):
    options = next(options for row, _, options in ROWS if row == name)
    config = getattr(keras.layers, name)(**options).get_config()
    known = {key: value for key, value in config.items() if key not in ("dtype", "lora_rank", "lora_alpha")}
    again = KINDS[name].from_config(known).get_config()
    plain = (
        "kernel_size",
        "strides",
        "padding",
        "pool_size",
        "size",
        "cropping",
        "data_format",
        "depth_multiplier",
        "output_size",
    )
    for key in plain:
        assert again.get(key) == json.loads(json.dumps(known.get(key)))  # without tuples


@pytest.mark.parametrize(
    "alias",
    [
        *("Convolution1D", "Convolution2D", "Convolution1DTranspose", "Convolution2DTranspose"),
        *("SeparableConvolution1D", "SeparableConvolution2D", "MaxPool1D", "MaxPool2D", "AvgPool1D", "AvgPool2D"),
        *("GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalAvgPool1D", "GlobalAvgPool2D"),
        *("Convolution3D", "Convolution3DTranspose", "MaxPool3D", "AvgPool3D", "GlobalMaxPool3D", "GlobalAvgPool3D"),
    ],
)
def test_other_names(alias):
    assert registry.find(alias).__name__ == getattr(keras.layers, alias).__name__
