"""The rectifier with a slope that is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx import functional
from nnx.backends import Array
from nnx.functional import Pullback
from nnx.layers.layer import Layer, registry
from nnx.shapes import Shape


@registry.register()
class PReLU(Layer):
    """The rectifier with a learned slope alpha for each position: x where it is positive, else alpha * x.

    alpha_initializer, alpha_regularizer, alpha_constraint : for alpha, which starts at 0 by default.
    shared_axes : axes along which all positions share one alpha, such as (1, 2) for the pixels of an image; none by
        default.

    Input (batch, ...), output of the same shape; alpha has the shape of a sample, with 1 along shared_axes. ValueError
    for other sizes that are not known, and for axes that an input does not have. He et al., arXiv:1502.01852.

    >>> from nnx.initializers import Constant
    >>> PReLU(alpha_initializer=Constant(0.25))([[-2.0, 1.0]])
    array([[-0.5,  1. ]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_weight_options("alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else shared_axes

    def build(self, input_shape: Shape) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not isinstance(axis, int) or not 1 <= axis < len(input_shape):
                raise ValueError(f"{self.name}: shared_axes must be between 1 and {len(input_shape) - 1}, got {axis}")
            shape[axis - 1] = 1
        if None in shape:
            raise ValueError(f"{self.name}: sizes {input_shape[1:]} must be known or in shared_axes")
        self.alpha = self.add_weight_with_options("alpha", [size or 1 for size in shape])
        super().build(input_shape)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        y, pullback = functional.prelu(x, self.alpha.value)
        return y, self.route(pullback, None, self.alpha)
