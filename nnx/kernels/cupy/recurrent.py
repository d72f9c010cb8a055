"""Recurrences of simple_rnn, lstm and gru for CuPy: one GEMM and one launch a time step, forward and backward.

Made for the usual activations, tanh and sigmoid, without dropout of the states; for others the generic form runs. A
launch gets the arrays of all steps and the number of the step. What a GEMM wrote, the launch that follows it overwrites
with what the backward pass needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.activations import DEVICE_FUNCTIONS
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.matrix_products import column_sums, product
from nnx.kernels.cupy.table import KERNELS
from nnx.kernels.recurrence_conditions import accepts_gru, accepts_lstm, accepts_simple_rnn
from nnx.pullbacks import SKIP, Pullback

_STEP = "int64 t, int64 n, int32 units"
"""The parameters that every step has: its number, how many elements a state has, and how many a row of it."""

_MOST = 2**31
"""How many elements a state may not have: they are counted by numbers of 32 bits, whose division costs less."""

_PLACE = """
    long long at = t * n + i, after = at + n;
    int row = (int)i / units, unit = (int)i % units;
"""
"""Where the element of a state lies in the states before and after the step."""

_HELD = "bool held = masked && !mask[t * (n / units) + row];"
"""Whether a step leaves the row as it was."""

_MASK = "raw bool mask, bool masked"
"""The parameters of a mask (time, rows, 1), and whether there is one; see `_masking_of`."""

_TOTAL = """
    W dstate = (W)dh[i] + (W)dheld[i] + (given ? (W)dstates[at] : (W)0);
    W dnew = held ? (W)0 : dstate, dpast = held ? dstate : (W)0;
"""
"""The cotangent of a state, which comes through the GEMM of the next step, past that step, and from outside; and how it
is divided between this step and the state before."""

_RNN = ElementwiseKernel(
    "simple_rnn_step",
    f"raw T z, {_MASK}, {_STEP}",
    "raw T states",
    _PLACE + _HELD + "states[after] = held ? (W)states[at] : tanh((W)states[after] + (W)z[at]);",
)
_RNN_PULLBACK = ElementwiseKernel(
    "simple_rnn_step_pullback",
    f"raw T states, raw T dstates, bool given, raw T dh, {_MASK}, {_STEP}",
    "raw T dheld, raw T dz",
    _PLACE
    + _HELD
    + _TOTAL
    + """
    W state = states[after];
    dheld[i] = dpast;
    dz[at] = dnew * ((W)1 - state * state);
    """,
)
_LSTM_GATES = """
    long long first = t * 4 * n + (long long)row * 4 * units + unit;
    T *i_ = &gates[first], *f_ = i_ + units, *g_ = f_ + units, *o_ = g_ + units;
"""
_LSTM = ElementwiseKernel(
    "lstm_step",
    f"raw T z, {_MASK}, {_STEP}",
    "raw T gates, raw T states, raw T carries",
    _PLACE
    + _HELD
    + _LSTM_GATES
    + """
    W input = logistic<W>((W)*i_ + (W)z[first]), forget = logistic<W>((W)*f_ + (W)z[first + units]);
    W candidate = tanh((W)*g_ + (W)z[first + 2 * units]), output = logistic<W>((W)*o_ + (W)z[first + 3 * units]);
    W carry = forget * (W)carries[at] + input * candidate;
    *i_ = input; *f_ = forget; *g_ = candidate; *o_ = output;
    carries[after] = held ? (W)carries[at] : carry;
    states[after] = held ? (W)states[at] : output * tanh(carry);
    """,
    DEVICE_FUNCTIONS,
)
_LSTM_PULLBACK = ElementwiseKernel(
    "lstm_step_pullback",
    f"raw T gates, raw T carries, raw T dstates, bool given, raw T dh, {_MASK}, {_STEP}",
    "raw T dheld, raw T dc, raw T dz",
    _PLACE
    + _HELD
    + _TOTAL
    + """
    long long first = t * 4 * n + (long long)row * 4 * units + unit;
    W input = gates[first], forget = gates[first + units];
    W candidate = gates[first + 2 * units], output = gates[first + 3 * units], before = carries[at];
    W squashed = tanh(forget * before + input * candidate);
    W dcarry = (held ? (W)0 : (W)dc[i]) + dnew * output * ((W)1 - squashed * squashed);
    dheld[i] = dpast;
    dc[i] = dcarry * forget + (held ? (W)dc[i] : (W)0);
    dz[first] = dcarry * candidate * (input - input * input);
    dz[first + units] = dcarry * before * (forget - forget * forget);
    dz[first + 2 * units] = dcarry * input * ((W)1 - candidate * candidate);
    dz[first + 3 * units] = dnew * squashed * (output - output * output);
    """,
)
_GRU_GATES = """
    long long first = t * 3 * n + (long long)row * 3 * units + unit, second = first + units, third = second + units;
