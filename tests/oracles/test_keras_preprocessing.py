"""Scaling of features and changes of images against Keras 3 on JAX: values, gradients, directions and units."""

from __future__ import annotations

import itertools
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
from nnx.functional import affine_transform  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

IMAGES = np.float32(Generator(1).normal((5, 7, 6, 2)))


@pytest.mark.parametrize(
    ("fill_mode", "interpolation", "data_format"),
    [
        *itertools.product(["constant", "nearest", "reflect", "wrap"], ["bilinear", "nearest"], ["channels_last"]),
        ("constant", "nearest", "channels_first"),
    ],
)
def test_affine_transform(fill_mode: str, interpolation: str, data_format: str):
    maps = np.float32(Generator(2).normal((5, 6)) * [1.0, 1.0, 6.0, 1.0, 1.0, 6.0])
    eight = np.concatenate([maps, np.zeros((5, 2), np.float32)], axis=1)
    dy = np.float32(Generator(3).normal(IMAGES.shape))
    options = (interpolation, fill_mode, 0.7, data_format)

    def of_keras(x: Any) -> Any:
        return keras.ops.image.affine_transform(x, eight, *options)

    expected, pullback_expected = jax.vjp(of_keras, IMAGES)
    y, pullback = affine_transform(IMAGES, maps, *options)
    assert_close(y, np.asarray(expected), rtol=0.0, atol=2e-5)
    assert_close(pullback(dy), np.asarray(pullback_expected(dy)[0]), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("RandomTranslation", ((0.3, 0.3), 0.0), {}),
        ("RandomTranslation", (0.0, (-0.25, -0.25)), {"fill_mode": "wrap"}),
        ("RandomTranslation", ((-0.5, -0.5), (0.2, 0.2)), {"fill_mode": "nearest", "interpolation": "nearest"}),
        ("RandomRotation", ((0.1, 0.1),), {}),
        ("RandomRotation", ((-0.3, -0.3),), {"fill_mode": "constant", "fill_value": 0.5}),
        ("RandomZoom", ((0.4, 0.4),), {"fill_mode": "constant"}),
        ("RandomZoom", ((-0.4, -0.4), (0.2, 0.2)), {"fill_mode": "reflect"}),
    ],
)
def test_directions_and_units(name: str, arguments: Any, options: dict[str, Any]):
    """Where the limits of a factor are equal, nothing is left to chance."""
    ours, theirs = getattr(nnx.layers, name)(*arguments, **options), getattr(keras.layers, name)(*arguments, **options)
    assert_close(ours(IMAGES), np.asarray(theirs(IMAGES)), rtol=0.0, atol=1e-5)
    assert_close(ours(IMAGES, training=False), np.asarray(theirs(IMAGES, training=False)), 0.0, 0.0)


@pytest.mark.parametrize("name", ["RandomFlip", "RandomTranslation", "RandomRotation", "RandomZoom"])
def test_arguments_and_defaults_are_those_of_keras(name: str):
    given = {"RandomFlip": (), "RandomTranslation": (0.2, 0.1)}.get(name, (0.2,))
    ours, theirs = getattr(nnx.layers, name)(*given).get_config(), getattr(keras.layers, name)(*given).get_config()
    if name == "RandomRotation":
        theirs["factor"] = theirs["factor"][1]  # Keras keeps the limits
    for key in set(theirs) - {"name", "dtype", "trainable"}:
        assert ours[key] == theirs[key], key


@pytest.mark.parametrize("mode", ["horizontal", "vertical"])
def test_flips(mode: str):
    """Whatever an image is drawn to be, it is one of two; each layer makes both."""
    flipped = nnx.layers.RandomFlip(mode, seed=1)(IMAGES), np.asarray(keras.layers.RandomFlip(mode, seed=1)(IMAGES))
    other = IMAGES[:, :, ::-1] if mode == "horizontal" else IMAGES[:, ::-1]
    for images in flipped:
        kinds = [(np.array_equal(a, b), np.array_equal(a, c)) for a, b, c in zip(images, IMAGES, other, strict=True)]
        assert set(kinds) == {(True, False), (False, True)}


@pytest.mark.parametrize(("scale", "offset"), [(1.0 / 255.0, 0.0), (0.5, -1.0), ([1.0, 2.0], [0.0, 0.5])])
def test_rescaling(scale: Any, offset: Any):
    ours, theirs = nnx.layers.Rescaling(scale, offset), keras.layers.Rescaling(scale, offset)
    assert_close(ours(IMAGES), np.asarray(theirs(IMAGES)), length=2)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", [-1, (1, 3), None])
@pytest.mark.parametrize("batches", [False, True])
def test_normalization_adapts(axis: Any, invert: bool, batches: bool):
    data = 3.0 + 2.0 * IMAGES
    ours = nnx.layers.Normalization(axis=axis, invert=invert)
    theirs = keras.layers.Normalization(axis=axis, invert=invert)
    ours.adapt([data[:2], data[2:]] if batches else data)
    theirs.adapt(data)  # for batches Keras wants TensorFlow
    assert [parameter.name for parameter in ours.weights] == [variable.name for variable in theirs.weights]
    assert_close(ours.adapt_mean.value, np.asarray(theirs.adapt_mean), rtol=1e-5)
    assert_close(ours.adapt_variance.value, np.asarray(theirs.adapt_variance), rtol=1e-5)
    assert_close(ours(IMAGES), np.asarray(theirs(IMAGES)), rtol=0.0, atol=2e-5)


@pytest.mark.parametrize(
    ("axis", "mean", "variance"), [(-1, 3.0, 2.0), (-1, [0.5, 1.0], [4.0, 0.0]), ((2, 3), [1.0, 2.0], [3.0, 4.0])]
)
def test_normalization_with_given_moments(axis: Any, mean: Any, variance: Any):
    ours = nnx.layers.Normalization(axis=axis, mean=mean, variance=variance)
    theirs = keras.layers.Normalization(axis=axis, mean=mean, variance=variance)
    assert_close(ours(IMAGES), np.asarray(theirs(IMAGES)), rtol=1e-5)
    assert len(ours.weights) == len(theirs.weights) == 0
