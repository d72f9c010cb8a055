"""What layers that draw random numbers share."""

from __future__ import annotations

from typing import Any

from nnx import random as nnx_random
from nnx.layers.layer import Layer
from nnx.shapes import Shape


class Stochastic(Layer):
    """A layer that draws random numbers in training and does nothing at inference.

    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    """

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape: Shape) -> None:
        if self.random is None:
            self.random = nnx_random.default().split() if self.seed is None else nnx_random.Generator(self.seed)
        super().build(input_shape)

    def draw(self, size: int, by_rows: bool = True) -> nnx_random.Draw:
        """The next words of the layer's stream, for the rows of a batch, or for all of them together."""
        if self.random is None:
            raise ValueError(f"{self.name} draws random numbers only after it is built")
        return self.random.draw(size, by_rows=by_rows)
