"""Images moved, turned, sheared and zoomed at random, for training."""

from __future__ import annotations

import math
from typing import Any

from nnx.arguments import number
from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.functional import images
from nnx.layers.augmentation import Augmentation, Factor, limits_of, one_of
from nnx.layers.layer import registry

_ABOVE_MINUS_ONE = math.nextafter(-1.0, 0.0)


class _RandomMap(Augmentation):
    """Images under a random affine map."""

    changes = ("segmentation_masks",)

    def __init__(
        self,
        *,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fill_mode = one_of(f"{self.name}: fill_mode", fill_mode, images.FILL_MODES)
        self.interpolation = one_of(f"{self.name}: interpolation", interpolation, images.INTERPOLATIONS)
        self.fill_value = number(f"{self.name}: fill_value", fill_value)

    def draw_factors(self, x: Array) -> Array:
        return self.draw_maps(x, *x.shape[1:3])

    def draw_maps(self, x: Array, height: int, width: int) -> Array:
        """The maps (batch, 6), as `nnx.functional.affine_transform` takes them."""
        raise NotImplementedError

    def transform(self, x: Array, factors: Array) -> Array:
        return self._mapped(x, factors, self.interpolation)

    def transform_masks(self, masks: Array, factors: Array) -> Array:
        return self._mapped(masks, factors, "nearest")

    def _mapped(self, x: Array, maps: Array, interpolation: str) -> Array:
        mapped: Array = primitive(
            lambda pixels: images.affine_transform(pixels, maps, interpolation, self.fill_mode, self.fill_value)
        )(x)
        return mapped


@registry.register()
class RandomTranslation(_RandomMap):
    """Images moved at random in training: up or down, and to the left or right.

    height_factor : how far down, as a fraction of the height: up to so far in both directions, or a pair (from, to) in
        which negative numbers mean up. From -1 to 1.
    width_factor : how far to the right, as a fraction of the width, in the same way.
    fill_mode : what is beyond the edges of an image a b c d: b a | a b c d | d c ("reflect", default),
        c d | a b c d | a b ("wrap"), a a | a b c d | d d ("nearest"), k k | a b c d | k k ("constant").
    interpolation : "bilinear" (default) or "nearest".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    fill_value : the k of "constant".
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Output of the input's shape; with training=False the input itself. ValueError for factors out of range.

    >>> layer = RandomTranslation((0.5, 0.5), 0.0, fill_mode="constant")  # by half the height, always
    >>> layer([[[[1.0]], [[2.0]]]])[0, :, 0, 0]
    array([0., 1.], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **kwargs,
        )
        self.height_factor, self.width_factor = height_factor, width_factor
        self._down = limits_of(f"{self.name}: height_factor", height_factor)
        self._right = limits_of(f"{self.name}: width_factor", width_factor)

    def draw_maps(self, x: Array, height: int, width: int) -> Array:
        down = height * self.draw_between(x, self._down)
        return images.translations(width * self.draw_between(x, self._right), down)


@registry.register()
class RandomRotation(_RandomMap):
    """Images turned at random about their middles, in training.

    factor : how far, as a fraction of a full turn: up to so far in both directions, or a pair (from, to) in which
        positive numbers mean counter-clockwise. From -1 to 1.
    fill_mode : what is beyond the edges of an image a b c d: b a | a b c d | d c ("reflect", default),
        c d | a b c d | a b ("wrap"), a a | a b c d | d d ("nearest"), k k | a b c d | k k ("constant").
    interpolation : "bilinear" (default) or "nearest".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    fill_value : the k of "constant".
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Output of the input's shape; with training=False the input itself. ValueError for factors out of range.

    >>> layer = RandomRotation((0.5, 0.5))  # by half a turn, always
    >>> layer([[[[1.0], [2.0]], [[3.0], [4.0]]]])[0, :, :, 0].round(3)
    array([[4., 3.],
           [2., 1.]], dtype=float32)
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **kwargs,
        )
        self.factor = factor
        self._turn = limits_of(f"{self.name}: factor", factor)

    def draw_maps(self, x: Array, height: int, width: int) -> Array:
        return images.rotations(2.0 * math.pi * self.draw_between(x, self._turn), height, width)


@registry.register()
class RandomShear(_RandomMap):
    """Images sheared at random in training: rows moved the farther, the lower they are, and columns by their place.

    x_factor : by how many columns each row is moved against the one above; up to so far in both directions, or a pair
        (from, to), of which half of the images get the opposite. From -1 to 1, by default 0.
    y_factor : by how many rows each column is moved against the one to its left, in the same way; both are moved the
        usual way, or both the opposite one, of a pair.
    interpolation : "bilinear" (default) or "nearest".
    fill_mode : what is beyond the edges of an image a b c d: b a | a b c d | d c ("reflect", default),
        c d | a b c d | a b ("wrap"), a a | a b c d | d d ("nearest"), k k | a b c d | k k ("constant").
    fill_value : the k of "constant".
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Output of the input's shape; with training=False the input itself. ValueError for factors out of range.

    >>> layer = RandomShear((1.0, 1.0), fill_mode="constant", seed=1)  # one column for each row, always
    >>> layer([[[[1.0], [2.0]], [[3.0], [4.0]]]])[0, :, :, 0]
    array([[1., 2.],
           [0., 3.]], dtype=float32)
    """

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **kwargs,
        )
        self.x_factor, self.y_factor = x_factor, y_factor
        self._right = limits_of(f"{self.name}: x_factor", x_factor)
        self._down = limits_of(f"{self.name}: y_factor", y_factor)

    def draw_maps(self, x: Array, height: int, width: int) -> Array:
        sign = self.draw_sign(x)
        return images.shears(self.draw_between(x, self._right), self.draw_between(x, self._down), sign)


@registry.register()
class RandomZoom(_RandomMap):
    """Images zoomed at random about their middles, in training.

    height_factor : how much more of the height is shown: a fraction up to which it is more or less, or a pair
        (from, to). Positive numbers make what is seen smaller, negative ones larger: 0.5 shows 1.5 times the height,
        -0.5 half of it. From above -1 to 1.
    width_factor : the same for the width; None (default) keeps the proportions.
    fill_mode : what is beyond the edges of an image a b c d: b a | a b c d | d c ("reflect", default),
        c d | a b c d | a b ("wrap"), a a | a b c d | d d ("nearest"), k k | a b c d | k k ("constant").
    interpolation : "bilinear" (default) or "nearest".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    fill_value : the k of "constant".
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Output of the input's shape; with training=False the input itself. ValueError for factors out of range.

    >>> layer = RandomZoom((-0.5, -0.5))  # to half the height and width, always
    >>> layer([[[[0.0]], [[1.0]], [[2.0]], [[3.0]]]])[0, :, 0, 0]
    array([0.75, 1.25, 1.75, 2.25], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            seed=seed,
            fill_value=fill_value,
            data_format=data_format,
            **kwargs,
        )
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = limits_of(f"{self.name}: height_factor", height_factor, least=_ABOVE_MINUS_ONE)
        self._width = None
        if width_factor is not None:
            self._width = limits_of(f"{self.name}: width_factor", width_factor, least=_ABOVE_MINUS_ONE)

    def draw_maps(self, x: Array, height: int, width: int) -> Array:
        vertical = 1.0 + self.draw_between(x, self._height)
        horizontal = vertical if self._width is None else 1.0 + self.draw_between(x, self._width)
        return images.zooms(horizontal, vertical, height, width)
