"""A layer that does nothing."""

from __future__ import annotations

from nnx.backends import Array
from nnx.functional import Pullback, linear
from nnx.layers.layer import Layer, registry


@registry.register()
class Identity(Layer):
    """The input handed on, y = x: a place for a layer that a model may have or not.

    Input of any shape, output of the same shape.

    >>> Identity()([[1.0, 2.0]])
    array([[1., 2.]], dtype=float32)
    """

    supports_masking = True

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return linear(x)