"""
# The three parts of `inner` come from the GEMM, and leave as update, reset and the inner part of the candidate.
_GRU = ElementwiseKernel(
    "gru_step",
    f"raw T z, raw T bias, bool biased, {_MASK}, {_STEP}",
    "raw T inner, raw T candidates, raw T states",
    _PLACE
    + _HELD
    + _GRU_GATES
    + """
    W a = inner[first], b = inner[second], kept = inner[third], before = states[at];
    if (biased) { a += (W)bias[unit]; b += (W)bias[unit + units]; kept += (W)bias[unit + 2 * units]; }
    W update = logistic<W>(a + (W)z[first]), reset = logistic<W>(b + (W)z[second]);
    W candidate = tanh((W)z[third] + reset * kept);
    inner[first] = update; inner[second] = reset; inner[third] = kept;
    candidates[at] = candidate;
    states[after] = held ? before : update * before + ((W)1 - update) * candidate;
    """,
    DEVICE_FUNCTIONS,
)
_GRU_PULLBACK = ElementwiseKernel(
    "gru_step_pullback",
    f"raw T inner, raw T candidates, raw T states, raw T dstates, bool given, raw T dh, {_MASK}, {_STEP}",
    "raw T dheld, raw T dz, raw T dinner",
    _PLACE
    + _HELD
    + _TOTAL
    + _GRU_GATES
    + """
    W update = inner[first], reset = inner[second], candidate = candidates[at], before = states[at];
    W dcandidate = dnew * ((W)1 - update) * ((W)1 - candidate * candidate);
    W dupdate = dnew * (before - candidate) * (update - update * update);
    W dreset = dcandidate * (W)inner[third] * (reset - reset * reset);
    dheld[i] = dnew * update + dpast;
    dz[first] = dupdate; dz[second] = dreset; dz[third] = dcandidate;
    dinner[first] = dupdate; dinner[second] = dreset; dinner[third] = dcandidate * reset;
    """,
)


def _accepts_rnn(z: Array, h: Array, *arguments: Any, **options: Any) -> bool:
    return is_floating(z) and 0 < h.size < _MOST and accepts_simple_rnn(z, h, *arguments, **options)


def _accepts_lstm(z: Array, h: Array, *arguments: Any, **options: Any) -> bool:
    return is_floating(z) and 0 < h.size < _MOST and accepts_lstm(z, h, *arguments, **options)


@backend_kernel(KERNELS, accepts=_accepts_rnn)
def simple_rnn_recurrence(
    z: Array, h: Array, recurrent_kernel: Array, mask: Any = None, factor: Any = None, activation: Any = None
) -> tuple[tuple[Array, Array], Pullback]:
    time, z = z.shape[0], contiguous(z)
    masking = _masking_of(mask, z)
    states = _states_from(h, time)
    for t in range(time):
        product(states[t], recurrent_kernel, states[t + 1])
        _RNN(z, *masking, t, h.size, h.shape[1], states, size=h.size)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 3) -> tuple[Array | None, ...]:
        dz, dstates = CUPY.xp.empty_like(z), _cotangents_of(dy[0], z)
        dh, dheld = _writable(dy[1], h), _writable(None, h)
        for t in reversed(range(time)):
            _RNN_PULLBACK(states, *dstates, dh, *masking, t, h.size, h.shape[1], dheld, dz, size=h.size)
            if t > 0 or out[1] is not SKIP:
                product(dz[t], recurrent_kernel.T, dh)
        dh = None if out[1] is SKIP else dh if mask is None else dh + dheld
        return _if_wanted(dz, out[0]), dh, _kernel_cotangent(states, dz, out[2])

    return (states[1:], states[-1]), pullback


@backend_kernel(KERNELS, accepts=_accepts_lstm)
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
    time, z = z.shape[0], contiguous(z)
    masking = _masking_of(mask, z)
    states, carries, gates = _states_from(h, time), _states_from(c, time), CUPY.xp.empty_like(z)
    for t in range(time):
        product(states[t], recurrent_kernel, gates[t])
        _LSTM(z, *masking, t, h.size, h.shape[1], gates, states, carries, size=h.size)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dz, dstates = CUPY.xp.empty_like(z), _cotangents_of(dy[0], z)
        dh, dc, dheld = _writable(dy[1], h), _writable(dy[2], c), _writable(None, h)
        for t in reversed(range(time)):
            kept = (gates, carries, *dstates, dh)
            _LSTM_PULLBACK(*kept, *masking, t, h.size, h.shape[1], dheld, dc, dz, size=h.size)
            if t > 0 or out[1] is not SKIP:
                product(dz[t], recurrent_kernel.T, dh)
        dh = None if out[1] is SKIP else dh if mask is None else dh + dheld
        return _if_wanted(dz, out[0]), dh, _if_wanted(dc, out[2]), _kernel_cotangent(states, dz, out[3])

    return (states[1:], states[-1], carries[-1]), pullback


def _accepts_gru(z: Array, h: Array, *arguments: Any, **options: Any) -> bool:
    return is_floating(z) and 0 < h.size < _MOST and accepts_gru(z, h, *arguments, **options)


@backend_kernel(KERNELS, accepts=_accepts_gru)
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
    time, z = z.shape[0], contiguous(z)
    masking = _masking_of(mask, z)
    biasing = (z, False) if bias is None else (contiguous(bias), True)
    states, inner = _states_from(h, time), CUPY.xp.empty_like(z)
    candidates = CUPY.xp.empty((time, *h.shape), dtype=z.dtype, device=z.device)
    for t in range(time):
        product(states[t], recurrent_kernel, inner[t])
        _GRU(z, *biasing, *masking, t, h.size, h.shape[1], inner, candidates, states, size=h.size)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dz, dinner, dstates = CUPY.xp.empty_like(z), CUPY.xp.empty_like(z), _cotangents_of(dy[0], z)
        dh, dheld = _writable(dy[1], h), _writable(None, h)
        for t in reversed(range(time)):
            kept = (inner, candidates, states, *dstates, dh)
            _GRU_PULLBACK(*kept, *masking, t, h.size, h.shape[1], dheld, dz, dinner, size=h.size)
            if t > 0 or out[1] is not SKIP:
                product(dinner[t], recurrent_kernel.T, dh)
        dh = None if out[1] is SKIP else dh + dheld
        cotangents = (_if_wanted(dz, out[0]), dh, _kernel_cotangent(states, dinner, out[2]))
        if bias is None:
            return cotangents
        return *cotangents, None if out[3] is SKIP else column_sums(dinner.reshape(time * h.shape[0], -1), out[3])

    return (states[1:], states[-1]), pullback


def _states_from(state: Array, time: int) -> Array:
    """Room for the states before and after each step, the first one filled in."""
    states = CUPY.xp.empty((time + 1, *state.shape), dtype=state.dtype, device=state.device)
    states[0] = state
    return states


def _masking_of(mask: Array | None, z: Array) -> tuple[Array, bool]:
    """The arguments for `_MASK`; the contiguous array z, which is not read so, stands for no mask."""
    return (z.view("bool"), False) if mask is None else (contiguous(mask), True)


def _cotangents_of(dstates: Array | None, z: Array) -> tuple[Array, bool]:
    """The cotangents of all states, and whether there are any."""
    return (z, False) if dstates is None else (contiguous(dstates), True)


def _writable(cotangent: Array | None, state: Array) -> Array:
    """A cotangent as an array that may be written to; None is zero."""
    if cotangent is None:
        return CUPY.xp.zeros(state.shape, dtype=state.dtype, device=state.device)
    return cotangent.copy(order="C")


def _if_wanted(cotangent: Array, out: Any) -> Array | None:
    return None if out is SKIP else cotangent


def _kernel_cotangent(states: Array, dz: Array, out: Any) -> Array | None:
    """The cotangent of the recurrent kernel, in one GEMM for all steps."""
    if out is SKIP:
        return None
    rows = dz.shape[0] * dz.shape[1]
    return product(states[:-1].reshape(rows, -1).T, dz.reshape(rows, -1), out)
