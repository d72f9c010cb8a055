"""Recurrences of lstm and gru, compiled: what a step does beside its matrix product and tanh takes one pass each.

Of (28, 64, 128) that is more than half of the time of NumPy's kernels. Made for the usual activations, without dropout
of the states and without a mask. The formulas are those of NumPy's kernels: sigmoid(x) = 0.5 + 0.5 * tanh(0.5 * x).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels.numba.compilation import compiled
from nnx.kernels.numba.table import are_plain, compiled_kernel, have_shape, plain
from nnx.kernels.numpy.matrix_products import product
from nnx.kernels.numpy.memory import empty, zeros
from nnx.kernels.numpy.recurrent import drop_vanishing
from nnx.kernels.recurrence_conditions import accepts_gru, accepts_lstm
from nnx.pullbacks import SKIP, Pullback

_LEAST = 65_536


def _accepts_lstm(z: Array, h: Array, c: Array, recurrent_kernel: Array, mask: Any = None, *rest: Any) -> bool:
    usual = accepts_lstm(z, h, c, recurrent_kernel, mask, *rest)
    usual = usual and mask is None and _have_steps(z, h, recurrent_kernel, gates=4)
    return usual and c.shape == h.shape and are_plain(z, h, c, recurrent_kernel)


@compiled_kernel(least=_LEAST, accepts=_accepts_lstm)
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
    time, (batch, units) = len(z), h.shape
    half = z.dtype.type(0.5)
    states, carries = _states_from(h, time), _states_from(c, time)
    outputs, gates = empty(z, (time, batch, units)), empty(z, (time, batch, 4 * units))
    scale = np.repeat(np.asarray([0.5, 0.5, 1.0, 0.5], z.dtype), units)
    scaled = recurrent_kernel * scale
    for t in range(time):
        every = gates[t]
        product(states[t], scaled, every)
        _add_scaled(every, z[t], scale)
        np.tanh(every, out=every)
        _lstm_carry(carries[t + 1], carries[t], every, half)
        np.tanh(carries[t + 1], out=outputs[t])
        _lstm_state(states[t + 1], every, outputs[t])

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates, dh, dc = _of_sequence(dy[0], outputs), _writable(dy[1], h), _writable(dy[2], c)
        dz = empty(z, gates.shape)
        transposed = recurrent_kernel.T.copy()
        for t in reversed(range(time)):
            if dstates is not None:
                dh += dstates[t]
            drop_vanishing(time - t, dh, dc)
            _pull_lstm(dz[t], dc, dh, gates[t], outputs[t], carries[t])
            product(dz[t], transposed, dh)
        cotangents = (_if_wanted(dz, out[0]), _if_wanted(dh, out[1]), _if_wanted(dc, out[2]))
        return *cotangents, _kernel_cotangent(states, dz, out[3])

    return (states[1:], states[-1], carries[-1]), pullback


@compiled
def _add_scaled(every: Any, z: Any, scale: Any) -> None:
    for b in range(every.shape[0]):
        for j in range(every.shape[1]):
            every[b, j] += z[b, j] * scale[j]


@compiled
def _lstm_carry(new: Any, carry: Any, every: Any, half: Any) -> None:
    units = new.shape[1]
    for b in range(new.shape[0]):
        row = every[b]
        for j in range(2 * units):  # of the input and of the forgetting
            row[j] = row[j] * half + half
        for j in range(3 * units, 4 * units):
            row[j] = row[j] * half + half
        for j in range(units):
            new[b, j] = row[units + j] * carry[b, j] + row[j] * row[2 * units + j]


@compiled
def _lstm_state(state: Any, every: Any, output: Any) -> None:
    units = state.shape[1]
    for b in range(state.shape[0]):
        for j in range(units):
            state[b, j] = every[b, 3 * units + j] * output[b, j]


@compiled
def _pull_lstm(dz: Any, dc: Any, dh: Any, gates: Any, outputs: Any, carries: Any) -> None:
    units = dh.shape[1]
    one = dh.dtype.type(1)
    for b in range(dh.shape[0]):
        slope, row = dz[b], gates[b]
        for j in range(units):
            o, output = row[3 * units + j], outputs[b, j]
            slope[3 * units + j] = dh[b, j] * output * (o * (one - o))
            dc[b, j] += dh[b, j] * o * (one - output * output)
        for j in range(units):
            i = row[j]
            slope[j] = dc[b, j] * row[2 * units + j] * (i * (one - i))
        for j in range(units):
            f = row[units + j]
            slope[units + j] = dc[b, j] * carries[b, j] * (f * (one - f))
        for j in range(units):
            candidate = row[2 * units + j]
            slope[2 * units + j] = dc[b, j] * row[j] * (one - candidate * candidate)
        for j in range(units):
            dc[b, j] *= row[units + j]


def _accepts_gru(z: Array, h: Array, recurrent_kernel: Array, bias: Any = None, mask: Any = None, *rest: Any) -> bool:
    usual = accepts_gru(z, h, recurrent_kernel, bias, mask, *rest)
    usual = usual and mask is None and _have_steps(z, h, recurrent_kernel, gates=3)
    return usual and are_plain(z, h, recurrent_kernel, bias) and have_shape(z.shape[-1:], bias)


@compiled_kernel(least=_LEAST, accepts=_accepts_gru)
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
    time, (batch, units) = len(z), h.shape
    states, candidates = _states_from(h, time), empty(z, (time, batch, units))
    gates = empty(z, (time, batch, 3 * units))  # of the update and of the reset, and what the latter lets through
    scale = np.repeat(np.asarray([0.5, 0.5, 1.0], z.dtype), units)
    scaled, row = recurrent_kernel * scale, scale * (zeros(z, (3 * units,)) if bias is None else bias)
    half = z.dtype.type(0.5)
    for t in range(time):
        every, candidate = gates[t], candidates[t]
        product(states[t], scaled, every)
        _gru_gates(every, z[t], row, half)
        both = every[:, : 2 * units]
        np.tanh(both, out=both)
        _gru_candidate(candidate, every, z[t], half)
        np.tanh(candidate, out=candidate)
        _gru_state(states[t + 1], states[t], candidate, every)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates, dh = _of_sequence(dy[0], candidates), _writable(dy[1], h)
        dz, dinner = empty(z, z.shape), empty(z, z.shape)
        small = empty(z, h.shape)
        transposed = recurrent_kernel.T.copy()
        for t in reversed(range(time)):
            if dstates is not None:
                dh += dstates[t]
            drop_vanishing(time - t, dh)
            _pull_gru(dz[t], dinner[t], dh, gates[t], candidates[t], states[t])
            product(dinner[t], transposed, small)
            dh += small
        cotangents = (_if_wanted(dz, out[0]), _if_wanted(dh, out[1]), _kernel_cotangent(states, dinner, out[2]))
        if bias is None:
            return cotangents
        return *cotangents, None if out[3] is SKIP else np.add.reduce(dinner, axis=(0, 1))

    return (states[1:], states[-1]), pullback


@compiled
def _gru_gates(every: Any, z: Any, bias: Any, half: Any) -> None:
    units = every.shape[1] // 3
    for b in range(every.shape[0]):
        for j in range(2 * units):
            every[b, j] += z[b, j] * half + bias[j]
        for j in range(2 * units, 3 * units):
            every[b, j] += bias[j]


@compiled
def _gru_candidate(candidate: Any, every: Any, z: Any, half: Any) -> None:
    units = candidate.shape[1]
    for b in range(candidate.shape[0]):
        row = every[b]
        for j in range(2 * units):
            row[j] = row[j] * half + half
        for j in range(units):
            candidate[b, j] = row[units + j] * row[2 * units + j] + z[b, 2 * units + j]


@compiled
def _gru_state(new: Any, state: Any, candidate: Any, every: Any) -> None:
    for b in range(new.shape[0]):
        for j in range(new.shape[1]):
            new[b, j] = (state[b, j] - candidate[b, j]) * every[b, j] + candidate[b, j]


@compiled
def _pull_gru(dz: Any, dinner: Any, dh: Any, gates: Any, candidates: Any, states: Any) -> None:
    units = dh.shape[1]
    one = dh.dtype.type(1)
    for b in range(dh.shape[0]):
        slope, inner, row, candidate = dz[b], dinner[b], gates[b], candidates[b]
        for j in range(units):
            slope[2 * units + j] = dh[b, j] * (one - row[j]) * (one - candidate[j] * candidate[j])
        for j in range(units):
            slope[j] = (states[b, j] - candidate[j]) * dh[b, j] * (row[j] * (one - row[j]))
        for j in range(units):
            reset = row[units + j]
            slope[units + j] = slope[2 * units + j] * row[2 * units + j] * (reset * (one - reset))
        for j in range(2 * units):
            inner[j] = slope[j]
        for j in range(units):
            inner[2 * units + j] = slope[2 * units + j] * row[units + j]
        for j in range(units):
            dh[b, j] *= row[j]


def _have_steps(z: Array, h: Array, recurrent_kernel: Array, gates: int) -> bool:
    """Whether there are steps, for all samples and gates of the states."""
    if h.ndim != 2 or z.ndim != 3 or z.size == 0:
        return False
    batch, units = h.shape
    return have_shape((len(z), batch, gates * units), z) and have_shape((units, gates * units), recurrent_kernel)


def _states_from(state: Array, time: int) -> Array:
    """Room for the states before and after each step, the first one filled in."""
    states = empty(state, (time + 1, *state.shape))
    states[0] = state
    return states


def _of_sequence(cotangent: Array | None, like: Array) -> Array | None:
    return None if cotangent is None else plain(cotangent, like)


def _writable(cotangent: Array | None, state: Array) -> Array:
    """A cotangent as an array that may be written to; None is zero."""
    return zeros(state, state.shape) if cotangent is None else plain(cotangent, state).copy()


def _if_wanted(cotangent: Array, out: Any) -> Array | None:
    return None if out is SKIP else cotangent


def _kernel_cotangent(states: Array, dz: Array, out: Any) -> Array | None:
    if out is SKIP:
        return None
    rows = dz.shape[0] * dz.shape[1]
    return product(states[:-1].reshape(rows, states.shape[2]).T, dz.reshape(rows, dz.shape[2]), out)
