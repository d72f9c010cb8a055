"""Noise that is added in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nnx import functional
from nnx.arguments import number
from nnx.backends import Array
from nnx.functional import Pullback, noise
from nnx.layers.layer import registry
from nnx.layers.stochastic import Stochastic
from nnx.lazy_loading import names_of

_BELOW_ONE = math.nextafter(1.0, 0.0)


@registry.register()
class GaussianNoise(Stochastic):
    """Normal noise of mean 0, added in training.

        y = x + stddev * n    with a standard normal n for each element

    stddev : the standard deviation of the noise; ValueError for a negative one.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of any shape, output of the same shape; at inference the same values.

    >>> import numpy as np
    >>> y = GaussianNoise(0.5, seed=1)(np.zeros((100, 100)), training=True)
    >>> round(abs(float(y.mean())), 1), round(float(y.std()), 1)
    (0.0, 0.5)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.stddev = number(f"{self.name}: stddev", stddev, least=0.0)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if not training or self.stddev == 0.0:
            return functional.linear(x)
        return noise.gaussian_noise(x, self.stddev, self.draw(noise.words_for_normals(math.prod(x.shape))))


if not TYPE_CHECKING:
    __getattr__ = names_of("nnx.layers")  # old scripts write `from ....layers.noise import ...`
