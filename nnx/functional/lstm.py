"""Long short-term memory (LSTM) over whole sequences. What its arguments have in common with others: `recurrent`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.activations import sigmoid, tanh
from nnx.functional.recurrent import (
    RateAndDraw,
    RecurrentProduct,
    add,
    hold,
    over_time,
    release,
    wanted,
    zero_state,
)
from nnx.kernels import accelerated, alike
from nnx.pullbacks import SKIP, Differentiable, Pullback

__all__ = ["lstm"]


def lstm(
    x: Array,
    h: Array | None,
    c: Array | None,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    activation: Differentiable = tanh,
    recurrent_activation: Differentiable = sigmoid,
    go_backwards: bool = False,
    dropout: RateAndDraw | None = None,
    recurrent_dropout: RateAndDraw | None = None,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    """Long short-term memory over a sequence.

    For each step, with the gates i, f, o = recurrent_activation(z_i), recurrent_activation(z_f),
    recurrent_activation(z_o) and z_i, z_f, z_c, z_o = x_t @ kernel + h @ recurrent_kernel + bias:

        c <- f * c + i * activation(z_c)
        h <- o * activation(c)

    x : (batch, time, n).
    h, c : (batch, units), or None for zeros.
    kernel, recurrent_kernel : (n, 4 units) and (units, 4 units), in the order i, f, c, o.
    bias : (4 units,), or None (default) for none.
    mask : (batch, time), bool. Where it is false, a step leaves the states as they were, and its output is the last
        one.
    activation, recurrent_activation : activation functions, by default `tanh` and `sigmoid`.
    go_backwards : from the last step to the first; outputs come in the order of the computation. By default False.
    dropout, recurrent_dropout : a rate, and the draw of the masks, which hold for all steps; by default None. A draw
        has batch * n words for the inputs; with recurrent dropout 4 * batch * n, and for it 4 * batch * units.

    Returns (sequence, h, c), sequence (batch, time, units), h and c (batch, units), and pullback((dsequence, dh, dc))
    -> (dx, dh, dc, dkernel, drecurrent_kernel, dbias), or without dbias; each of those given may be None for zero, and
    the dh or dc returned is None where h or c was. ValueError for a sequence without steps.

    Hochreiter and Schmidhuber, "Long short-term memory", 1997; forget gate: Gers et al., "Learning to forget", 2000.

    >>> import numpy as np
    >>> from nnx.functional import linear
    >>> kernel, recurrent_kernel = np.asarray([[0.0, 0.0, 1.0, 0.0]]), np.zeros((1, 4))  # gates 0.5, candidate x
    >>> x = np.ones((1, 2, 1))
    >>> (sequence, h, c), pullback = lstm(x, None, None, kernel, recurrent_kernel, activation=linear)
    >>> sequence.ravel(), h, c
    (array([0.25 , 0.375]), array([[0.375]]), array([[0.75]]))
    """
    x, h, c, kernel, recurrent_kernel, bias = alike(x, h, c, kernel, recurrent_kernel, bias)

    def recur(z: Array, steps: Array | None, factor: Array | None) -> tuple[tuple[Array, ...], Pullback]:
        h0, c0 = (zero_state(z, recurrent_kernel) if state is None else state for state in (h, c))
        return lstm_recurrence(z, h0, c0, recurrent_kernel, steps, factor, activation, recurrent_activation)

    values, pullback_values = over_time(recur, x, kernel, bias, mask, 4, go_backwards, dropout, recurrent_dropout)

    def pullback(dy: Sequence[Array | None], out: Sequence[Any] = (None,) * 6) -> tuple[Array | None, ...]:
        out_states = [SKIP if state is None else entry for state, entry in zip((h, c), out[1:3], strict=True)]
        (dx, dkernel, *dbias), (dh, dc, drecurrent) = pullback_values(
            dy, (out[0], out[3], *out[5:]), (*out_states, out[4])
        )
        return dx, dh, dc, dkernel, drecurrent, *dbias

    return values, pullback


@accelerated
def lstm_recurrence(
    z: Array,
    h: Array,
    c: Array,
    recurrent_kernel: Array,
    mask: Array | None = None,
    factor: Array | None = None,
    activation: Differentiable = tanh,
    recurrent_activation: Differentiable = sigmoid,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    """Recurrent part of `lstm`.

    z (time, batch, 4 units) from the inputs, h, c (batch, units), mask (time, batch, 1), factor (4, batch, units)
    -> (states (time, batch, units), the last h and c)
    pullback((dstates, dh, dc)) -> (dz, dh, dc, drecurrent_kernel)
    """
    xp = array_namespace(z)
    product = RecurrentProduct(recurrent_kernel, factor)
    columns = _columns(recurrent_kernel.shape[0], 4)
    functions = (recurrent_activation, recurrent_activation, activation, recurrent_activation)
    states, carry, steps = [h], c, []
    for t in range(z.shape[0]):
        total = z[t, ...] + product(states[-1])
        gates, pullback_gates = zip(*(f(total[:, cut]) for f, cut in zip(functions, columns, strict=True)), strict=True)
        i, f, candidate, o = gates
        new_carry = f * carry + i * candidate
        output, pullback_output = activation(new_carry)
        steps.append((gates, pullback_gates, carry, output, pullback_output))
        states.append(hold(mask, t, o * output, states[-1]))
        carry = hold(mask, t, new_carry, carry)

    def pullback(dy: Sequence[Array | None], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates = dy[0]
        dh, dc = (xp.zeros_like(h) if given is None else given for given in dy[1:])
        dz = []
        for t in reversed(range(z.shape[0])):
            (i, f, candidate, o), pullback_gates, old_carry, output, pullback_output = steps[t]
            dnew, dh_held = release(mask, t, add(dh, None if dstates is None else dstates[t, ...]))
            dcarry, dc_held = release(mask, t, dc)
            dcarry = dcarry + pullback_output(dnew * o)
            cotangents = (dcarry * candidate, dcarry * old_carry, dcarry * i, dnew * output)
            pieces = [pull(dgate) for pull, dgate in zip(pullback_gates, cotangents, strict=True)]
            dz.append(xp.concat(pieces, axis=-1))
            dc = add(dcarry * f, dc_held)
            if t > 0 or out[1] is not SKIP:
                dh = add(product.pull_back(dz[-1]), dh_held)
        dsteps = xp.stack(dz[::-1])
        drecurrent = None if out[3] is SKIP else product.kernel_cotangent(xp.stack(states[:-1]), dsteps)
        return wanted(dsteps, out[0]), wanted(dh, out[1]), wanted(dc, out[2]), drecurrent

    return (xp.stack(states[1:]), states[-1], carry), pullback


def _columns(units: int, gates: int) -> list[slice]:
    return [slice(gate * units, (gate + 1) * units) for gate in range(gates)]
