"""Gated recurrent unit (GRU) over whole sequences. What its arguments have in common with others: `recurrent`."""

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
from nnx.precision import narrow, wide_sum
from nnx.pullbacks import SKIP, Differentiable, Pullback

__all__ = ["gru"]


def gru(
    x: Array,
    h: Array | None,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    *,
    reset_after: bool = True,
    activation: Differentiable = tanh,
    recurrent_activation: Differentiable = sigmoid,
    go_backwards: bool = False,
    dropout: RateAndDraw | None = None,
    recurrent_dropout: RateAndDraw | None = None,
) -> tuple[tuple[Array, Array], Pullback]:
    """Gated recurrent unit over a sequence.

    For each step, with the gates z, r = recurrent_activation(x_t @ kernel + bias + h @ recurrent_kernel), each by its
    own columns, and the columns `_h` for the candidate:

        h <- z * h + (1 - z) * candidate

    x : (batch, time, n).
    h : (batch, units), or None for zeros.
    kernel, recurrent_kernel : (n, 3 units) and (units, 3 units), in the order z, r, h.
    bias : (2, 3 units), the second row for the recurrent part, or (3 units,) without reset_after; or None (default) for
        none.
    mask : (batch, time), bool. Where it is false, a step leaves the state as it was, and its output is the last one.
    reset_after : by default True, as in cuDNN:
        candidate = activation(x_t @ kernel_h + bias[0]_h + r * (h @ recurrent_kernel_h + bias[1]_h)). If False:
        candidate = activation(x_t @ kernel_h + bias_h + (r * h) @ recurrent_kernel_h).
    activation, recurrent_activation : activation functions, by default `tanh` and `sigmoid`.
    go_backwards : from the last step to the first; outputs come in the order of the computation. By default False.
    dropout, recurrent_dropout : a rate, and the draw of the masks, which hold for all steps; by default None. A draw
        has batch * n words for the inputs; with recurrent dropout 3 * batch * n, and for it 3 * batch * units.

    Returns (sequence, h), sequence (batch, time, units) and h (batch, units), and pullback((dsequence, dh)) ->
    (dx, dh, dkernel, drecurrent_kernel, dbias), or without dbias; dsequence or dh may be None for zero, and the dh
    returned is None where h was. ValueError for a sequence without steps.

    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, arXiv:1406.1078.

    >>> import numpy as np
    >>> from nnx.functional import linear
    >>> kernel, recurrent_kernel = np.asarray([[0.0, 0.0, 1.0]]), np.zeros((1, 3))  # z = 0.5, candidate = x
    >>> (sequence, h), pullback = gru(np.ones((1, 2, 1)), None, kernel, recurrent_kernel, activation=linear)
    >>> sequence.ravel(), h
    (array([0.5 , 0.75]), array([[0.75]]))
    """
    x, h, kernel, recurrent_kernel, bias = alike(x, h, kernel, recurrent_kernel, bias)
    xp = array_namespace(x)
    two = reset_after and bias is not None
    x_bias, h_bias = (bias[0, :], bias[1, :]) if two else (bias, None)

    def recur(z: Array, steps: Array | None, factor: Array | None) -> tuple[tuple[Array, ...], Pullback]:
        first = zero_state(z, recurrent_kernel) if h is None else h
        options = (steps, factor, activation, recurrent_activation)
        if reset_after:
            return gru_recurrence(z, first, recurrent_kernel, h_bias, *options)
        return gru_reset_before_recurrence(z, first, recurrent_kernel, *options)

    values, pullback_values = over_time(recur, x, kernel, x_bias, mask, 3, go_backwards, dropout, recurrent_dropout)

    def pullback(dy: Sequence[Array | None], out: Sequence[Any] = (None,) * 5) -> tuple[Array | None, ...]:
        out_h = SKIP if h is None else out[1]
        out_bias = out[4:] if not two or out[4] is SKIP else (None,)
        (dx, dkernel, *dbias), (dh, drecurrent, *dh_bias) = pullback_values(
            dy, (out[0], out[2], *out_bias), (out_h, out[3], *(out_bias if two else ()))
        )
        if two:
            dbias = [None if dbias[0] is None else xp.stack([dbias[0], dh_bias[0]])]
        return dx, dh, dkernel, drecurrent, *dbias

    return values, pullback


