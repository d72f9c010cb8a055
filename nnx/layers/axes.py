"""Layers that move or repeat axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.arguments import positive_integer
from nnx.backends import Array
from nnx.functional import Pullback, axes
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape


@registry.register()
class Permute(Layer):
    """Change the order of the axes of each sample.

    dims : for each axis of the output, the axis of the input, counted from 1; the batch axis, 0, stays where it is.

    >>> Permute((2, 1))([[[1.0, 2.0, 3.0]]]).shape
    (1, 3, 1)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self.name}: dims must be the numbers from 1 on, each once, in any order, got {self.dims}"
            )

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return axes.permute(x, (0, *self.dims))

    def compute_mask(self, x: Array, mask: Array | None = None) -> Array | None:
        """None: time may be another axis now."""
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(f"{self.name}: expected an input of {len(self.dims) + 1} axes, got shape {input_shape}")
        return tuple(input_shape[axis] for axis in (0, *self.dims))


@registry.register()
class RepeatVector(Layer):
    """Make a sequence of n equal steps from a vector: (batch, features) -> (batch, n, features).

    n : a positive integer.
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = positive_integer(f"{self.name}: n", n)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return axes.repeat_vector(x, self.n)

    def compute_mask(self, x: Array, mask: Array | None = None) -> Array | None:
        """None: the sequence is a new one."""
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            raise ValueError(f"{self.name}: expected an input of shape (batch, features), got {input_shape}")
        return (input_shape[0], self.n, input_shape[1])
