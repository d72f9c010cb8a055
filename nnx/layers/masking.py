"""Masking of padded time steps."""

from __future__ import annotations

from typing import Any

from nnx.arguments import number
from nnx.backends import Array, array_namespace
from nnx.functional import Pullback, masking
from nnx.layers.layer import Layer, registry


@registry.register()
class Masking(Layer):
    """Masking of the time steps all of whose features are equal to a value; they become zero.

        mask[n, t] = any(x[n, t, :] != mask_value)
        y[n, t, :] = x[n, t, :] where mask[n, t], else 0

    mask_value : the value; 0 by default.

    Input and output (batch, time, features), mask (batch, time). Layers that know masks, such as LSTM, skip the steps
    where it is False.

    >>> Masking(-1.0)([[[1.0, -1.0], [-1.0, -1.0]]])
    array([[[ 1., -1.],
            [ 0.,  0.]]], dtype=float32)
    """

    supports_masking = True

    makes_mask = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = number(f"{self.name}: mask_value", mask_value)

    def forward(self, x: Array, *, training: bool = False) -> tuple[Array, Pullback]:
        return masking.mask_steps(x, self.mask_value)

    def compute_mask(self, inputs: Array, mask: Array | None = None) -> Array:
        """(batch, time): False for the steps that are left out, here or by the mask of the input."""
        kept = masking.steps_to_keep(inputs, self.mask_value)
        return kept if mask is None else array_namespace(kept).logical_and(kept, mask)
