"""Augmentation: the base of layers that change images at random, for training."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import number
from nnx.backends import Array, array_namespace, backend_of
from nnx.layers.image_layer import ImageLayer
from nnx.layers.stochastic import Stochastic
from nnx.ops.operation import beside, name_of_dtype
from nnx.random import Generator, bernoulli, host_words, uniform_beside

Factor = float | Sequence[float]
"""A factor that is drawn for each image: between the two of a pair, or as far as one number says."""


class Augmentation(Stochastic, ImageLayer):
    """A layer that changes each image of a batch at random: in `fit`, and where it is called without `training`.

    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    """

    supports_masking = False

    @property
    def stream(self) -> Generator:
        """The layer's stream of random numbers; ValueError before it is built."""
        if self.random is None:
            raise ValueError(f"{self.name} draws random numbers only after it is built")
        return self.random

    @staticmethod
    def one_for_each(x: Array) -> Array:
        """An empty array (batch,) on the device of the images x and of their dtype; float32 where that is float16."""
        xp = array_namespace(x)
        dtype = xp.float32 if xp.finfo(x.dtype).bits == 16 else x.dtype
        return xp.empty((x.shape[0],), dtype=dtype, device=backend_of(x).device_of(x))

    def draw_between(self, x: Array, limits: tuple[float, float]) -> Array:
        """For each image a number between these limits."""
        low, high = limits
        return low + (high - low) * uniform_beside(self.one_for_each(x), self.draw(x.shape[0]))

    def draw_sign(self, x: Array) -> Array:
        """For each image 1 or -1, each with probability 1/2."""
        chosen = bernoulli(self.one_for_each(x), self.draw(x.shape[0]), 0.5)
        return array_namespace(x).where(chosen, -1.0, array_namespace(x).ones_like(self.one_for_each(x)))

    def draw_chosen(self, x: Array, limits: tuple[float, float]) -> Array:
        """For each image whether it is changed, (batch, 1, 1, 1), with a probability that lies between these limits."""
        probability = self.draw_between(x, limits)
        return for_pixels(self.draw_between(x, (0.0, 1.0)) < probability)

    def draw_on_host(self, x: Array, count: int) -> np.ndarray:
        """For each image numbers from [0, 1), float64 (batch, count), for what is computed on the host."""
        rows = x.shape[0]
        return host_words(self.draw(rows * count)).reshape(rows, count) * 2.0**-32

    @staticmethod
    def placed(x: Array, numbers: np.ndarray) -> Array:
        """Numbers of the host on the device of the images x, in their dtype."""
        return beside(x, numbers, name_of_dtype(x))

    def draw_for_batch(self, count: int) -> list[float]:
        """So many numbers from [0, 1), for all images of a batch together."""
        numbers: list[float] = (host_words(self.draw(count, by_rows=False)) * 2.0**-32).tolist()
        return numbers

    def draw_for(self, other: ImageLayer, x: Array) -> Any:
        """What another layer, of which this one is made, draws for a batch: from the stream of this one."""
        other.random = self.random
        return other.draw_factors(x)


def for_pixels(of_images: Array) -> Array:
    """What there is for each image, (batch,), beside its pixels: (batch, 1, 1, 1)."""
    return of_images[:, None, None, None]


def limits_of(what: str, factor: Any, least: float = -1.0, most: float = 1.0) -> tuple[float, float]:
    """The two numbers between which a factor is drawn. One number stands for both directions, as far as `least` allows.

    ValueError for anything else than one or two numbers from `least` to `most`.

    >>> limits_of("factor", 0.3), limits_of("factor", 0.3, least=0.0), limits_of("factor", (0.5, 0.2))
    ((-0.3, 0.3), (0.0, 0.3), (0.2, 0.5))
    """
    if isinstance(factor, numbers.Real):
        far = abs(number(what, factor, least=least, most=most))
        return max(-far, least), far
    if not isinstance(factor, list | tuple) or len(factor) != 2:
        raise ValueError(f"{what} must be a number or a pair of numbers, got {factor!r}")
    low, high = sorted(number(what, limit, least=least, most=most) for limit in factor)
    return low, high


def one_of(what: str, value: str, known: Sequence[str]) -> str:
    """One of several words, exactly as it is written; ValueError for anything else."""
    if value not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}, got {value!r}")
    return value
