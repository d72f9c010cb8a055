"""Random numbers of layers: the stream that each draws from, and the base of layers that do nothing else."""

from __future__ import annotations

from typing import Any

from nnx import random as nnx_random
from nnx.layers.layer import Layer
from nnx.shapes import Shape


def random_stream(seed: int | None) -> nnx_random.Generator:
    """A layer's own stream of random numbers: one that starts from a seed, or for None one split from the default."""
    return nnx_random.default().split() if seed is None else nnx_random.Generator(seed)


class Stochastic(Layer):
    """A layer that draws random numbers in training and does nothing at inference.

    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    """

    supports_masking = True

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape: Shape) -> None:
        if self.random is None:
            self.random = random_stream(self.seed)
        super().build(input_shape)

    def draw(self, size: int, by_rows: bool = True) -> nnx_random.Draw:
        """The next words of the layer's stream, for the rows of a batch, or for all of them together."""
        if self.random is None:
            raise ValueError(f"{self.name} draws random numbers only after it is built")
        return self.random.draw(size, by_rows=by_rows)
