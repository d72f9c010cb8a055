"""Layers that change images against Keras 3 on JAX: values and gradients for the same drawn factors, and arguments."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
jax = pytest.importorskip("jax", reason="the oracle JAX is not installed; pip install 'nnx-array[oracle]'")
keras = pytest.importorskip("keras", reason="the oracle Keras is not installed; pip install 'nnx-array[oracle]'")
if keras.backend.backend() != "jax":
    pytest.skip(
        f"Keras runs on {keras.backend.backend()}, and its gradients are wanted from JAX", allow_module_level=True
    )

import nnx  # noqa: E402
from nnx.random import Generator  # noqa: E402
from nnx.testing import assert_close  # noqa: E402

UNIT = (0, 1)
IMAGES = np.float32(Generator(1).uniform((2, 5, 6, 3)))
ALWAYS = (1.0, 1.0)


@pytest.fixture(autouse=True)
def _compile_quickly() -> Iterator[None]:
    """What is compiled is used once."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def compared(ours: Any, theirs: Callable[[Any], Any], x: np.ndarray, factors: Any) -> None:
    """Values, and gradients, of a layer's transformation and of what Keras makes of the same images."""
    dy = np.float32(Generator(2).normal(ours.compute_output_shape(x.shape)))
    y, pullback = nnx.differentiable(lambda x: ours.transform(x, factors))(x)
    expected, pullback_expected = jax.vjp(theirs, x)
    assert_close(y, np.asarray(expected), rtol=0.0, atol=2e-5)
    assert_close(pullback(dy), np.asarray(pullback_expected(dy)[0]), rtol=0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("Resizing", (3, 8, "nearest"), {}),
        ("Resizing", (3, 8, "bicubic"), {}),
        ("Resizing", (3, 4, "lanczos3"), {"antialias": True}),
        ("Resizing", (3, 3), {"crop_to_aspect_ratio": True}),
        ("Resizing", (3, 8), {"pad_to_aspect_ratio": True, "fill_value": 0.5}),
        ("CenterCrop", (2, 3), {}),
        ("CenterCrop", (4, 8), {}),
        ("AutoContrast", (UNIT,), {}),
    ],
)
def test_what_is_not_left_to_chance(name: str, arguments: Any, options: dict[str, Any]):
    ours, theirs = getattr(nnx.layers, name)(*arguments, **options), getattr(keras.layers, name)(*arguments, **options)
    compared(ours, theirs, IMAGES, None)
    assert_close(ours(IMAGES[0]), np.asarray(theirs(IMAGES[0])), rtol=0.0, atol=2e-5)


def test_integers_stay_integers():
    images = np.asarray(Generator(1).integers(90) % 256, "uint8").reshape(1, 5, 6, 3)
    ours, theirs = nnx.layers.Resizing(4, 7)(images), np.asarray(keras.layers.Resizing(4, 7)(images))
    assert ours.dtype == theirs.dtype == "uint8"
    assert_close(ours, theirs, 0.0, 0.0)
    grey = nnx.layers.RandomGrayscale(1.0)(images)
    assert_close(grey, np.asarray(keras.layers.RandomGrayscale(1.0)(images)), 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("RandomBrightness", ((0.3, 0.3), UNIT), {}),
        ("RandomSaturation", ((0.3, 0.3), UNIT), {}),
        ("RandomSaturation", ((0.8, 0.8), UNIT), {}),
        ("RandomColorDegeneration", ((0.4, 0.4), UNIT), {}),
        ("RandomGrayscale", (1.0,), {}),
        ("RandomInvert", (ALWAYS, UNIT), {}),
        ("RandomPosterization", ((3, 3), (0, 255)), {}),
        ("RandomSharpness", ((0.9, 0.9), UNIT), {}),
        ("RandomSharpness", ((0.2, 0.2), UNIT), {}),
        ("RandomGaussianBlur", (ALWAYS, 3, (0.7, 0.7), UNIT), {}),
        ("Equalization", (UNIT, 4), {}),
    ],
)
def test_where_the_limits_of_factors_are_equal(name: str, arguments: Any, options: dict[str, Any]):
    ours, theirs = getattr(nnx.layers, name)(*arguments, **options), getattr(keras.layers, name)(*arguments, **options)
    x = 255.0 * IMAGES if (0, 255) in arguments else IMAGES
    x = x[:1] if name == "Equalization" else x  # of which Keras counts all images of a batch together
    ours.build_on(nnx.get_backend(), (None, *x.shape[1:]))
    compared(ours, lambda x: theirs(x, training=True), x, ours.draw_factors(x))


