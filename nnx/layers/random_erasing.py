"""Images with an erased part, for training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.arguments import finite_numbers
from nnx.backends import Array, array_namespace
from nnx.functional import noise
from nnx.functional.images import inside_boxes
from nnx.layers.augmentation import Augmentation, Factor, limits_of
from nnx.layers.layer import registry
from nnx.layers.value_range import ValueRange


@registry.register()
class RandomErasing(Augmentation):
    """Images of which a box is erased at random, in training.

    factor : the probability; one number means that it is itself drawn for each image, between 0 and that number, by
        default 1.0, and a pair between the two.
    scale : height and width of the box are the square roots of two numbers drawn between these, as fractions of the
        image's, by default (0.02, 0.33); one number: between 0 and it. From 0 to 1.
    fill_value : what is there then: a number, one for each channel, or None (default) for noise, normal numbers times
        the highest value.
    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, output of its shape; with training=False the input itself. ValueError for factors out of
    range.

    Zhong et al., "Random erasing data augmentation", 2017, arXiv:1708.04896.

    >>> layer = RandomErasing((1.0, 1.0), scale=(1.0, 1.0), fill_value=7.0)  # all of it, always
    >>> layer([[[[1.0], [2.0]]]]).ravel()
    array([7., 7.], dtype=float32)
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor, self.scale, self.fill_value, self.value_range = factor, scale, fill_value, value_range
        self._limits = limits_of(f"{self.name}: factor", factor, least=0.0)
        self._scale = limits_of(f"{self.name}: scale", scale, least=0.0)
        self._fill = (
            None
            if fill_value is None
            else np.reshape(finite_numbers(f"{self.name}: fill_value", fill_value), (1, 1, 1, -1))
        )
        self._range = ValueRange.read(self.name, value_range)

    def draw_factors(self, x: Array) -> tuple[Array, Array]:
        """Which pixels are erased, and what is there then."""
        xp = array_namespace(x)
        chosen = self.draw_chosen(x, self._limits)
        boxes = []
        for size in x.shape[1:3]:
            length = size * xp.sqrt(self.draw_between(x, self._scale))
            start = self.draw_between(x, (0.0, 1.0)) * (size - length)
            boxes += [start, start + length]
        if self._fill is not None:
            fill = self.placed(x, np.broadcast_to(self._fill, (1, 1, 1, x.shape[-1])))
        else:
            fill = noise.normal(x, self.draw(noise.words_for_normals(math.prod(x.shape)))) * self._range.high
        return chosen & inside_boxes(x, *boxes), self._range.limited(fill)

    def transform(self, x: Array, factors: tuple[Array, Array]) -> Array:
        return array_namespace(x).where(*factors, x)
