"""The gated recurrent unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.gru import gru
from nnx.layers.activation import read_activation
from nnx.layers.layer import registry
from nnx.layers.recurrent import Recurrent


@registry.register()
class GRU(Recurrent):
    """Gated recurrent unit (Cho et al., 2014): h <- z * h + (1 - z) * candidate, with an update gate z and a reset r.

    recurrent_activation : of the gates.
    reset_after : whether r acts after the product with the recurrent kernel, as in cuDNN, or before it.
    The other arguments are those of every recurrent layer, see `Recurrent`.

    Kernel (n, 3 units), recurrent kernel (units, 3 units), in the order z, r, h; bias (3 units,), with reset_after
    (2, 3 units): for the inputs and for the state.

    >>> import numpy as np
    >>> y, h = GRU(4, return_state=True)(np.ones((2, 3, 5)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        *,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer, **kwargs
        )
        self.recurrent_activation, self._recurrent_activate = read_activation(recurrent_activation)
        self.reset_after = reset_after

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def recur(self, x: Array, states: Sequence[Array | None], **options: Any) -> tuple[Any, Pullback]:
        bias = self.bias.value if self.use_bias else None
        return gru(
            *(x, *states, self.kernel.value, self.recurrent_kernel.value, bias),
            reset_after=self.reset_after,
            activation=self._activate,
            recurrent_activation=self._recurrent_activate,
            **options,
        )
