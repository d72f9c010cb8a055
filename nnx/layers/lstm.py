"""The long short-term memory, over sequences and for one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.lstm import lstm
from nnx.layers.activation import read_activation
from nnx.layers.layer import registry
from nnx.layers.recurrent import Recurrent, RecurrentWeights
from nnx.layers.recurrent_cell import RecurrentCell
from nnx.pullbacks import Differentiable
from nnx.random import Generator


class LSTMWeights(RecurrentWeights):
    """What an LSTM and its cell share."""

    gates = 4
    state_count = 2
    unit_forget_bias: bool
    _recurrent_activate: Differentiable

    def initial_bias(self) -> Any:
        return self._biased_to_remember if self.unit_forget_bias else self.bias_initializer

    def _biased_to_remember(self, shape: Any, dtype: str, generator: Generator | None = None) -> np.ndarray:
        """Jozefowicz et al., "An empirical exploration of recurrent network architectures", 2015."""
        i, rest = (self.bias_initializer((size * self.units,), dtype, generator) for size in (1, 2))
        return np.concatenate([i, np.ones(self.units, dtype), rest])

    def recur(self, x: Array, states: Sequence[Array | None], **options: Any) -> tuple[Any, Pullback]:
        bias = None if self.bias is None else self.bias.value
        return lstm(
            *(x, *states, self.kernel.value, self.recurrent_kernel.value, bias),
            activation=self._activate,
            recurrent_activation=self._recurrent_activate,
            **options,
        )


@registry.register()
class LSTM(LSTMWeights, Recurrent):
    """Long short-term memory: a state h and a cell c, guarded by an input, a forget and an output gate i, f and o.

        a_i, a_f, a_c, a_o = x_t @ kernel + h @ recurrent_kernel + bias    the columns of each
        i, f, o = recurrent_activation(a_i), recurrent_activation(a_f), recurrent_activation(a_o)
        c <- f * c + i * activation(a_c)
        h <- o * activation(c)    for each step t

    recurrent_activation : of the gates; "sigmoid" by default.
    unit_forget_bias : whether the bias of the forget gate starts at 1, as it does by default.
    use_cudnn : accepted for scripts written for Keras; there is one way to compute.

    The other arguments are those of every recurrent layer: as for `SimpleRNN`. Input (batch, time, n), output (batch,
    units), or (batch, time, units) with return_sequences; two states, h and c. Kernel (n, 4 units), recurrent_kernel
    (units, 4 units), bias (4 units,), in the order i, f, c, o.

    Hochreiter and Schmidhuber, "Long short-term memory", 1997; forget gate: Gers et al., "Learning to forget", 2000.

    >>> import numpy as np
    >>> LSTM(4, return_sequences=True)(np.ones((2, 3, 5))).shape
    (2, 3, 4)
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
        unit_forget_bias: bool = True,
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
        self.unit_forget_bias = unit_forget_bias


@registry.register()
class LSTMCell(LSTMWeights, RecurrentCell):
    """One step of an `LSTM`: h, [h, c] from x (batch, n) and the states [h, c], both (batch, units).

    The arguments are those of `LSTM` but for what concerns sequences, and so are the weights. It is for `RNN`, for
    `StackedRNNCells`, or for loops of one's own. dropout and recurrent_dropout : in `RNN` a mask holds for a whole
    sequence; where the cell is called by itself, each call has its own.

    >>> import numpy as np
    >>> h, states = LSTMCell(4)(np.ones((2, 3)), [np.zeros((2, 4)), np.zeros((2, 4))])
    >>> h.shape, len(states)
    ((2, 4), 2)
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
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
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
        self.unit_forget_bias = unit_forget_bias
