"""What wraps another layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from nnx.layers.layer import Layer, registry


@registry.register()
class Wrapper(Layer):
    """The base of layers that wrap another one, such as `TimeDistributed`: a subclass says what it computes with it.

    layer : the layer, which is `self.layer`. TypeError for what is not a layer.

    The weights are those of the layer, and what the subclass adds. It builds the layer for its own input.

    >>> import numpy as np
    >>> from nnx.layers import Dense
    >>> class Residual(Wrapper):
    ...     def call(self, x):
    ...         return x + self.layer(x)
    >>> Residual(Dense(3))(np.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.name}: layer must be a layer such as Dense(10), got {layer!r}")
        self.layer = layer

    def sublayers(self) -> Sequence[Layer]:
        return super().sublayers() if self.is_eager else (self.layer,)

    def build(self, input_shape: Any) -> None:
        self.build_layer(input_shape)
        super().build(input_shape)

    def build_layer(self, input_shape: Any) -> None:
        """Build the layer for inputs of that shape, beside this one."""
        self.layer.dtype = self.layer.dtype or self.dtype
        self.layer.build_on(self.placement, input_shape)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        layer = config.get("layer")
        return cls(**{**config, "layer": registry.build(layer)} if isinstance(layer, dict) else config)
