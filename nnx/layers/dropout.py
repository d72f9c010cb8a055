"""Dropout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx import functional
from nnx import random as nnx_random
from nnx.arguments import number
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape, check_shape


@registry.register()
class Dropout(Layer):
    """In training, set a random part of the inputs to zero and scale the others by 1 / (1 - rate).

    rate : the probability of zero, in [0, 1].
    noise_shape : shape of the mask, with 1 along axes that share one decision and None along others; by default the
        input's.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    The mask is the same, bit for bit, on every backend. Srivastava et al., "Dropout", 2014.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = number(f"{self.name}: rate", rate, least=0.0, most=1.0)
        self.noise_shape = None if noise_shape is None else check_shape(noise_shape, f"noise_shape of {self.name}")
        self.seed = seed

    def build(self, input_shape: Shape) -> None:
        if self.random is None:
            self.random = nnx_random.default().split() if self.seed is None else nnx_random.Generator(self.seed)
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        if not training or self.rate == 0.0 or self.random is None:
            return functional.linear(x)
        shape = self._mask_shape(tuple(x.shape))
        shared = self.noise_shape is not None and self.noise_shape[0] == 1
        draw = self.random.draw(math.prod(shape), by_rows=not shared)
        return functional.dropout(x, self.rate, draw, noise_shape=shape)

    def _mask_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        if len(self.noise_shape) != len(shape):
            raise ValueError(f"{self.name}: noise_shape {tuple(self.noise_shape)} does not fit an input {shape}")
        return tuple(size if given is None else given for given, size in zip(self.noise_shape, shape, strict=True))
