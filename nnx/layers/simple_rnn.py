"""The simple recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.recurrent import simple_rnn
from nnx.layers.layer import registry
from nnx.layers.recurrent import Recurrent


@registry.register()
class SimpleRNN(Recurrent):
    """h <- activation(x_t @ kernel + h @ recurrent_kernel + bias), for each step of a sequence.

    Arguments as for every recurrent layer, see `Recurrent`. Kernel (n, units), recurrent kernel (units, units).

    >>> import numpy as np
    >>> SimpleRNN(4)(np.ones((2, 3, 5))).shape
    (2, 4)
    """

    gates = 1

    def recur(self, x: Array, states: Sequence[Array | None], **options: Any) -> tuple[Any, Pullback]:
        bias = self.bias.value if self.use_bias else None
        kernels = (self.kernel.value, self.recurrent_kernel.value)
        return simple_rnn(x, states[0], *kernels, bias, activation=self._activate, **options)
