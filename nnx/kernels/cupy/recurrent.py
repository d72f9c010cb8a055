"""The recurrent parts of simple_rnn and lstm for CuPy: one GEMM and one launch a time step, forward and backward.

Made for the usual activations, tanh and sigmoid, without dropout of the states; for others the generic form runs. A
launch gets the arrays of all steps and the number of the step. What a GEMM wrote, the launch that follows it overwrites
with what the backward pass needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import kernel
from nnx.kernels.cupy.activations import FUNCTIONS
from nnx.kernels.cupy.code_generation import CUPY, Elementwise, is_floating
from nnx.kernels.cupy.products import ones, product
from nnx.kernels.cupy.windows import contiguous
from nnx.kernels.recurrent import is_plain_lstm, is_plain_rnn
from nnx.pullbacks import SKIP, Pullback

STEP = "int64 t, int64 n, int32 units"
"""The parameters that every step has: its number, how many elements a state has, and how many a row of it."""

PLACE = """
    long long at = t * n + i, after = at + n;
    int row = (int)i / units, unit = (int)i % units;
"""
"""Where the element of a state lies in the states before and after the step."""

HELD = "bool held = masked && !mask[t * (n / units) + row];"
"""Whether a step leaves the row as it was."""

MASK = "raw bool mask, bool masked"

TOTAL = """
    W dstate = (W)dh[i] + (W)dheld[i] + (given ? (W)dstates[at] : (W)0);
    W dnew = held ? (W)0 : dstate, dpast = held ? dstate : (W)0;
"""
"""The cotangent of a state, which comes through the GEMM of the next step, past that step, and from outside; and how it
is divided between this step and the state before."""

_RNN = Elementwise(
    "simple_rnn_step",
    f"raw T z, {MASK}, {STEP}",
    "raw T states",
    PLACE + HELD + "states[after] = held ? (W)states[at] : tanh((W)states[after] + (W)z[at]);",
)
_RNN_PULLBACK = Elementwise(
    "simple_rnn_step_pullback",
    f"raw T states, raw T dstates, bool given, raw T dh, {MASK}, {STEP}",
    "raw T dheld, raw T dz",
    PLACE
    + HELD
    + TOTAL
    + """
    W state = states[after];
    dheld[i] = dpast;
    dz[at] = dnew * ((W)1 - state * state);
    """,
)
_GATES = """
    long long first = t * 4 * n + (long long)row * 4 * units + unit;
    T *i_ = &gates[first], *f_ = i_ + units, *g_ = f_ + units, *o_ = g_ + units;
