"""The simple recurrent layer, over sequences and for one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array
from nnx.functional import Pullback
from nnx.functional.recurrent import simple_rnn
from nnx.layers.layer import registry
from nnx.layers.recurrent import Recurrent, RecurrentWeights
from nnx.layers.recurrent_cell import RecurrentCell


class SimpleRNNWeights(RecurrentWeights):
    """What a simple recurrent layer and its cell share."""

    gates = 1

    def recur(self, x: Array, states: Sequence[Array | None], **options: Any) -> tuple[Any, Pullback]:
        bias = None if self.bias is None else self.bias.value
        kernels = (self.kernel.value, self.recurrent_kernel.value)
        return simple_rnn(x, states[0], *kernels, bias, activation=self._activate, **options)


@registry.register()
class SimpleRNN(SimpleRNNWeights, Recurrent):
    """The simple recurrent layer: h <- activation(x_t @ kernel + h @ recurrent_kernel + bias), for each step t.

    These are the arguments of every recurrent layer:

    units : size of the state, and of the output.
    activation : of the new state; a name or a function, see `nnx.activations`; "tanh" by default.
    use_bias : whether a bias is added.
    kernel_initializer, recurrent_initializer, bias_initializer : see `nnx.initializers`. "Recurrent" is what multiplies
        the state, "kernel" what multiplies the input.
    kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer : see `nnx.regularizers`.
    kernel_constraint, recurrent_constraint, bias_constraint : see `nnx.constraints`.
    dropout, recurrent_dropout : in training, the share of the inputs and of the state that is set to zero. A mask holds
        for a whole sequence.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    return_sequences : whether the output of every step is returned, or that of the last one (default).
    return_state : whether the last states are returned too: (output, *states).
    go_backwards : start at the last step; with return_sequences the outputs come in that order.
    stateful : remember the states: row i of a batch goes on where row i of the batch before stopped, until
        `reset_states()`. No gradient flows from a batch to the one before.
    zero_output_for_mask : steps that a mask leaves out have the output 0, not the last one; states are kept.
    unroll : accepted for Keras's sake; makes no difference here.

    Input (batch, time, n), output (batch, units), or (batch, time, units) with return_sequences; one state. Kernel
    (n, units), recurrent_kernel (units, units), bias (units,). Steps at which a mask (batch, time) is False leave the
    state as it is. Called with `initial_state=[...]`, or with the states as further inputs, arrays (batch, units), it
    starts there; then its pullback returns cotangents of these too. ValueError for inputs, states or masks of other
    shapes. Elman, "Finding structure in time", 1990.

    >>> import numpy as np
    >>> SimpleRNN(4)(np.ones((2, 3, 5))).shape
    (2, 4)
    """


@registry.register()
class SimpleRNNCell(SimpleRNNWeights, RecurrentCell):
    """One step of a `SimpleRNN`: h, [h] from x (batch, n) and the state [h], (batch, units).

    The arguments are those of `SimpleRNN` but for what concerns sequences, and so are the weights; see `LSTMCell` for
    its use.

    >>> import numpy as np
    >>> h, states = SimpleRNNCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> h.shape, len(states)
    ((2, 4), 1)
    """
