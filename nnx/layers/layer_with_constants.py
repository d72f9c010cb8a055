"""Constants of layers: arrays that belong to a configuration and go where the layer goes."""

from __future__ import annotations

import numpy as np

from nnx.backends import Placement
from nnx.layers.layer import Layer
from nnx.shapes import Shape


class LayerWithConstants(Layer):
    """A layer with arrays that belong to its configuration, and are no parameters; they go where the layer goes."""

    def constants(self) -> list[np.ndarray | float]:
        """The constants on the host, once the layer is built; numbers may stay numbers."""
        raise NotImplementedError

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._place_constants()

    def move(self, placement: Placement) -> None:
        super().move(placement)
        self._place_constants()

    def _place_constants(self) -> None:
        self.placed = [
            value if isinstance(value, float) else self.placement.asarray(value, self.wide_dtype)
            for value in self.constants()
        ]

    @property
    def wide_dtype(self) -> str:
        """The layer's dtype; float32 for float16, in which constants would lose too many digits."""
        dtype = self.dtype or self.placement.dtype
        return "float32" if dtype == "float16" else dtype