"""
_LSTM = Elementwise(
    "lstm_step",
    f"raw T z, {MASK}, {STEP}",
    "raw T gates, raw T states, raw T carries",
    PLACE
    + HELD
    + _GATES
    + """
    W input = logistic<W>((W)*i_ + (W)z[first]), forget = logistic<W>((W)*f_ + (W)z[first + units]);
    W candidate = tanh((W)*g_ + (W)z[first + 2 * units]), output = logistic<W>((W)*o_ + (W)z[first + 3 * units]);
    W carry = forget * (W)carries[at] + input * candidate;
    *i_ = input; *f_ = forget; *g_ = candidate; *o_ = output;
    carries[after] = held ? (W)carries[at] : carry;
    states[after] = held ? (W)states[at] : output * tanh(carry);
    """,
    FUNCTIONS,
)
_LSTM_PULLBACK = Elementwise(
    "lstm_step_pullback",
    f"raw T gates, raw T carries, raw T dstates, bool given, raw T dh, {MASK}, {STEP}",
    "raw T dheld, raw T dc, raw T dz",
    PLACE
    + HELD
    + TOTAL
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


def _accepts_rnn(z: Array, h: Array, *arguments: Any, **options: Any) -> bool:
    return is_floating(z) and h.size > 0 and is_plain_rnn(z, h, *arguments, **options)


def _accepts_lstm(z: Array, h: Array, *arguments: Any, **options: Any) -> bool:
    return is_floating(z) and h.size > 0 and is_plain_lstm(z, h, *arguments, **options)


@kernel(CUPY, accepts=_accepts_rnn)
def simple_rnn_recurrence(
    z: Array, h: Array, recurrent_kernel: Array, mask: Any = None, factor: Any = None, activation: Any = None
) -> tuple[tuple[Array, Array], Pullback]:
    time, z, masking = z.shape[0], contiguous(z), masking_of(mask, z)
    states = from_first(h, time)
    for t in range(time):
        product(states[t], recurrent_kernel, states[t + 1])
        _RNN(z, *masking, t, h.size, h.shape[1], states, size=h.size)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 3) -> tuple[Array | None, ...]:
        dz, dstates = CUPY.xp.empty_like(z), cotangents_of(dy[0], z)
        dh, dheld = own(dy[1], h), own(None, h)
        for t in reversed(range(time)):
            _RNN_PULLBACK(states, *dstates, dh, *masking, t, h.size, h.shape[1], dheld, dz, size=h.size)
            if t > 0 or out[1] is not SKIP:
                product(dz[t], recurrent_kernel.T, dh)
        dh = None if out[1] is SKIP else dh if mask is None else dh + dheld
        return wanted(dz, out[0]), dh, kernel_cotangent(states, dz, out[2])

    return (states[1:], states[-1]), pullback


@kernel(CUPY, accepts=_accepts_lstm)
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
    time, z, masking = z.shape[0], contiguous(z), masking_of(mask, z)
    states, carries, gates = from_first(h, time), from_first(c, time), CUPY.xp.empty_like(z)
    for t in range(time):
        product(states[t], recurrent_kernel, gates[t])
        _LSTM(z, *masking, t, h.size, h.shape[1], gates, states, carries, size=h.size)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dz, dstates = CUPY.xp.empty_like(z), cotangents_of(dy[0], z)
        dh, dc, dheld = own(dy[1], h), own(dy[2], c), own(None, h)
        for t in reversed(range(time)):
            kept = (gates, carries, *dstates, dh)
            _LSTM_PULLBACK(*kept, *masking, t, h.size, h.shape[1], dheld, dc, dz, size=h.size)
            if t > 0 or out[1] is not SKIP:
                product(dz[t], recurrent_kernel.T, dh)
        dh = None if out[1] is SKIP else dh if mask is None else dh + dheld
        return wanted(dz, out[0]), dh, wanted(dc, out[2]), kernel_cotangent(states, dz, out[3])

    return (states[1:], states[-1], carries[-1]), pullback


def from_first(state: Array, time: int) -> Array:
    """Room for the states before and after each step, the first one filled in."""
    states = CUPY.xp.empty((time + 1, *state.shape), dtype=state.dtype, device=state.device)
    states[0] = state
    return states


def masking_of(mask: Array | None, z: Array) -> tuple[Array, bool]:
    """The arguments for `MASK`; an array that is not read stands for no mask."""
    return (ones(1, "bool", z.device.id), False) if mask is None else (contiguous(mask), True)


def cotangents_of(dstates: Array | None, z: Array) -> tuple[Array, bool]:
    """The cotangents of all states, and whether there are any."""
    return (z, False) if dstates is None else (contiguous(dstates), True)


def own(cotangent: Array | None, state: Array) -> Array:
    """A cotangent as an array that may be written to; None is zero."""
    if cotangent is None:
        return CUPY.xp.zeros(state.shape, dtype=state.dtype, device=state.device)
    return cotangent.copy(order="C")


def wanted(cotangent: Array, out: Any) -> Array | None:
    return None if out is SKIP else cotangent


def kernel_cotangent(states: Array, dz: Array, out: Any) -> Array | None:
    """The cotangent of the recurrent kernel, in one GEMM for all steps."""
    if out is SKIP:
        return None
    rows = dz.shape[0] * dz.shape[1]
    return product(states[:-1].reshape(rows, -1).T, dz.reshape(rows, -1), out)
