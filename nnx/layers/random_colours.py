"""Images with other colours at random, for training: brightness, contrast, saturation, hue, grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.arguments import fraction
from nnx.backends import Array, array_namespace
from nnx.layers.augmentation import Augmentation, Factor, for_pixels, limits_of
from nnx.layers.layer import registry
from nnx.layers.value_range import ValueRange
from nnx.ops.arithmetic import clip
from nnx.ops.image import hsv_to_rgb, rgb_to_grayscale, rgb_to_hsv
from nnx.random import bernoulli
from nnx.shapes import Shape


class _Coloured(Augmentation):
    """An augmentation of red, green and blue."""

    channel_counts: tuple[int, ...] = (3,)

    def shape_of_images(self, shape: Shape) -> Shape:
        self.image_axes(shape)
        channels = shape[self.channel_axis - 4]
        if channels not in (*self.channel_counts, None):
            counts = " or ".join(map(str, self.channel_counts))
            raise ValueError(f"{self.name}: expected images with {counts} channels, got {channels} (shape {shape})")
        return shape


class _OfFactor(_Coloured):
    """An augmentation of colours by a factor between limits, of values in a range."""

    def __init__(
        self,
        factor: Factor,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.value_range = factor, value_range
        self._limits = self._limits_of(f"{self.name}: factor", factor)
        self._range = ValueRange.read(self.name, value_range)

    @staticmethod
    def _limits_of(what: str, factor: Any) -> tuple[float, float]:
        """The limits between which the factor is drawn; ValueError, which begins with `what`."""
        return _from_nothing(what, factor)


@registry.register()
class RandomBrightness(Augmentation):
    """Images made brighter or darker at random, in training: a number is added to all pixels of one.

    factor : the number, as a fraction of the range of values: up to so much more or less, or a pair (from, to). From -1
        to 1.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape, with values in their range; with training=False the input itself.
    Called on integers it returns integers. ValueError for factors out of range.

    >>> RandomBrightness((0.2, 0.2))([[[[100.0], [240.0]]]]).ravel()
    array([151., 255.], dtype=float32)
    """

    keeps_integers = True

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.factor, self.value_range = factor, value_range
        self._limits = limits_of(f"{self.name}: factor", factor)
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> Array:
        return self.draw_between(x, self._limits) * (self._range.high - self._range.low)

    def transform(self, x: Array, factors: Array) -> Array:
        return self._range.limited(x + for_pixels(factors))


@registry.register()
class RandomContrast(Augmentation):
    """Images with more or less contrast at random, in training: y = (x - mean) * c + mean, by images and channels.

    factor : c is drawn between 1 - factor and 1 + factor; for a pair (less, more) between 1 - less and 1 + more. From 0
        to 1.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape, with values in their range; with training=False the input itself.
    ValueError for factors out of range.

    >>> RandomContrast((0.0, 0.0))([[[[100.0], [200.0]]]]).ravel()
    array([100., 200.], dtype=float32)
    """

    def __init__(
        self, factor: Factor, value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        limits_of(f"{self.name}: factor", factor, least=0.0)
        # a pair, which is what Keras saves, and means the same to both
        self.factor = tuple(factor) if isinstance(factor, list | tuple) else (factor, factor)
        self.value_range = value_range
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> Array:
        less, more = self.factor
        return self.draw_between(x, (1.0 - less, 1.0 + more))

    def transform(self, x: Array, factors: Array) -> Array:
        mean = array_namespace(x).mean(x, axis=(1, 2), keepdims=True)
        return self._range.limited((x - mean) * for_pixels(factors) + mean)


@registry.register()
class RandomSaturation(_OfFactor):
    """Images with more or less colour at random, in training: the saturation of hue, saturation and value.

    factor : 0 makes images grey, 0.5 leaves them, 1 makes every colour as strong as can be: the saturation becomes
        factor / (1 - factor) times as much, up to 1. One number: drawn between 0 and it; or a pair (from, to). Below 0
        it counts as 0.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of coloured images, or one, output of its shape; with training=False the input itself. ValueError for factors
    out of range, and for other than three channels.

    >>> RandomSaturation((0.0, 0.0))([[[[200.0, 100.0, 50.0]]]]).ravel()
    array([200., 200., 200.], dtype=float32)
    """

    def draw_factors(self, x: Array) -> Array:
        factor = self.draw_between(x, self._limits)
        return factor / (1.0 - factor + 1e-7)  # as Keras keeps it from infinity

    def transform(self, x: Array, factors: Array) -> Array:
        xp, hsv = array_namespace(x), rgb_to_hsv(self._range.to_zero(x, 1.0))
        saturation = clip(hsv[..., 1:2] * for_pixels(factors), 0.0, 1.0)
        return self._range.from_zero(hsv_to_rgb(xp.concat([hsv[..., :1], saturation, hsv[..., 2:]], axis=-1)), 1.0)


@registry.register()
class RandomHue(_OfFactor):
    """Images with other hues at random, in training: turned around the circle of colours, in both directions.

    factor : how far, as a fraction of half the circle: between 0 and one number, or between those of a pair. From 0 to
        1.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of coloured images, or one, output of its shape, with values in their range; with training=False the input
    itself. ValueError for factors out of range, and for other than three channels.

    >>> RandomHue((1.0, 1.0))([[[[200.0, 100.0, 100.0]]]]).round(3).ravel()  # red becomes cyan
    array([100., 200., 200.], dtype=float32)
    """

    @staticmethod
    def _limits_of(what: str, factor: Any) -> tuple[float, float]:
        return limits_of(what, factor, least=0.0)

    def draw_factors(self, x: Array) -> Array:
        return 0.5 * self.draw_sign(x) * self.draw_between(x, self._limits)

    def transform(self, x: Array, factors: Array) -> Array:
        xp, hsv = array_namespace(x), rgb_to_hsv(self._range.to_zero(x, 1.0))
        turned = hsv_to_rgb(xp.concat([hsv[..., :1] + for_pixels(factors), hsv[..., 1:]], axis=-1))
        return self._range.from_zero(clip(turned, 0.0, 1.0), 1.0)


@registry.register()
class RandomColorDegeneration(_OfFactor):
    """Images mixed with their grey versions at random, in training: y = x + factor * (grey - x).

    factor : 0 leaves images, 1 makes them grey. One number: drawn between 0 and it; or a pair (from, to). From -1 to 1.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of coloured images, or one, output of its shape, with values in their range; with training=False the input
    itself. ValueError for factors out of range, and for other than one or three channels.

    >>> RandomColorDegeneration((1.0, 1.0))([[[[200.0, 100.0, 50.0]]]]).round(2).ravel()
    array([124.18, 124.18, 124.18], dtype=float32)
    """

    channel_counts = (1, 3)

    def draw_factors(self, x: Array) -> Array:
        return self.draw_between(x, self._limits)

    def transform(self, x: Array, factors: Array) -> Array:
        return self._range.limited(x + (rgb_to_grayscale(x) - x) * for_pixels(factors))


@registry.register()
class RandomGrayscale(_Coloured):
    """Images made grey at random, in training; they keep three channels.

    factor : the probability with which each is made grey, by default 0.5.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of coloured images, or one, output of its shape; with training=False the input itself. Called on integers it
    returns integers. ValueError for a factor that is no probability, and for other than one or three channels.

    >>> RandomGrayscale(1.0)([[[[200.0, 100.0, 50.0]]]]).round(2).ravel()
    array([124.18, 124.18, 124.18], dtype=float32)
    """

    keeps_integers = True
    channel_counts = (1, 3)

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = fraction(f"{self.name}: factor", factor, with_one=True)

    def whole(self, y: Array) -> Array:
        return array_namespace(y).floor(y)  # as a conversion of Keras does

    def draw_factors(self, x: Array) -> Array:
        return for_pixels(bernoulli(self.one_for_each(x), self.draw(x.shape[0]), self.factor))

    def transform(self, x: Array, factors: Array) -> Array:
        return array_namespace(x).where(factors, rgb_to_grayscale(x), x)


@registry.register()
class RandomColorJitter(Augmentation):
    """Images with other brightness, contrast, saturation and hue at random, in training, one after the other.

    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    brightness_factor, contrast_factor, saturation_factor, hue_factor : as of `RandomBrightness`, `RandomContrast`,
        `RandomSaturation` and `RandomHue`; None (default) for what stays as it is.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of coloured images, or one, output of its shape; with training=False the input itself. ValueError for factors
    out of range, and for other than three channels where saturation or hue is changed.

    >>> RandomColorJitter(brightness_factor=(0.2, 0.2))([[[[100.0, 150.0, 240.0]]]]).ravel()
    array([151., 201., 255.], dtype=float32)
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = value_range
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        kinds: list[tuple[type[Any], Factor | None]] = [
            (RandomBrightness, brightness_factor),
            (RandomContrast, contrast_factor),
            (RandomSaturation, saturation_factor),
            (RandomHue, hue_factor),
        ]
        self._steps: list[Augmentation] = [
            kind(factor, value_range, data_format=data_format, name=self.name)
            for kind, factor in kinds
            if factor is not None
        ]

    def draw_factors(self, x: Array) -> list[Any]:
        return [self.draw_for(step, x) for step in self._steps]

    def transform(self, x: Array, factors: list[Any]) -> Array:
        for step, drawn in zip(self._steps, factors, strict=True):
            x = step.transform(x, drawn)
        return x

    def shape_of_images(self, shape: Shape) -> Shape:
        for step in self._steps:
            step.shape_of_images(shape)
        return super().shape_of_images(shape)


def _from_nothing(what: str, factor: Any) -> tuple[float, float]:
    """The limits of a factor of which one number means: between 0 and it."""
    low, high = limits_of(what, factor)
    return (low, high) if isinstance(factor, list | tuple) else (0.0, high)
