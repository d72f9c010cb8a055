"""Layers that change images at random: when they act, what they draw, streams, limits and mistakes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nnx
from nnx.functional import images
from nnx.layers import Dense, Flatten, Input, RandomFlip, RandomRotation, RandomTranslation, RandomZoom
from nnx.random import Generator
from nnx.testing import assert_close

IMAGES = np.float32(Generator(1).uniform((40, 6, 5, 2)))
MAKE = {
    "RandomFlip": lambda **options: RandomFlip(**options),
    "RandomTranslation": lambda **options: RandomTranslation(0.3, 0.3, **options),
    "RandomRotation": lambda **options: RandomRotation(0.3, **options),
    "RandomZoom": lambda **options: RandomZoom(0.5, **options),
}
each = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


@each
def test_acts_in_training_and_where_a_call_does_not_say(make):
    """As in Keras, where a notebook shows augmented images by calling the layers on them."""
    layer = make(seed=3)
    assert_close(layer(IMAGES, training=False), IMAGES, 0.0, 0.0)
    assert (layer(IMAGES, training=True) != IMAGES).any()
    assert (layer(IMAGES) != IMAGES).any()
    stack = nnx.Sequential([make(seed=3), make(seed=4)])
    assert_close(stack(IMAGES, training=False), IMAGES, 0.0, 0.0)
    assert (stack(IMAGES) != IMAGES).any()


@each
def test_predictions_and_evaluations_are_of_the_images_themselves(make):
    model = nnx.Sequential([Input((6, 5, 2)), make(seed=3), Flatten(), Dense(1)])
    plain = nnx.Sequential([Input((6, 5, 2)), *model.layers[1:]])
    y = np.float32(Generator(2).normal((40, 1)))
    for each_model in (model, plain):
        each_model.compile("sgd", "mse")
    assert_close(model.predict(IMAGES, verbose=0), plain.predict(IMAGES, verbose=0), 0.0, 0.0)
    assert model.evaluate(IMAGES, y, verbose=0) == plain.evaluate(IMAGES, y, verbose=0)
    assert model.train_on_batch(IMAGES, y) != plain.evaluate(IMAGES, y, verbose=0)


@each
def test_each_call_draws_anew_and_a_seed_repeats_it(make):
    layer = make(seed=3)
    first, second = layer(IMAGES), layer(IMAGES)
    assert (first != second).any()
    assert_close(make(seed=3)(IMAGES), first, 0.0, 0.0)
    assert (make(seed=4)(IMAGES) != first).any()
    nnx.random.set_seed(5)
    one = make()(IMAGES)
    nnx.random.set_seed(5)
    assert_close(make()(IMAGES), one, 0.0, 0.0)


@each
def test_images_are_changed_one_by_one(make):
    """Equal images come out in different ways, and what happens to one does not depend on the others."""
    same = np.repeat(IMAGES[:1], 40, axis=0)
    y = make(seed=3)(same)
    assert len({image.tobytes() for image in y}) >= (4 if make is MAKE["RandomFlip"] else 40)
    other = make(seed=3)(np.concatenate([same[:20], IMAGES[20:]]))
    assert_close(other[:20], y[:20], 0.0, 0.0)


@each
def test_channels_first(make):
    y = make(seed=3)(IMAGES)
    first = make(seed=3, data_format="channels_first")(np.moveaxis(IMAGES, -1, 1))
    assert_close(first, np.moveaxis(y, -1, 1), 0.0, 0.0)


@each
def test_the_same_images_on_every_backend(backend, make):
    y = make(seed=3)(backend.asarray(IMAGES))
    # places between pixels have errors of some units in the last of their digits
    assert_close(y, make(seed=3)(IMAGES.astype(np.float64), training=True), rtol=0.0, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "forms"), [("horizontal", {"h", ""}), ("vertical", {"v", ""}), (None, {"", "h", "v", "hv"})]
)
def test_flips(mode: str | None, forms: set[str]):
    layer = RandomFlip(seed=3) if mode is None else RandomFlip(mode, seed=3)
    flipped = {"": IMAGES, "h": IMAGES[:, :, ::-1], "v": IMAGES[:, ::-1], "hv": IMAGES[:, ::-1, ::-1]}
    found = [
        next(form for form, array in flipped.items() if np.array_equal(array[n], image))
        for n, image in enumerate(layer(IMAGES))
    ]
    assert set(found) == forms
    for form in forms:
        assert 0.5 * len(found) / len(forms) < found.count(form) < 1.5 * len(found) / len(forms)


def maps(layer: Any, count: int = 1000) -> np.ndarray:
    """The maps that a layer draws for images of 20 x 10 pixels."""
    x = np.zeros((count, 20, 10, 1))
    layer.build_on(nnx.get_backend(), (None, *x.shape[1:]))
    return layer.draw_maps(x, 20, 10)


def limits(values: np.ndarray) -> list[float]:
    return [float(values.min()), float(values.max())]


@pytest.mark.parametrize(
    ("factor", "low", "high"), [(0.3, -0.3, 0.3), (-0.3, -0.3, 0.3), ((0.1, 0.3), 0.1, 0.3), ([0.2, -0.5], -0.5, 0.2)]
)
def test_factors_are_spread_between_their_limits(factor: Any, low: float, high: float):
    near = {"abs": 0.01 * (high - low)}
    moved = maps(RandomTranslation(factor, 0.5, seed=3))
    assert limits(-moved[:, 5] / 20) == pytest.approx([low, high], **near)  # down
    assert limits(-moved[:, 2] / 10) == pytest.approx([-0.5, 0.5], abs=0.01)  # to the right
    turned = maps(RandomRotation(factor, seed=3))
    turn = np.arctan2(turned[:, 3], turned[:, 0]) / (2 * math.pi)
    inside = {"abs": 0.01} if high <= 0.5 and low >= -0.5 else None
    assert limits(turn) == pytest.approx([low, high], **(inside or {}))
    zoomed = maps(RandomZoom(factor, seed=3))
    assert limits(zoomed[:, 4] - 1.0) == pytest.approx([low, high], **near)
    assert_close(zoomed[:, 0], zoomed[:, 4], 0.0, 0.0)  # the proportions stay
    assert_close(turn.mean(), (low + high) / 2, rtol=0.0, atol=0.05 * (high - low))


def test_both_sides_are_zoomed_for_themselves():
    zoomed = maps(RandomZoom(0.0, (-0.5, -0.25), seed=3))
    assert_close(zoomed[:, 4], np.ones(1000), 0.0, 0.0)
    assert limits(zoomed[:, 0]) == pytest.approx([0.5, 0.75], abs=0.005)


def test_height_and_width_are_drawn_for_themselves():
    moved = maps(RandomTranslation(0.5, 0.5, seed=3))
    assert abs(np.corrcoef(moved[:, 2], moved[:, 5])[0, 1]) < 0.1


@pytest.mark.parametrize("fill_mode", images.FILL_MODES)
@pytest.mark.parametrize("interpolation", images.INTERPOLATIONS)
def test_options_reach_the_function(fill_mode: str, interpolation: str):
    options = {"fill_mode": fill_mode, "interpolation": interpolation, "fill_value": 0.25}
    layer, twin = RandomRotation(0.3, seed=3, **options), RandomRotation(0.3, seed=3)
    twin.build_on(nnx.get_backend(), (None, 6, 5, 2))
    expected, _ = images.affine_transform(IMAGES, twin.draw_maps(IMAGES, 6, 5), interpolation, fill_mode, 0.25)
    assert_close(layer(IMAGES), expected, 0.0, 0.0)


def test_training_with_augmentation_is_the_same_on_every_backend(backend):
    """Random numbers are equal, so training is, but for the order of summation."""
    y = np.float32(IMAGES.mean(axis=(1, 2, 3))[:, None])
    losses = []
    for place in (backend, nnx.backends.Placement(nnx.backends.base.find_backend("numpy"))):
        nnx.random.set_seed(7)
        with nnx.backend(place.name, device=place.device):
            stack = [RandomFlip(), RandomTranslation(0.2, 0.2), RandomRotation(0.1), RandomZoom(0.2)]
            model = nnx.Sequential([Input((6, 5, 2)), *stack, Flatten(), Dense(1)])
        model.compile(nnx.optimizers.SGD(0.05), "mse")
        losses.append(model.fit(IMAGES, y, batch_size=8, epochs=2, verbose=0).history["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RandomFlip("diagonal"), "mode must be one of horizontal, vertical, horizontal_and_vertical, got"),
        (
            lambda: RandomFlip(data_format="last"),
            "data_format must be one of 'channels_last', 'channels_first', got 'last'",
        ),
        (lambda: RandomTranslation(1.5, 0.1), "height_factor must be a number from -1 to 1, got 1.5"),
        (lambda: RandomTranslation(0.1, (0.1,)), "width_factor must be a number or a pair of numbers, got"),
        (lambda: RandomRotation("much"), "factor must be a number or a pair of numbers, got 'much'"),
        (lambda: RandomRotation((0.1, None)), "factor must be a number from -1 to 1, got None"),
        (lambda: RandomZoom(-1.0), "height_factor must be a number from -1 to 1, got -1.0"),
        (lambda: RandomZoom(0.1, fill_mode="mirror"), "fill_mode must be one of constant, nearest, reflect, wrap, got"),
        (lambda: RandomZoom(0.1, interpolation="cubic"), "interpolation must be one of bilinear, nearest, got 'cubic'"),
        (
            lambda: RandomFlip()(IMAGES[0, 0]),
            r"of shape \(batch, rows, columns, channels\), got \(5, 2\)",
        ),
    ],
)
def test_mistakes(make: Any, words: str):
    with pytest.raises(ValueError, match=words):
        make()


@each
def test_forward_in_training_needs_a_built_layer(make):
    with pytest.raises(ValueError, match="draws random numbers only after it is built"):
        make().forward(IMAGES, training=True)
