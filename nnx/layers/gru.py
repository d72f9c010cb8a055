"""The gated recurrent unit, over sequences and for one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.gru import gru
from nnx.layers.activation import read_activation
from nnx.layers.layer import registry
from nnx.layers.recurrent import Recurrent, RecurrentWeights
from nnx.layers.recurrent_cell import RecurrentCell
from nnx.pullbacks import Differentiable


class GRUWeights(RecurrentWeights):
    """What a GRU and its cell share."""

    gates = 3
    reset_after: bool
    _recurrent_activate: Differentiable

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def recur(self, x: Array, states: Sequence[Array | None], **options: Any) -> tuple[Any, Pullback]:
        bias = None if self.bias is None else self.bias.value
        return gru(
            *(x, *states, self.kernel.value, self.recurrent_kernel.value, bias),
            reset_after=self.reset_after,
            activation=self._activate,
            recurrent_activation=self._recurrent_activate,
            **options,
        )


@registry.register()
class GRU(GRUWeights, Recurrent):
    """Gated recurrent unit: h <- z * h + (1 - z) * candidate, with an update gate z and a reset gate r.

        z, r = recurrent_activation(x_t @ kernel + bias[0] + h @ recurrent_kernel + bias[1])    of the columns of each
        candidate = activation(x_t @ kernel_h + bias[0]_h + r * (h @ recurrent_kernel_h + bias[1]_h))
        h <- z * h + (1 - z) * candidate    for each step t

    Without reset_after there is one bias, and the candidate is activation(x_t @ kernel_h + bias_h +
    (r * h) @ recurrent_kernel_h).

    recurrent_activation : of the gates; "sigmoid" by default.
    reset_after : whether r acts after the product with the recurrent kernel (default), as in cuDNN, or before it.
    use_cudnn : accepted for scripts written for Keras; there is one way to compute.

    The other arguments are those of every recurrent layer: as for `SimpleRNN`. Input (batch, time, n), output (batch,
    units), or (batch, time, units) with return_sequences; one state. Kernel (n, 3 units), recurrent_kernel (units,
    3 units), in the order z, r, h; bias (3 units,), with reset_after (2, 3 units): for the inputs and for the state.

    Cho et al., arXiv:1406.1078; reset_after: version 1 of that paper.

    >>> import numpy as np
    >>> y, h = GRU(4, return_state=True)(np.ones((2, 3, 5)))
    >>> y.shape, h.shape
    ((2, 4), (2, 4))
    """

    refused = ("use_cudnn",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *(units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout),
            *(return_sequences, return_state, go_backwards, stateful, unroll),
            seed,
            **kwargs,
        )
        self.recurrent_activation, self._recurrent_activate = read_activation(recurrent_activation)
        self.reset_after = reset_after


@registry.register()
class GRUCell(GRUWeights, RecurrentCell):
    """One step of a `GRU`: h, [h] from x (batch, n) and the state [h], (batch, units).

    The arguments are those of `GRU` but for what concerns sequences, and so are the weights; see `LSTMCell` for its
    use.

    >>> import numpy as np
    >>> h, states = GRUCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> h.shape, len(states)
    ((2, 4), 1)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *(units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer),
            *(kernel_regularizer, recurrent_regularizer, bias_regularizer),
            *(kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed),
            **kwargs,
        )
        self.recurrent_activation, self._recurrent_activate = read_activation(recurrent_activation)
        self.reset_after = reset_after
