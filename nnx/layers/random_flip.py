"""Images mirrored at random, for training."""

from __future__ import annotations

import functools
from typing import Any

from nnx.autodiff.primitive import primitive
from nnx.backends import Array
from nnx.functional import images
from nnx.layers.augmentation import Augmentation, one_of
from nnx.layers.layer import registry
from nnx.random import bernoulli

MODES = ("horizontal", "vertical", "horizontal_and_vertical")


@registry.register()
class RandomFlip(Augmentation):
    """Images mirrored at random in training: each with probability 1/2.

    mode : "horizontal", what is left becomes right; "vertical", upside down; "horizontal_and_vertical" (default), the
        one and the other, each decided for itself.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Output of the input's shape; with training=False the input itself. ValueError for an input of another number of
    axes.

    >>> RandomFlip("horizontal", seed=1)([[[[1.0], [2.0]]]] * 3)[:, 0, :, 0]
    array([[2., 1.],
           [2., 1.],
           [1., 2.]], dtype=float32)
    """

    changes = ("segmentation_masks",)

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.mode = one_of(f"{self.name}: mode", mode, MODES)

    def draw_factors(self, x: Array) -> list[tuple[Array, int]]:
        axes = [axis for mode, axis in (("horizontal", 2), ("vertical", 1)) if mode in self.mode]
        return [(bernoulli(self.one_for_each(x), self.draw(x.shape[0]), 0.5), axis) for axis in axes]

    def transform(self, x: Array, factors: list[tuple[Array, int]]) -> Array:
        for chosen, axis in factors:
            x = primitive(functools.partial(images.flip, chosen=chosen, axis=axis))(x)
        return x
