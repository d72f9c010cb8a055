"""What is special in pooling and up-sampling, against Keras 3 on JAX: equal maxima, NaN, borders, interpolations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

SAME = {"padding": "same"}
FIRST = {"data_format": "channels_first"}


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return Generator(seed).normal(shape).astype(np.float32)


def after_relu(*shape: int) -> np.ndarray:
    """Numbers of which many are equal."""
    return np.maximum(np.round(normal(*shape)), 0.0)


def both(name: str, options: dict[str, Any], x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The value and the cotangent of x, of nnx and of Keras."""
    ours, theirs = getattr(nnx.layers, name)(**options), getattr(keras.layers, name)(**options)
    assert ours.compute_output_shape((None, *x.shape[1:])) == tuple(theirs.compute_output_shape((None, *x.shape[1:])))
    with np.errstate(invalid="ignore"):
        y, pullback = ours.forward(x)
        dy = normal(*y.shape, seed=1)
        dx = pullback(dy)
    expected, pull_back = jax.vjp(jax.jit(lambda x: theirs(x)), x)
    return y, dx, np.asarray(expected), np.asarray(pull_back(dy)[0])


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """To a few roundings of the largest element."""
    assert_close(found, expected, rtol=5e-6, atol=5e-6 * max(float(np.nanmax(np.abs(expected), initial=0.0)), 1.0))


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("MaxPooling1D", (1, 9, 2), {"pool_size": 3, "strides": 2, **SAME}),
        ("MaxPooling1D", (2, 8, 3), {}),
        ("MaxPooling2D", (2, 7, 9, 3), {"pool_size": 2}),
        ("MaxPooling2D", (1, 7, 6, 2), {"pool_size": 3, "strides": 2, **SAME}),
        ("MaxPooling2D", (2, 8, 9, 2), {"pool_size": 3, "strides": 2}),
        ("MaxPooling2D", (1, 5, 5, 2), {"pool_size": 3, "strides": 1, **SAME}),
        ("MaxPooling2D", (2, 3, 2, 2), {"pool_size": 5, **SAME}),
        ("MaxPooling2D", (2, 3, 7, 6), {"pool_size": (2, 3), **FIRST}),
        ("GlobalMaxPooling2D", (1, 3, 5, 2), {}),
        ("GlobalMaxPooling1D", (2, 5, 2), {"keepdims": True}),
    ],
    ids=str,
)
def test_equal_maxima(name, shape, options):
    """Constant inputs are what is left of windows of negative numbers after ReLU."""
    for x in (after_relu(*shape), np.zeros(shape, np.float32)):
        y, dx, expected, expected_dx = both(name, options, x)
        close(y, expected)
        close(dx, expected_dx)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MaxPooling2D", {}),
        ("MaxPooling2D", {"pool_size": 3, "strides": 2, **SAME}),
        ("AveragePooling2D", {"pool_size": 2}),
        ("AveragePooling2D", {"pool_size": 3, "strides": 2, **SAME}),
        ("GlobalMaxPooling2D", {}),
        ("GlobalAveragePooling2D", {}),
    ],
    ids=str,
)
def test_nan_and_infinities(name, options):
    x = normal(2, 7, 8, 3)
    x[0, 2, 3, 0], x[0, 5, 5, 1], x[1, 4, 4, 2], x[1, :, :, 0] = np.nan, np.inf, -np.inf, -np.inf
    y, _, expected, _ = both(name, options, x)
    assert_close(y, expected, rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("AveragePooling2D", (1, 7, 6, 2), {"pool_size": 3, "strides": 2, **SAME}),
        ("AveragePooling2D", (2, 3, 2, 2), {"pool_size": 5, **SAME}),
        ("AveragePooling2D", (2, 5, 7, 3), {"pool_size": 2, "strides": 3, **SAME}),
        ("AveragePooling1D", (1, 7, 1), {"pool_size": 4, "strides": 3, **SAME}),
        ("ZeroPadding2D", (1, 3, 1, 2), {}),
        ("Cropping2D", (1, 3, 4, 2), {}),
        ("UpSampling2D", (1, 1, 2, 1), {"size": (5, 2), "interpolation": "bilinear"}),
        ("UpSampling2D", (2, 3, 6, 2), {"interpolation": "bicubic"}),
        ("UpSampling2D", (1, 3, 7, 2), {"size": (4, 3), "interpolation": "bicubic", **FIRST}),
        ("UpSampling2D", (2, 3, 8, 2), {"interpolation": "lanczos3"}),
        ("UpSampling2D", (2, 12, 3, 2), {"size": (2, 3), "interpolation": "lanczos5"}),
    ],
    ids=str,
)
def test_values_and_gradients(name, shape, options):
    y, dx, expected, expected_dx = both(name, options, normal(*shape))
    close(y, expected)
    close(dx, expected_dx)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_nan_spreads_no_farther_than_in_keras(interpolation):
    x = normal(2, 3, 4, 2)
    x[0, 1, 2, 0] = np.nan
    y, _, expected, _ = both("UpSampling2D", {"interpolation": interpolation}, x)
    assert not (np.isnan(y) & ~np.isnan(expected)).any()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("MaxPooling2D", {"pool_size": (2, 2, 2)}),
        ("AveragePooling2D", {"pool_size": 0}),
        ("MaxPooling1D", {"data_format": "first"}),
        ("ZeroPadding1D", {"padding": (1,)}),
        ("ZeroPadding1D", {"padding": -1}),
        ("ZeroPadding2D", {"padding": ((1, 2), (3, -4))}),
        ("ZeroPadding2D", {"padding": (1, 2, 3)}),
        ("Cropping1D", {"cropping": (1, 2, 3)}),
        ("Cropping2D", {"cropping": ((1, 2), (3, 4, 5))}),
        ("Cropping2D", {"cropping": -1}),
        ("UpSampling1D", {"size": 0}),
        ("UpSampling2D", {"size": (2, 0)}),
    ],
    ids=str,
)
def test_both_refuse_arguments(name, options):
    for layers in (keras.layers, nnx.layers):
        with pytest.raises(ValueError):
            getattr(layers, name)(**options)


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("MaxPooling2D", {"pool_size": 5}, (None, 4, 6, 3)),
        ("AveragePooling1D", {"pool_size": 5}, (None, 4, 3)),
        ("Cropping1D", {"cropping": (2, 3)}, (None, 5, 7)),
        ("Cropping2D", {"cropping": (2, 0)}, (None, 4, 5, 7)),
    ],
    ids=str,
)
def test_both_refuse_shapes(name, options, shape):
    for layers in (keras.layers, nnx.layers):
        with pytest.raises(ValueError):
            getattr(layers, name)(**options).compute_output_shape(shape)
