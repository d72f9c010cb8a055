"""Recurrences of lstm and gru, compiled: what a step does beside its matrix product takes one pass.

Of (28, 64, 128) that is more than half of the time of NumPy's kernels. Made for float32 and the usual activations,
without dropout of the states and without a mask. The formulas are those of NumPy's kernels: sigmoid(x) = 0.5 + 0.5 *
tanh(0.5 * x). Its tanh is right to five units in the last place; float64 goes on to NumPy's kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels.numba.compilation import compiled, compiled_product
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
    return usual and c.shape == h.shape and z.dtype == np.float32 and are_plain(z, h, c, recurrent_kernel)


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
    states, carries = _states_from(h, time), _states_from(c, time)
    outputs, gates = empty(z, (time, batch, units)), empty(z, (time, batch, 4 * units))
    scale = np.repeat(np.asarray([0.5, 0.5, 1.0, 0.5], z.dtype), units)
    for t in range(time):
        product(states[t], recurrent_kernel, gates[t])
        _lstm_step(gates[t], states[t + 1], carries[t + 1], outputs[t], z[t], carries[t], scale)

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


@compiled_product
def _lstm_step(gates: Any, states: Any, carries: Any, outputs: Any, z: Any, before: Any, scale: Any) -> None:
    units = states.shape[1]
    for b in range(states.shape[0]):
        row, carry, output = gates[b], carries[b], outputs[b]
        for j in range(4 * units):
            row[j] = _tanh((row[j] + z[b, j]) * scale[j]) * scale[j] + (np.float32(1) - scale[j])
        for j in range(units):
            carry[j] = row[units + j] * before[b, j] + row[j] * row[2 * units + j]
        for j in range(units):
            output[j] = _tanh(carry[j])
        for j in range(units):
            states[b, j] = row[3 * units + j] * output[j]


@compiled_product
def _tanh(x: Any) -> Any:
    """A quotient of polynomials, fitted up to 9 with a relative error of 2e-8; 1 from there on."""
    square = x * x
    p = np.float32(1.33544805e-8)
    p = p * square + np.float32(2.06089476e-5)
    p = p * square + np.float32(3.49557985e-3)
    p = p * square + np.float32(1.33810187e-1)
    p = p * square + np.float32(1)
    q = np.float32(7.77648288e-7)
    q = q * square + np.float32(3.28562133e-4)
    q = q * square + np.float32(2.58769507e-2)
    q = q * square + np.float32(4.67143343e-1)
    q = q * square + np.float32(1)
    y = x * p / q
    y = np.float32(1) if (x > np.float32(9)) | (y > np.float32(1)) else y  # NaN stays
    return np.float32(-1) if (x < np.float32(-9)) | (y < np.float32(-1)) else y


@compiled_product
def write_tanh(y: Any, x: Any) -> None:
    """tanh(x) in y, 1-D; it is here since loops call functions of their own file."""
    for i in range(x.size):
        y[i] = _tanh(x[i])


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
    usual = usual and z.dtype == np.float32 and have_shape(z.shape[-1:], bias)
    return usual and are_plain(z, h, recurrent_kernel, bias)


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
    row = zeros(z, (3 * units,)) if bias is None else bias
    for t in range(time):
        product(states[t], recurrent_kernel, gates[t])
        _gru_step(gates[t], states[t + 1], candidates[t], z[t], states[t], row)

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


@compiled_product
def _gru_step(gates: Any, states: Any, candidates: Any, z: Any, before: Any, bias: Any) -> None:
    units, half = states.shape[1], np.float32(0.5)
    for b in range(states.shape[0]):
        row, candidate = gates[b], candidates[b]
        for j in range(2 * units):
            row[j] = _tanh((row[j] + (z[b, j] + bias[j])) * half) * half + half
        for j in range(2 * units, 3 * units):
            row[j] += bias[j]
        for j in range(units):
            candidate[j] = row[units + j] * row[2 * units + j] + z[b, 2 * units + j]
        for j in range(units):
            candidate[j] = _tanh(candidate[j])
        for j in range(units):
            states[b, j] = (before[b, j] - candidate[j]) * row[j] + candidate[j]


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
