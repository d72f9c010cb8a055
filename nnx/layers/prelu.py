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

    alpha_initializer, alpha_regularizer, alpha_constraint : for alpha.
    shared_axes : axes along which all positions share one alpha, such as (1, 2) for the pixels of an image.

    He et al., "Delving deep into rectifiers", 2015.
    """

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
