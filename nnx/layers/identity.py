"""A layer that does nothing."""

from __future__ import annotations

from nnx.backends import Array
from nnx.functional import Pullback, linear
from nnx.layers.layer import Layer, registry


@registry.register()
class Identity(Layer):
    """The input handed on: a place for a layer that a model may have or not."""

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return linear(x)
