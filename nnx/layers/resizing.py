"""Images of another size: resized, or cut out of larger ones."""

from __future__ import annotations

import math
from typing import Any

from nnx.arguments import integers, number
from nnx.backends import Array
from nnx.functional.upsampling import INTERPOLATIONS
from nnx.layers.augmentation import Augmentation, one_of
from nnx.layers.image_layer import ImageLayer
from nnx.layers.layer import registry
from nnx.ops.image import resize
from nnx.shapes import Shape


def _size(layer: str, height: Any, width: Any) -> tuple[int, ...]:
    return (*integers(f"{layer}: height", height, 1), *integers(f"{layer}: width", width, 1))


def _cut(x: Array, top: int, left: int, height: int, width: int) -> Array:
    return x[:, top : top + height, left : left + width, :]


@registry.register()
class Resizing(ImageLayer):
    """Images of another height and width, in training and at inference.

    height, width : of the output.
    interpolation : "bilinear" (default), "nearest", "bicubic" (Keys's kernel, a = -1/2), "lanczos3" or "lanczos5", with
        the middles of pixels at one half.
    crop_to_aspect_ratio : whether images first lose their borders, so that nothing is stretched; by default False.
    pad_to_aspect_ratio : whether images first get borders of `fill_value` (default 0), so that nothing is stretched; by
        default False. fill_mode : how, "constant".
    antialias : whether smaller images are means over more pixels; by default False.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output (batch, height, width, channels); called on integers it returns integers. Masks in
    a dict take the nearest pixel. ValueError for both aspect ratios at once.

    >>> Resizing(1, 4)([[[[0.0], [2.0]]]]).ravel()
    array([0. , 0.5, 1.5, 2. ], dtype=float32)
    """

    acts_always = True
    keeps_integers = True
    changes = ("segmentation_masks",)

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = _size(self.name, height, width)
        self.interpolation = one_of(f"{self.name}: interpolation", interpolation, INTERPOLATIONS)
        self.fill_mode = one_of(f"{self.name}: fill_mode", fill_mode, ("constant",))
        self.fill_value = number(f"{self.name}: fill_value", fill_value)
        self.antialias = bool(antialias)
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError(f"{self.name}: only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True")

    def transform(self, x: Array, factors: None) -> Array:
        return self._resized(x, self.interpolation)

    def transform_masks(self, masks: Array, factors: None) -> Array:
        return self._resized(masks, "nearest")

    def _resized(self, x: Array, interpolation: str) -> Array:
        return resize(
            x,
            (self.height, self.width),
            interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            self.fill_mode,
            self.fill_value,
        )

    def shape_of_images(self, shape: Shape) -> Shape:
        return self.shape_of_size(shape, self.height, self.width)


@registry.register()
class CenterCrop(ImageLayer):
    """The middles of images, in training and at inference.

    height, width : of the output.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output (batch, height, width, channels). Where an image is smaller, the largest part of it
    that has the output's proportions is resized.

    >>> CenterCrop(1, 2)([[[[0.0], [1.0], [2.0], [3.0]]]]).ravel()
    array([1., 2.], dtype=float32)
    """

    acts_always = True
    changes = ("segmentation_masks",)

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = _size(self.name, height, width)

    def transform(self, x: Array, factors: None) -> Array:
        return self._cropped(x, "bilinear")

    def transform_masks(self, masks: Array, factors: None) -> Array:
        return self._cropped(masks, "nearest")

    def _cropped(self, x: Array, interpolation: str) -> Array:
        above, beside = x.shape[1] - self.height, x.shape[2] - self.width
        if above < 0 or beside < 0:
            return resize(x, (self.height, self.width), interpolation, crop_to_aspect_ratio=True)
        return _cut(x, above // 2, beside // 2, self.height, self.width)

    def shape_of_images(self, shape: Shape) -> Shape:
        return self.shape_of_size(shape, self.height, self.width)


@registry.register()
class RandomCrop(Augmentation):
    """Parts of images, cut out at random in training: of all images of a batch at the same place.

    height, width : of the output.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output (batch, height, width, channels). With training=False, and where an image is
    smaller, the largest part of it that has the output's proportions is resized.

    >>> layer = RandomCrop(1, 2, seed=1)
    >>> layer([[[[0.0], [1.0], [2.0], [3.0]]]]).ravel()
    array([0., 1.], dtype=float32)
    >>> layer([[[[0.0], [1.0], [2.0], [3.0]]]], training=False).ravel()
    array([1., 2.], dtype=float32)
    """

    acts_always = True
    changes = ("segmentation_masks",)

    def __init__(
        self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.height, self.width = _size(self.name, height, width)

    def draw_factors(self, x: Array) -> tuple[int, int] | None:
        above, beside = x.shape[1] - self.height, x.shape[2] - self.width
        if above < 0 or beside < 0:
            return None
        down, right = self.draw_for_batch(2)
        return math.floor(down * (above + 1)), math.floor(right * (beside + 1))

    def transform(self, x: Array, factors: tuple[int, int] | None) -> Array:
        return self._cropped(x, factors, "bilinear")

    def transform_masks(self, masks: Array, factors: tuple[int, int] | None) -> Array:
        return self._cropped(masks, factors, "nearest")

    def _cropped(self, x: Array, place: tuple[int, int] | None, interpolation: str) -> Array:
        if place is None:
            return resize(x, (self.height, self.width), interpolation, crop_to_aspect_ratio=True)
        return _cut(x, *place, self.height, self.width)

    def shape_of_images(self, shape: Shape) -> Shape:
        return self.shape_of_size(shape, self.height, self.width)