def _perspective(layer: Any, x: np.ndarray) -> tuple[Any, dict[str, Any]]:
    state = layer.random.state()
    factors = layer.draw_factors(x)
    layer.random.set_state(state)
    chosen = layer.draw_chosen(x, (0.9, 1.0))
    moves = layer.scale * (layer.draw_on_host(x, 8).reshape(-1, 4, 2) - 0.5)
    start = np.float32([[[0.0, 0.0], [5.0, 0.0], [0.0, 4.0], [5.0, 4.0]]]).repeat(2, axis=0)
    end = np.float32(start * (1.0 + moves))
    return factors, {"apply_perspective": chosen[:, 0, 0, 0], "start_points": start, "end_points": end}


DRAWN: dict[str, tuple[Any, dict[str, Any], Callable[[Any], dict[str, Any]]]] = {
    "RandomContrast": ((0.5, UNIT), {}, lambda drawn: {"contrast_factor": drawn[:, None, None, None]}),
    "RandomHue": ((0.9, UNIT), {}, lambda drawn: {"factor": drawn}),
    "RandomShear": ((0.6, (0.1, 0.5)), {}, lambda m: {"shear_factor": m[:, [1, 3]]}),
    "RandomErasing": (
        (ALWAYS, (0.2, 0.6), 0.5, UNIT),
        {},
        lambda drawn: {"apply_erasing": np.ones(2, bool), "batch_masks": drawn[0], "fill_value": drawn[1]},
    ),
    "Solarization": (
        ((0.1, 0.2), (0.4, 0.6), UNIT),
        {},
        lambda drawn: {"additions": drawn[0], "thresholds": drawn[1]},
    ),
    "MixUp": ((0.8,), {}, lambda drawn: {"mix_weight": drawn[0], "permutation_order": drawn[1]}),
    "CutMix": (
        (ALWAYS,),
        {},
        lambda drawn: {"mix_weight": drawn[0], "permutation_order": drawn[1], "batch_masks": drawn[2]},
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_with_what_nnx_drew(name: str):
    arguments, options, as_keras = DRAWN[name]
    ours = getattr(nnx.layers, name)(*arguments, **options, seed=5)
    theirs = getattr(keras.layers, name)(*arguments, **options)
    ours.build_on(nnx.get_backend(), (None, *IMAGES.shape[1:]))
    factors = ours.draw_factors(IMAGES)
    compared(ours, lambda x: theirs.transform_images(x, as_keras(factors), training=True), IMAGES, factors)
    if name in ("MixUp", "CutMix"):
        labels = np.eye(2, dtype="float32")
        expected = theirs.transform_labels(labels, as_keras(factors), training=True)
        assert_close(ours.transform_labels(labels, factors), np.asarray(expected), rtol=0.0, atol=1e-6)


def test_perspective():
    options: dict[str, Any] = {"factor": (0.9, 1.0), "scale": 0.7, "fill_value": 0.25}
    ours, theirs = nnx.layers.RandomPerspective(**options, seed=5), keras.layers.RandomPerspective(**options)
    ours.build_on(nnx.get_backend(), (None, *IMAGES.shape[1:]))
    factors, drawn = _perspective(ours, IMAGES)
    compared(ours, lambda x: theirs.transform_images(x, drawn, training=True), IMAGES, factors)


NAMES = [
    *("AugMix", "AutoContrast", "CenterCrop", "CutMix", "Equalization", "MixUp", "Pipeline", "RandAugment"),
    *("RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomCrop"),
    *("RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert"),
    *("RandomPerspective", "RandomPosterization", "RandomSaturation", "RandomSharpness", "RandomShear", "Resizing"),
    "Solarization",
]


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name: str):
    def arguments(module: Any) -> list[tuple[str, Any]]:
        parameters = inspect.signature(getattr(module.layers, name)).parameters.values()
        return [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "name"]

    assert arguments(nnx) == arguments(keras)