@accelerated
def gru_recurrence(
    z: Array,
    h: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    mask: Array | None = None,
    factor: Array | None = None,
    activation: Differentiable = tanh,
    recurrent_activation: Differentiable = sigmoid,
) -> tuple[tuple[Array, Array], Pullback]:
    """Recurrent part of `gru` with reset_after.

    z (time, batch, 3 units) from the inputs, h (batch, units), bias (3 units,) of the recurrent part or None,
    mask (time, batch, 1), factor (3, batch, units)  ->  (states (time, batch, units), the last one)
    pullback((dstates, dlast)) -> (dz, dh, drecurrent_kernel, dbias), or without dbias
    """
    xp = array_namespace(z)
    product = RecurrentProduct(recurrent_kernel, factor)
    units = recurrent_kernel.shape[0]
    states, steps = [h], []
    for t in range(z.shape[0]):
        inner = add(product(states[-1]), bias)
        update, pullback_update = recurrent_activation(z[t, :, :units] + inner[:, :units])
        reset, pullback_reset = recurrent_activation(z[t, :, units : 2 * units] + inner[:, units : 2 * units])
        inner = inner[:, 2 * units :]
        candidate, pullback_candidate = activation(z[t, :, 2 * units :] + reset * inner)
        new = update * states[-1] + (1.0 - update) * candidate
        steps.append((update, pullback_update, reset, pullback_reset, inner, candidate, pullback_candidate))
        states.append(hold(mask, t, new, states[-1]))

    def pullback(dy: Sequence[Array | None], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates, dh = dy[0], xp.zeros_like(h) if dy[1] is None else dy[1]
        dz, dinner = [], []
        for t in reversed(range(z.shape[0])):
            update, pullback_update, reset, pullback_reset, inner, candidate, pullback_candidate = steps[t]
            dnew, dheld = release(mask, t, add(dh, None if dstates is None else dstates[t, ...]))
            dcandidate = pullback_candidate(dnew * (1.0 - update))
            dgates = [pullback_update(dnew * (states[t] - candidate)), pullback_reset(dcandidate * inner)]
            dz.append(xp.concat([*dgates, dcandidate], axis=-1))
            dinner.append(xp.concat([*dgates, dcandidate * reset], axis=-1))
            if t > 0 or out[1] is not SKIP:
                dh = add(dnew * update + product.pull_back(dinner[-1]), dheld)
        dinners = xp.stack(dinner[::-1])
        drecurrent = None if out[2] is SKIP else product.kernel_cotangent(xp.stack(states[:-1]), dinners)
        cotangents = (wanted(xp.stack(dz[::-1]), out[0]), wanted(dh, out[1]), drecurrent)
        if bias is None:
            return cotangents
        return *cotangents, None if out[3] is SKIP else narrow(wide_sum(dinners, axis=(0, 1)), dinners)

    return (xp.stack(states[1:]), states[-1]), pullback


@accelerated
def gru_reset_before_recurrence(
    z: Array,
    h: Array,
    recurrent_kernel: Array,
    mask: Array | None = None,
    factor: Array | None = None,
    activation: Differentiable = tanh,
    recurrent_activation: Differentiable = sigmoid,
) -> tuple[tuple[Array, Array], Pullback]:
    """Recurrent part of `gru` without reset_after: as `gru_recurrence`, without its bias."""
    xp = array_namespace(z)
    units = recurrent_kernel.shape[0]
    both = 2 * units
    product = RecurrentProduct(recurrent_kernel[:, :both], None if factor is None else factor[:2, ...])
    product_h = RecurrentProduct(recurrent_kernel[:, both:], None if factor is None else factor[2:, ...])
    states, steps = [h], []
    for t in range(z.shape[0]):
        total = z[t, :, :both] + product(states[-1])
        update, pullback_update = recurrent_activation(total[:, :units])
        reset, pullback_reset = recurrent_activation(total[:, units:])
        candidate, pullback_candidate = activation(z[t, :, both:] + product_h(reset * states[-1]))
        new = update * states[-1] + (1.0 - update) * candidate
        steps.append((update, pullback_update, reset, pullback_reset, candidate, pullback_candidate))
        states.append(hold(mask, t, new, states[-1]))

    def pullback(dy: Sequence[Array | None], out: Sequence[Any] = (None,) * 3) -> tuple[Array | None, ...]:
        dstates, dh = dy[0], xp.zeros_like(h) if dy[1] is None else dy[1]
        dz = []
        for t in reversed(range(z.shape[0])):
            update, pullback_update, reset, pullback_reset, candidate, pullback_candidate = steps[t]
            dnew, dheld = release(mask, t, add(dh, None if dstates is None else dstates[t, ...]))
            dcandidate = pullback_candidate(dnew * (1.0 - update))
            dkept = product_h.pull_back(dcandidate)  # the cotangent of reset * h
            dgates = xp.concat(
                [pullback_update(dnew * (states[t] - candidate)), pullback_reset(dkept * states[t])], axis=-1
            )
            dz.append(xp.concat([dgates, dcandidate], axis=-1))
            if t > 0 or out[1] is not SKIP:
                dh = add(dnew * update + dkept * reset + product.pull_back(dgates), dheld)
        dsteps = xp.stack(dz[::-1])
        drecurrent = None
        if out[2] is not SKIP:
            kept = xp.stack([state * step[2] for state, step in zip(states, steps, strict=False)])
            of_gates = product.kernel_cotangent(xp.stack(states[:-1]), dsteps[:, :, :both])
            drecurrent = xp.concat([of_gates, product_h.kernel_cotangent(kept, dsteps[:, :, both:])], axis=-1)
        return wanted(dsteps, out[0]), wanted(dh, out[1]), drecurrent

    return (xp.stack(states[1:]), states[-1]), pullback
