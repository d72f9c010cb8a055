"""Images whose values become others, each by itself or by how often it is there: inverted, posterised, equalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import integers, is_integer
from nnx.autodiff.array import lower
from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.counting import bin_sums
from nnx.layers.augmentation import Augmentation, Factor, for_pixels, limits_of
from nnx.layers.image_layer import ImageLayer
from nnx.layers.layer import registry
from nnx.layers.value_range import ValueRange
from nnx.ops.arithmetic import clip


@registry.register()
class RandomInvert(Augmentation):
    """Images turned into their negatives at random, in training: y = low + high - x.

    factor : the probability; one number means that it is itself drawn for each image, between 0 and that number, by
        default 1.0, and a pair between the two.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape; with training=False the input itself. ValueError for factors out of
    range.

    >>> RandomInvert((1.0, 1.0))([[[[0.0], [55.0]]]]).ravel()
    array([255., 200.], dtype=float32)
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.value_range = factor, value_range
        self._limits = limits_of(f"{self.name}: factor", factor, least=0.0)
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> Array:
        return self.draw_chosen(x, self._limits)

    def transform(self, x: Array, factors: Array) -> Array:
        return array_namespace(x).where(factors, (self._range.low + self._range.high) - x, x)


@registry.register()
class RandomPosterization(Augmentation):
    """Images with fewer values at random, in training: of the eight bits of a value the upper ones.

    factor : how many bits; of a pair (from, below) drawn for each image, without the second. From 1 to 8.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of images, or one, output of its shape; with training=False the input itself. Nothing has a derivative.
    ValueError for factors out of range.

    >>> RandomPosterization(2)([[[[10.0], [100.0], [200.0]]]]).ravel()
    array([  0.,  64., 192.], dtype=float32)
    """

    def __init__(
        self,
        factor: int | Sequence[int],
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.value_range = factor, value_range
        self._bits = sorted(integers(f"{self.name}: factor", factor, 2))
        if self._bits[1] > 8:
            raise ValueError(f"{self.name}: factor must be from 1 to 8 bits, got {factor!r}")
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> Array:
        least, below = self._bits
        bits = least + np.floor(self.draw_on_host(x, 1)[:, 0] * (below - least))
        return for_pixels(self.placed(x, 2.0 ** (8.0 - bits)))

    def transform(self, x: Array, factors: Array) -> Array:
        xp = array_namespace(x)
        steps = xp.floor(self._range.to_steps(x, 255.0) / factors)
        return self._range.from_zero(steps * factors, 255.0)


@registry.register()
class Solarization(Augmentation):
    """Images whose bright parts are turned into their negatives, in training; a number may be added before.

    addition_factor : the number, as a fraction of the range of values: drawn between 0 (default) and it, or between
        those of a pair. From 0 to 1.
    threshold_factor : the value from which on they are turned, in the same way; by default 0, which turns all.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape, with values in their range; with training=False the input itself.
    ValueError for factors out of range.

    >>> Solarization(threshold_factor=(0.5, 0.5))([[[[10.0], [200.0]]]]).ravel()
    array([10., 55.], dtype=float32)
    """

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.addition_factor, self.threshold_factor, self.value_range = addition_factor, threshold_factor, value_range
        self._additions = limits_of(f"{self.name}: addition_factor", addition_factor, least=0.0)
        self._thresholds = limits_of(f"{self.name}: threshold_factor", threshold_factor, least=0.0)
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> tuple[Array, Array]:
        additions = self.draw_between(x, self._additions)
        return for_pixels(255.0 * additions), for_pixels(255.0 * self.draw_between(x, self._thresholds))

    def transform(self, x: Array, factors: tuple[Array, Array]) -> Array:
        (additions, thresholds), xp = factors, array_namespace(x)
        brighter = clip(self._range.to_zero(x, 255.0) + additions, 0.0, 255.0)
        return self._range.from_zero(xp.where(brighter < thresholds, brighter, 255.0 - brighter), 255.0)


@registry.register()
class AutoContrast(ImageLayer):
    """Images whose values are stretched to the whole range, in training and at inference: by images and channels.

    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape. A channel with one value stays as it is.

    >>> AutoContrast()([[[[100.0], [120.0], [200.0]]]]).ravel()
    array([  0.,  51., 255.], dtype=float32)
    """

    acts_always = True

    def __init__(self, value_range: Sequence[float] = (0, 255), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range = value_range
        self._range = ValueRange.read(self.name, value_range)

    def transform(self, x: Array, factors: None) -> Array:
        xp = array_namespace(x)
        low, high = xp.min(x, axis=(1, 2), keepdims=True), xp.max(x, axis=(1, 2), keepdims=True)
        spread = xp.where(high > low, high - low, 1.0)
        stretched = (x - low) * ((self._range.high - self._range.low) / spread) + self._range.low
        return xp.where(high > low, self._range.limited(stretched), x)


@registry.register()
class Equalization(ImageLayer):
    """Images in which all values are about as frequent, in training: by images and channels.

        y = 255 * (cdf(x) - least) / (1 - least)    rounded, for values from 0 to 255

    with the share cdf(x) of pixels whose bin is no higher, and the share `least` of the lowest bin.

    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    bins : how many classes of values are counted, by default 256.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape; with training=False the input itself. A channel whose pixels are all
    in one bin stays as it is. Nothing else has a derivative. ValueError for bins that are no positive integer.

    >>> Equalization()([[[[10.0], [11.0], [12.0], [250.0]]]]).ravel()
    array([  0.,  85., 170., 255.], dtype=float32)
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        if not is_integer(bins, 1):
            raise ValueError(f"{self.name}: bins must be a positive integer, got {bins!r}")
        self.value_range, self.bins = value_range, bins
        self._range = ValueRange.read(self.name, value_range)

    def transform(self, x: Array, factors: None) -> Array:
        plain = lower(x)
        xp, batch, channels = array_namespace(plain), x.shape[0], x.shape[3]
        steps = xp.astype(self._range.to_steps(plain, self.bins - 1.0), xp.int64)
        first = xp.arange(batch * channels, dtype=xp.int64, device=backend_of(plain).device_of(plain)) * self.bins
        keys = xp.reshape(steps + xp.reshape(first, (batch, 1, 1, channels)), (-1,))
        counts = xp.reshape(bin_sums(keys, batch * channels * self.bins), (-1, self.bins))
        several = xp.count_nonzero(counts, axis=1) > 1
        cdf = xp.astype(xp.cumulative_sum(counts, axis=1), plain.dtype)
        least = xp.min(xp.where(cdf > 0.0, cdf, cdf[:, -1:]), axis=1, keepdims=True)
        rest = cdf[:, -1:] - least
        levels = xp.round((cdf - least) * 255.0 / xp.where(rest > 0.0, rest, 1.0))
        found = xp.reshape(xp.take(xp.reshape(clip(levels, 0.0, 255.0), (-1,)), keys), x.shape)
        several = xp.reshape(several, (batch, 1, 1, channels))
        return array_namespace(x).where(several, self._range.from_zero(found, 255.0), x)
