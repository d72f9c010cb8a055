"""The recurrent parts of simple_rnn and lstm for NumPy: each step works in place, in memory that stays in the cache.

Made for the usual activations, tanh and sigmoid, without dropout of the states; for others the generic form runs. All
gates of a step take part in one tanh, because sigmoid(x) = 0.5 + 0.5 * tanh(0.5 * x).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array, find_backend
from nnx.kernels import kernel
from nnx.kernels.recurrent import is_plain_lstm, is_plain_rnn
from nnx.pullbacks import SKIP, Pullback

_numpy = find_backend("numpy")


@kernel(_numpy, accepts=is_plain_rnn)
def simple_rnn_recurrence(
    z: Array, h: Array, recurrent_kernel: Array, mask: Any = None, factor: Any = None, activation: Any = None
) -> tuple[tuple[Array, Array], Pullback]:
    skipped = None if mask is None else ~mask
    states = from_first(h, len(z))
    for t in range(len(z)):
        new = states[t + 1]
        np.dot(states[t], recurrent_kernel, out=new)
        new += z[t]
        np.tanh(new, out=new)
        hold(skipped, t, states)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 3) -> tuple[Array | None, ...]:
        dstates, dh = dy[0], own(dy[1], h)
        dz = np.empty((len(z), *h.shape), z.dtype)
        transposed = np.ascontiguousarray(recurrent_kernel.T)
        for t in reversed(range(len(z))):
            if dstates is not None:
                dh += dstates[t]
            dheld = release(skipped, t, dh)
            slope = dz[t]
            np.multiply(states[t + 1], states[t + 1], out=slope)
            np.subtract(1.0, slope, out=slope)
            slope *= dh
            np.dot(slope, transposed, out=dh)
            if dheld is not None:
                dh += dheld
        return wanted(dz, out[0]), wanted(dh, out[1]), kernel_cotangent(states, dz, out[2])

    return (states[1:], states[-1]), pullback


@kernel(_numpy, accepts=is_plain_lstm)
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
    states, carries = from_first(h, time), from_first(c, time)
    outputs = np.empty((time, *h.shape), z.dtype)
    gates = np.empty((time, h.shape[0], 4 * units), z.dtype)
    scale, shift = _of_gates(units, z.dtype, 0.5, 0.5, 1.0, 0.5), _of_gates(units, z.dtype, 0.5, 0.5, 0.0, 0.5)
    scaled = recurrent_kernel * scale
    spare, small = np.empty_like(gates[0]), np.empty_like(outputs[0])
    for t in range(time):
        every, new = gates[t], carries[t + 1]
        np.dot(states[t], scaled, out=every)
        every += np.multiply(z[t], scale, out=spare)
        np.tanh(every, out=every)
        every *= scale
        every += shift
        i, f, candidate, o = split(every, units)
        np.multiply(f, carries[t], out=new)
        new += np.multiply(i, candidate, out=small)
        np.tanh(new, out=outputs[t])
        np.multiply(o, outputs[t], out=states[t + 1])
        hold(skipped, t, states, carries)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates, dh, dc = dy[0], own(dy[1], h), own(dy[2], c)
        dz = np.empty_like(gates)
        small = np.empty_like(dh)
        one, zero = _of_gates(units, z.dtype, 1.0, 1.0, 0.0, 1.0), _of_gates(units, z.dtype, 0.0, 0.0, 1.0, 0.0)
        transposed = np.ascontiguousarray(recurrent_kernel.T)
        for t in reversed(range(time)):
            if dstates is not None:
                dh += dstates[t]
            dh_held, dc_held = release(skipped, t, dh), release(skipped, t, dc)
            slopes, output = dz[t], outputs[t]
            np.subtract(one, gates[t], out=slopes)  # s * (1 - s), and a * (0 - a) + 1
            slopes *= gates[t]
            slopes += zero
            i, f, candidate, o = split(gates[t], units)
            di, df, dcandidate, do = split(slopes, units)
            do *= np.multiply(dh, output, out=small)
            np.multiply(output, output, out=small)
            np.subtract(1.0, small, out=small)
            small *= o
            small *= dh
            dc += small
            di *= np.multiply(dc, candidate, out=small)
            df *= np.multiply(dc, carries[t], out=small)
            dcandidate *= np.multiply(dc, i, out=small)
            dc *= f
            np.dot(slopes, transposed, out=dh)
            if dh_held is not None:
                dh += dh_held
                dc += dc_held
        cotangents = (wanted(dz, out[0]), wanted(dh, out[1]), wanted(dc, out[2]))
        return *cotangents, kernel_cotangent(states, dz, out[3])

    return (states[1:], states[-1], carries[-1]), pullback


def from_first(state: Array, time: int) -> Array:
    """Room for the states before and after each step, the first one filled in."""
    states = np.empty((time + 1, *state.shape), state.dtype)
    states[0] = state
    return states


def _of_gates(units: int, dtype: np.dtype[Any], *values: float) -> Array:
    """A row with a number for each gate."""
    return np.repeat(np.asarray(values, dtype), units)


def split(gates: Array, units: int) -> list[Array]:
    return [gates[:, start : start + units] for start in range(0, gates.shape[1], units)]


def hold(skipped: Array | None, t: int, *states: Array) -> None:
    """Where a step does not count, its states are the ones before."""
    if skipped is not None:
        for state in states:
            np.copyto(state[t + 1], state[t], where=skipped[t])


def release(skipped: Array | None, t: int, dstate: Array) -> Array | None:
    """Take the cotangents of states that were held out of `dstate`, and return them."""
    if skipped is None:
        return None
    dheld = np.where(skipped[t], dstate, 0.0)
    np.copyto(dstate, 0.0, where=skipped[t])
    return dheld


def own(cotangent: Array | None, state: Array) -> Array:
    """A cotangent as an array that may be written to; None is zero."""
    return np.zeros(state.shape, state.dtype) if cotangent is None else np.array(cotangent, order="C")


def wanted(cotangent: Array, out: Any) -> Array | None:
    return None if out is SKIP else cotangent


def kernel_cotangent(states: Array, dz: Array, out: Any) -> Array | None:
    if out is SKIP:
        return None
    rows = dz.shape[0] * dz.shape[1]
    return np.dot(states[:-1].reshape(rows, states.shape[2]).T, dz.reshape(rows, dz.shape[2]), out=out)
