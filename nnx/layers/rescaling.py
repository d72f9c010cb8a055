"""Rescaling by numbers that are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.arguments import finite_numbers
from nnx.backends import Array
from nnx.functional import Pullback, standardization
from nnx.layers.layer import registry
from nnx.layers.layer_with_constants import LayerWithConstants
from nnx.shapes import Shape


@registry.register()
class Rescaling(LayerWithConstants):
    """Rescaling: y = x * scale + offset, in training and at inference.

    scale, offset : numbers, or arrays that broadcast against the input, such as one number for each channel.

    Input (batch, ...), output of the same shape, in the layer's floating dtype. ValueError for arrays that do not fit.

    >>> Rescaling(1.0 / 127.5, offset=-1.0)([[0, 255]])
    array([[-1.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = finite_numbers(f"{self.name}: scale", scale)
        self.offset = finite_numbers(f"{self.name}: offset", offset)

    def constants(self) -> list[np.ndarray | float]:
        return [self.scale, self.offset]

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return standardization.rescale(x, *self.placed)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for argument, value in (("scale", self.scale), ("offset", self.offset)):
            sizes = np.shape(value)
            pairs = zip(reversed(sizes), reversed(input_shape), strict=False)
            if len(sizes) > len(input_shape) or any(given not in (1, size) for given, size in pairs):
                raise ValueError(f"{self.name}: {argument} of shape {sizes} does not fit an input {input_shape}")
        return input_shape
