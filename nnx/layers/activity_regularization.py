"""Penalties on what one layer hands to the next."""

from __future__ import annotations

from typing import Any

from nnx import regularizers
from nnx.backends import Array
from nnx.functional import Pullback, linear
from nnx.layers.layer import Layer, registry


@registry.register()
class ActivityRegularization(Layer):
    """A penalty on the input, which is handed on: l1 * sum(|x|) + l2 * sum(x**2), by the batch size, in the loss.

    l1, l2 : not negative; 0 by default. ValueError for others.

    Input of any shape (batch, ...), output of the same shape and values.

    >>> import nnx
    >>> model = nnx.Sequential([ActivityRegularization(l1=0.5, input_shape=(2,))])
    >>> model.compile("sgd", "mse")
    >>> model.evaluate([[1.0, -3.0]], [[1.0, -3.0]], verbose=0)
    2.0
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = self.activity_regularizer.l1
        self.l2 = self.activity_regularizer.l2

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return linear(x)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)  # made of l1 and l2
        return config
