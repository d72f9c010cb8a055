"""Recurrences of simple_rnn, lstm and gru for NumPy: each step works in place, in memory that stays in the cache.

Made for the usual activations, tanh and sigmoid, without dropout of the states; for others the generic form runs. Gates
are exponentials of the negative product, which take less time than tanh. By them what a product has, (batch,
gates * units), becomes (gates, batch, units): the loops of all else are then long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.matrix_products import product
from nnx.kernels.numpy.memory import empty, zeros
from nnx.kernels.numpy.table import KERNELS
from nnx.kernels.recurrence_conditions import accepts_gru, accepts_lstm, accepts_simple_rnn
from nnx.pullbacks import SKIP, Pullback

_STEPS_BEFORE_DROPS, _STEPS_OF_A_DROP = 32, 8


@backend_kernel(KERNELS, accepts=accepts_simple_rnn)
def simple_rnn_recurrence(
    z: Array, h: Array, recurrent_kernel: Array, mask: Any = None, factor: Any = None, activation: Any = None
) -> tuple[tuple[Array, Array], Pullback]:
    skipped = None if mask is None else ~mask
    states = _states_from(h, len(z))
    for t in range(len(z)):
        new = states[t + 1]
        product(states[t], recurrent_kernel, new)
        new += z[t]
        np.tanh(new, out=new)
        _hold(skipped, t, states)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 3) -> tuple[Array | None, ...]:
        dstates, dh = dy[0], _writable(dy[1], h)
        dz = empty(z, (len(z), *h.shape))
        transposed = recurrent_kernel.T.copy()
        for t in reversed(range(len(z))):
            if dstates is not None:
                dh += dstates[t]
            drop_vanishing(len(z) - t, dh)
            dheld = _release(skipped, t, dh)
            slope = dz[t]
            np.multiply(states[t + 1], states[t + 1], out=slope)
            np.subtract(1.0, slope, out=slope)
            slope *= dh
            product(slope, transposed, dh)
            if dheld is not None:
                dh += dheld
        return _if_wanted(dz, out[0]), _if_wanted(dh, out[1]), _kernel_cotangent(states, dz, out[2])

    return (states[1:], states[-1]), pullback


@backend_kernel(KERNELS, accepts=accepts_lstm)
def lstm_recurrence(
    z: Array,
    h: Array,
    c: Array,
    recurrent_kernel: Array,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> tuple[tuple[Array, Array, Array], Pullback]:
    time, units = len(z), h.shape[1]
    skipped = None if mask is None else ~mask
    states, carries = _states_from(h, time), _states_from(c, time)
    outputs = empty(z, (time, *h.shape))
    gates = empty(z, (time, 4, *h.shape))  # i, f, o and the candidate, which is negative
    negative = -recurrent_kernel
    every, small = empty(z, (len(h), 4 * units)), np.empty_like(outputs[0])
    by_gate = _by_gate(every, 4)
    for t in range(time):
        (i, f, o, candidate), new = gates[t], carries[t + 1]
        product(states[t], negative, every)
        every -= z[t]
        _sigmoid_of_negative(by_gate[:2], gates[t, :2])
        _sigmoid_of_negative(by_gate[3], o)
        np.tanh(by_gate[2], out=candidate)
        np.multiply(f, carries[t], out=new)
        new -= np.multiply(i, candidate, out=small)
        np.tanh(new, out=outputs[t])
        np.multiply(o, outputs[t], out=states[t + 1])
        _hold(skipped, t, states, carries)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates, dh, dc = dy[0], _writable(dy[1], h), _writable(dy[2], c)
        dz = empty(z, z.shape)
        slopes, small, dadded = np.empty_like(gates[0, :3]), np.empty_like(dh), np.empty_like(dh)
        slope_i, slope_f, slope_o = slopes
        transposed = recurrent_kernel.T.copy()
        for t in reversed(range(time)):
            if dstates is not None:
                dh += dstates[t]
            drop_vanishing(time - t, dh, dc)
            dh_held, dc_held = _release(skipped, t, dh), _release(skipped, t, dc)
            (i, f, o, candidate), output = gates[t], outputs[t]
            di, df, dcandidate, do = _by_gate(dz[t], 4)
            np.subtract(i, 1.0, out=slope_i)  # negative too; each without a factor s
            np.subtract(1.0, gates[t, 1:3], out=slopes[1:])
            np.multiply(o, output, out=small)
            slope_o *= small
            np.multiply(slope_o, dh, out=do)
            small *= output
            np.subtract(o, small, out=small)
            small *= dh
            dc += small
            np.multiply(dc, i, out=dadded)
            slope_i *= candidate
            np.multiply(slope_i, dadded, out=di)
            np.multiply(candidate, candidate, out=small)
            np.subtract(1.0, small, out=small)
            np.multiply(small, dadded, out=dcandidate)
            dc *= f
            slope_f *= carries[t]
            np.multiply(slope_f, dc, out=df)
            product(dz[t], transposed, dh)
            if dh_held is not None:
                dh += dh_held
                dc += dc_held
        cotangents = (_if_wanted(dz, out[0]), _if_wanted(dh, out[1]), _if_wanted(dc, out[2]))
        return *cotangents, _kernel_cotangent(states, dz, out[3])

    return (states[1:], states[-1], carries[-1]), pullback


@backend_kernel(KERNELS, accepts=accepts_gru)
def gru_recurrence(
    z: Array,
    h: Array,
    recurrent_kernel: Array,
    bias: Any = None,
    mask: Any = None,
    factor: Any = None,
    activation: Any = None,
    recurrent_activation: Any = None,
) -> tuple[tuple[Array, Array], Pullback]:
    time, units = len(z), h.shape[1]
    both = 2 * units
    skipped = None if mask is None else ~mask
    states = _states_from(h, time)
    gates = empty(z, (time, 2, *h.shape))  # update and reset
    inner, candidates = (empty(z, (time, *h.shape)) for _ in range(2))
    negative, kernel_h = np.negative(recurrent_kernel[:, :both]), recurrent_kernel[:, both:].copy()
    every = empty(z, (len(h), both))
    by_gate = _by_gate(every, 2)
    for t in range(time):
        (update, reset), candidate, new = gates[t], candidates[t], states[t + 1]
        product(states[t], negative, every)
        every -= z[t, :, :both]
        if bias is not None:
            every -= bias[:both]
        _sigmoid_of_negative(by_gate, gates[t])
        product(states[t], kernel_h, inner[t])
        if bias is not None:
            inner[t] += bias[both:]
        np.multiply(reset, inner[t], out=candidate)
        candidate += z[t, :, both:]
        np.tanh(candidate, out=candidate)
        np.subtract(states[t], candidate, out=new)
        new *= update
        new += candidate
        _hold(skipped, t, states)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates, dh = dy[0], _writable(dy[1], h)
        dz, dinner = (empty(z, z.shape) for _ in range(2))
        slopes, dadded, small = np.empty_like(gates[0]), np.empty_like(dh), np.empty_like(dh)
        slope_update, slope_reset = slopes
        transposed = recurrent_kernel.T.copy()
        for t in reversed(range(time)):
            if dstates is not None:
                dh += dstates[t]
            drop_vanishing(time - t, dh)
            dheld = _release(skipped, t, dh)
            (update, reset), candidate = gates[t], candidates[t]
            dupdate, dreset, dcandidate = _by_gate(dz[t], 3)
            np.subtract(1.0, update, out=dadded)
            dadded *= dh
            np.multiply(candidate, candidate, out=small)
            dadded *= np.subtract(1.0, small, out=small)
            dcandidate[...] = dadded
            np.subtract(1.0, gates[t], out=slopes)
            slopes *= gates[t]
            slope_update *= np.subtract(states[t], candidate, out=small)
            np.multiply(slope_update, dh, out=dupdate)
            slope_reset *= inner[t]
            np.multiply(slope_reset, dadded, out=dreset)
            dinner[t, :, :both] = dz[t, :, :both]
            np.multiply(dadded, reset, out=dinner[t, :, both:])
            product(dinner[t], transposed, small)
            dh *= update
            dh += small
            if dheld is not None:
                dh += dheld
        cotangents = (_if_wanted(dz, out[0]), _if_wanted(dh, out[1]), _kernel_cotangent(states, dinner, out[2]))
        if bias is None:
            return cotangents
        if out[3] is SKIP:
            return *cotangents, None
        wide = np.float32 if dinner.dtype == np.float16 else None
        return *cotangents, np.add.reduce(dinner, axis=(0, 1), dtype=wide).astype(dinner.dtype, copy=False)

    return (states[1:], states[-1]), pullback


def _states_from(state: Array, time: int) -> Array:
    """Room for the states before and after each step, the first one filled in."""
    states = empty(state, (time + 1, *state.shape))
    states[0] = state
    return states


def _by_gate(steps: Array, gates: int) -> Array:
    """View of (batch, gates * units) as (gates, batch, units)."""
    return steps.reshape(len(steps), gates, steps.shape[1] // gates).swapaxes(0, 1)


def _sigmoid_of_negative(x: Array, y: Array) -> None:
    """sigmoid(-x), in y."""
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is the right 0
        np.exp(x, out=y)
    y += 1.0
    np.reciprocal(y, out=y)


def _hold(skipped: Array | None, t: int, *states: Array) -> None:
    """Keep the states before a step where it does not count."""
    if skipped is not None:
        for state in states:
            np.copyto(state[t + 1], state[t], where=skipped[t])


def _release(skipped: Array | None, t: int, dstate: Array) -> Array | None:
    """Take the cotangents of states that were held out of `dstate`, and return them."""
    if skipped is None:
        return None
    dheld = np.where(skipped[t], dstate, 0.0)
    np.copyto(dstate, 0.0, where=skipped[t])
    return dheld


def _writable(cotangent: Array | None, state: Array) -> Array:
    """A cotangent as an array that may be written to; None is zero."""
    return zeros(state, state.shape) if cotangent is None else cotangent.copy()


def drop_vanishing(steps: int, *cotangents: Array) -> None:
    """Make cotangents 0 that are about to become subnormal, now and then as steps go back.

    Those of long sequences vanish step by step, and are subnormal from some hundred steps on: there a product of
    matrices takes up to ten times as long. Dropped is what is less than 1e-31 in float32.
    """
    if steps < _STEPS_BEFORE_DROPS or steps % _STEPS_OF_A_DROP:
        return
    for cotangent in cotangents:
        if cotangent.dtype.itemsize >= 4:  # of float16 that would be what counts
            limits = np.finfo(cotangent.dtype)
            least = float(limits.smallest_normal / limits.eps)  # which may be multiplied by small weights
            np.copyto(cotangent, 0.0, where=np.abs(cotangent) < least)


def _if_wanted(cotangent: Array, out: Any) -> Array | None:
    return None if out is SKIP else cotangent


def _kernel_cotangent(states: Array, dz: Array, out: Any) -> Array | None:
    if out is SKIP:
        return None
    rows = dz.shape[0] * dz.shape[1]
    return product(states[:-1].reshape(rows, states.shape[2]).T, dz.reshape(rows, dz.shape[2]), out)
