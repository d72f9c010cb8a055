"""Layers that change images: one image, channels first, dicts with labels and masks, what they draw, and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nnx
from nnx import layers
from nnx.layers import Dense, Flatten, Input
from nnx.random import Generator
from nnx.testing import assert_close

IMAGES = np.float32(255.0 * Generator(1).uniform((4, 8, 7, 3)))
BYTES = np.asarray(Generator(2).integers(4 * 8 * 7 * 3) % 256, "uint8").reshape(4, 8, 7, 3)
ALWAYS = (1.0, 1.0)

RANDOM: dict[str, Callable[..., Any]] = {
    "AugMix": layers.AugMix,
    "CutMix": layers.CutMix,
    "MixUp": layers.MixUp,
    "RandAugment": layers.RandAugment,
    "RandomBrightness": lambda **options: layers.RandomBrightness(0.3, **options),
    "RandomColorDegeneration": lambda **options: layers.RandomColorDegeneration(0.9, **options),
    "RandomColorJitter": lambda **options: layers.RandomColorJitter((0, 255), 0.1, 0.2, 0.4, 0.3, **options),
    "RandomContrast": lambda **options: layers.RandomContrast(0.3, **options),
    "RandomElasticTransform": lambda **options: layers.RandomElasticTransform(ALWAYS, **options),
    "RandomErasing": layers.RandomErasing,
    "RandomFlip": layers.RandomFlip,
    "RandomGaussianBlur": lambda **options: layers.RandomGaussianBlur(ALWAYS, **options),
    "RandomGrayscale": layers.RandomGrayscale,
    "RandomHue": lambda **options: layers.RandomHue(0.5, **options),
    "RandomInvert": layers.RandomInvert,
    "RandomPerspective": layers.RandomPerspective,
    "RandomPosterization": lambda **options: layers.RandomPosterization((1, 5), **options),
    "RandomSaturation": lambda **options: layers.RandomSaturation(0.9, **options),
    "RandomSharpness": lambda **options: layers.RandomSharpness(0.9, **options),
    "RandomShear": lambda **options: layers.RandomShear(0.4, 0.2, **options),
    "Solarization": lambda **options: layers.Solarization(0.2, 0.9, **options),
}


@pytest.mark.parametrize("make", RANDOM.values(), ids=RANDOM)
def test_a_random_layer(make: Callable[..., Any]):
    layer = make(seed=3)
    assert_close(layer(IMAGES, training=False), IMAGES, 0.0, 0.0)
    y = layer(IMAGES)
    assert (y != IMAGES).any()
    calls = [layer(IMAGES) for _ in range(3)]
    assert any((one != y).any() for one in calls)
    assert_close(make(seed=3)(IMAGES), y, 0.0, 0.0)
    first = make(seed=3, data_format="channels_first")(np.moveaxis(IMAGES, -1, 1))
    # sums in another order of the array's elements in memory
    assert_close(np.moveaxis(first, 1, -1), y, rtol=1e-5, atol=1e-3)
    one = make(seed=3)(IMAGES[0])
    assert one.shape == IMAGES[0].shape
    assert_close(one, make(seed=3)(IMAGES[:1])[0], 0.0, 0.0)


@pytest.mark.parametrize("make", [layers.Resizing, layers.CenterCrop, layers.RandomCrop])
def test_sizes(make: Callable[..., Any]):
    layer = make(5, 4)
    assert layer(IMAGES).shape == layer(IMAGES, training=False).shape == (4, 5, 4, 3)
    assert make(5, 4)(IMAGES[0]).shape == (5, 4, 3)
    assert make(5, 4, data_format="channels_first")(np.moveaxis(IMAGES, -1, 1)).shape == (4, 3, 5, 4)
    assert make(10, 4)(IMAGES).shape == (4, 10, 4, 3)  # larger than the images
    model = nnx.Sequential([Input((8, 7, 3)), make(5, 4), Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(IMAGES / 255.0, np.zeros((4, 1)), verbose=0)
    assert model.predict(IMAGES / 255.0, verbose=0).shape == (4, 1)


def test_crops_are_at_every_place_and_the_same_for_a_batch():
    layer = layers.RandomCrop(6, 5, seed=1)
    places = set()
    for _ in range(60):
        y = layer(IMAGES)
        found = [(i, j) for i in range(3) for j in range(3) if np.array_equal(y, IMAGES[:, i : i + 6, j : j + 5])]
        places.update(found)
        assert len(found) == 1
    assert len(places) == 9


def test_what_goes_with_images(backend):
    """Masks are moved as their images are; labels are mixed as these; what a layer does not change stays as it is."""
    mask = (BYTES[..., :1] > 127).astype("int32")
    labels = backend.asarray(np.eye(4, dtype="float32"))
    data = {"images": backend.asarray(np.float32(mask)), "segmentation_masks": backend.asarray(mask), "labels": labels}
    moved = layers.RandomShear(0.5, 0.3, "nearest", seed=3)({**data, "names": "abcd"})
    assert str(moved["segmentation_masks"].dtype).endswith("int32")
    assert_close(moved["images"], nnx.to_numpy(moved["segmentation_masks"]), 0.0, 0.0)
    assert moved["labels"] is labels
    assert moved["names"] == "abcd"

    for layer in (layers.MixUp(1.0, seed=3), layers.CutMix(ALWAYS, seed=3)):
        images = np.float32(np.arange(4.0)[:, None, None, None] * np.ones((1, 40, 50, 1)))
        mixed = layer({"images": backend.asarray(images), "labels": labels})
        mean = nnx.to_numpy(mixed["images"]).mean(axis=(1, 2, 3))
        # a box has whole pixels, its share is that before they are rounded
        assert_close(nnx.to_numpy(mixed["labels"]) @ np.arange(4.0), mean, rtol=0.0, atol=0.2)
        assert (nnx.to_numpy(mixed["labels"]) != np.eye(4)).any()
    plain = layers.MixUp(seed=3)(data, training=False)
    assert_close(plain["images"], np.float32(mask), 0.0, 0.0)


def test_a_pipeline_and_a_loader():
    steps = [layers.Resizing(4, 4), layers.RandomFlip(seed=1), layers.MixUp(seed=2), layers.Rescaling(1.0 / 255.0)]
    pipeline = layers.Pipeline(steps[:3])
    made = pipeline({"images": BYTES, "labels": np.eye(4)})
    assert made["images"].shape == (4, 4, 4, 3)
    assert made["labels"].shape == (4, 4)
    whole = layers.Pipeline([*steps[:2], steps[3]])

    def prepared(x: Any, y: Any) -> Any:
        return whole(x, training=True), y

    model = nnx.Sequential([Input((4, 4, 3)), Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    model.fit(nnx.data.DataLoader(IMAGES, np.zeros((4, 1)), batch_size=2, map=prepared), verbose=0)
    assert np.isfinite(model.history.history["loss"][0])
    with pytest.raises(TypeError, match=r"pipeline: layers must be a list of layers such as \[Rescaling"):
        layers.Pipeline([])


def drawn(layer: Any, count: int = 2000) -> Any:
    """What a layer draws for so many images."""
    x = np.zeros((count, 4, 5, 3), "float64")
    layer.build_on(nnx.get_backend(), (None, 4, 5, 3))
    return layer.draw_factors(x)


def limits(values: Any) -> list[float]:
    return [float(np.min(values)), float(np.max(values))]


def test_factors():
    near = {"abs": 0.01}
    assert limits(drawn(layers.RandomContrast(0.2))) == pytest.approx([0.8, 1.2], **near)
    assert limits(drawn(layers.RandomContrast((0.1, 0.4)))) == pytest.approx([0.9, 1.4], **near)
    assert limits(drawn(layers.RandomBrightness(0.3, (-1, 1)))) == pytest.approx([-0.6, 0.6], **near)
    assert limits(drawn(layers.RandomColorDegeneration(0.7))) == pytest.approx([0.0, 0.7], **near)
    assert limits(drawn(layers.RandomSaturation(0.5))) == pytest.approx([0.0, 1.0], **near)
    hue = drawn(layers.RandomHue((0.4, 0.8)))
    assert limits(np.abs(hue)) == pytest.approx([0.2, 0.4], **near)
    assert 0.45 < (hue > 0).mean() < 0.55
    shear = drawn(layers.RandomShear(0.4, (0.1, 0.2)))
    assert limits(shear[:, 1]) == pytest.approx([-0.4, 0.4], **near)
    assert limits(np.abs(shear[:, 3])) == pytest.approx([0.1, 0.2], **near)
    assert limits(drawn(layers.Solarization((0.2, 0.2), 0.5))[0]) == pytest.approx([51.0, 51.0])
    assert set(drawn(layers.RandomPosterization((1, 4))).ravel()) == {128.0, 64.0, 32.0}
    assert set(drawn(layers.RandomPosterization(4)).ravel()) == {16.0}
    for share, factor in ((0.25, 0.5), (0.5, 1.0), (0.8, (0.8, 0.8)), (1.0, ALWAYS)):
        assert drawn(layers.RandomInvert(factor)).mean() == pytest.approx(share, abs=0.05)
    weights, partners = drawn(layers.MixUp(0.4))
    assert limits(weights) == pytest.approx([0.0, 1.0], **near)
    assert weights.mean() == pytest.approx(0.5, abs=0.03)
    assert sorted(partners) == list(range(2000))


def test_values_of_another_range():
    """What is computed does not depend on how bytes were scaled."""
    scaled = np.float32(BYTES / 127.5 - 1.0)
    for make in (
        lambda **options: layers.RandomPosterization(3, **options),
        lambda **options: layers.RandomInvert(ALWAYS, **options),
        lambda **options: layers.RandomSaturation((0.9, 0.9), **options),
        lambda **options: layers.RandomHue((0.4, 0.4), seed=2, **options),
        lambda **options: layers.Solarization((0.1, 0.1), (0.6, 0.6), **options),
        layers.Equalization,
        layers.AutoContrast,
    ):
        y = (make(value_range=(-1, 1))(scaled) + 1.0) * 127.5
        assert_close(y, make()(BYTES), rtol=0.0, atol=2e-3)


def test_equalization_is_of_each_image_and_channel():
    x = np.float32(BYTES)
    for y, image in zip(np.moveaxis(layers.Equalization()(x), -1, 1), np.moveaxis(x, -1, 1), strict=True):
        for found, channel in zip(y, image, strict=True):
            ranks = np.searchsorted(np.sort(channel.ravel()), channel, side="right")
            least = ranks.min()
            assert_close(found, np.round((ranks - least) * 255.0 / (channel.size - least)), 0.0, 0.0)
    flat = np.full((1, 3, 3, 1), 7.0, "float32")
    assert_close(layers.Equalization()(flat), flat, 0.0, 0.0)
    assert_close(layers.AutoContrast()(flat), flat, 0.0, 0.0)


def test_integers():
    for layer in (layers.Resizing(4, 4), layers.RandomBrightness((0.5, 0.5)), layers.RandomGrayscale()):
        assert layer(BYTES).dtype == "uint8"
    assert layers.RandomBrightness((0.5, 0.5))(BYTES).max() == 255
    assert_close(layers.RandomInvert(ALWAYS)(BYTES), 255.0 - BYTES, 0.0, 0.0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.Resizing(0, 4), "resizing: height must be a positive integer, got 0"),
        (lambda: layers.Resizing(4, 4, "area"), "interpolation must be one of nearest, bilinear, bicubic"),
        (lambda: layers.Resizing(4, 4, "nearest", True, True), "only one of crop_to_aspect_ratio and pad_to"),
        (lambda: layers.RandomContrast(1.5), "random_contrast: factor must be a number from 0 to 1, got 1.5"),
        (lambda: layers.RandomBrightness(0.1, (0, 0)), r"value_range must have two different numbers, got \(0, 0\)"),
        (lambda: layers.RandomBrightness(0.1, 255), r"value_range must be a pair of numbers such as \(0, 255\), got"),
        (lambda: layers.RandomPosterization(9), "factor must be from 1 to 8 bits, got 9"),
        (lambda: layers.RandomGaussianBlur(1.0, 4), "kernel_size must be odd, got 4"),
        (lambda: layers.RandomElasticTransform(fill_mode="edge"), "fill_mode must be one of constant, nearest"),
        (lambda: layers.MixUp(0.0), "mix_up: alpha must be greater than 0 and finite, got 0"),
        (lambda: layers.RandomHue(0.1)(IMAGES[..., :2]), "random_hue: expected images with 3 channels, got 2"),
        (lambda: layers.RandomInvert()(IMAGES[0, 0]), r"of shape \(batch, rows, columns, channels\), got \(7, 3\)"),
        (lambda: layers.RandomInvert()({"image": IMAGES}), r"expected a dict with the key 'images', got \['image'\]"),
        (lambda: layers.RandomFlip()({"images": IMAGES, "bounding_boxes": {}}), "bounding boxes are not changed with"),
    ],
)
def test_mistakes(make: Callable[[], Any], words: str):
    with pytest.raises(ValueError, match=words):
        make()
