"""Images blurred or sharpened at random, for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.arguments import integers
from nnx.backends import Array, array_namespace, backend_of
from nnx.functional.images import sum_of_neighbours
from nnx.layers.augmentation import Augmentation, Factor, for_pixels, limits_of
from nnx.layers.layer import registry
from nnx.layers.value_range import ValueRange


@registry.register()
class RandomGaussianBlur(Augmentation):
    """Images blurred at random, in training, by normal distributions over their pixels; outside they are 0.

    factor : the probability; one number means that it is itself drawn for each image, between 0 and that number, by
        default 1.0, and a pair between the two.
    kernel_size : how many rows and columns count, an odd number, or two; by default 3.
    sigma : the standard deviation in pixels, drawn for each image, along rows and columns: between 0 and one number, by
        default 1.0, or between those of a pair. From 0 to 1.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of images, or one, output of its shape, with values in their range; with training=False the input itself.
    ValueError for factors out of range, and for even kernel sizes.

    >>> RandomGaussianBlur((1.0, 1.0), sigma=(1.0, 1.0))([[[[0.0]], [[100.0]], [[0.0]]]]).round(2).ravel()
    array([12.38, 20.42, 12.38], dtype=float32)
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: int | Sequence[int] = 3,
        sigma: Factor = 1.0,
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.kernel_size, self.sigma, self.value_range = factor, kernel_size, sigma, value_range
        self._limits = limits_of(f"{self.name}: factor", factor, least=0.0)
        self._taps = integers(f"{self.name}: kernel_size", kernel_size, 2)
        if any(taps % 2 == 0 for taps in self._taps):
            raise ValueError(f"{self.name}: kernel_size must be odd, got {kernel_size!r}")
        self._sigma = limits_of(f"{self.name}: sigma", sigma, least=0.0)
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> tuple[Array, list[Array]]:
        return self.draw_chosen(x, self._limits), [self._bells(x, taps) for taps in self._taps]

    def _bells(self, x: Array, taps: int) -> Array:
        """The weights of neighbours, (batch, taps)."""
        xp = array_namespace(x)
        sigma = self.draw_between(x, self._sigma) + 1e-6
        places = xp.arange(taps, dtype=sigma.dtype, device=backend_of(x).device_of(x)) - (taps - 1) / 2
        weights = xp.exp(-0.5 * (places / sigma[:, None]) ** 2)
        return weights / xp.sum(weights, axis=1, keepdims=True)

    def transform(self, x: Array, factors: tuple[Array, list[Array]]) -> Array:
        chosen, (down, across) = factors
        blurred = sum_of_neighbours(sum_of_neighbours(x, down, 1), across, 2)
        return self._range.limited(array_namespace(x).where(chosen, blurred, x))


@registry.register()
class RandomSharpness(Augmentation):
    """Images sharpened or smoothed at random, in training: y = x + (1 - 2 * factor) * (smooth - x).

    Each pixel of `smooth` is the mean over the nine around it, in which it counts five times; outside they are 0.

    factor : 0 smooths images, 0.5 leaves them, 1 sharpens them. One number: drawn between 0 and it; or a pair (from,
        to). From 0 to 1.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of images, or one, output of its shape, with values in their range; with training=False the input itself.
    ValueError for factors out of range.

    >>> RandomSharpness((0.0, 0.0))([[[[0.0], [130.0], [0.0]]]]).round(2).ravel()
    array([10., 50., 10.], dtype=float32)
    """

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
        self._limits = limits_of(f"{self.name}: factor", factor, least=0.0)
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> tuple[Array, Array]:
        xp = array_namespace(x)
        three = xp.ones((1, 3), dtype=x.dtype, device=backend_of(x).device_of(x))
        return for_pixels(1.0 - 2.0 * self.draw_between(x, self._limits)), three

    def transform(self, x: Array, factors: tuple[Array, Array]) -> Array:
        smoothness, three = factors
        nine = sum_of_neighbours(sum_of_neighbours(x, three, 1), three, 2)
        return self._range.limited(x + ((nine + 4.0 * x) / 13.0 - x) * smoothness)
