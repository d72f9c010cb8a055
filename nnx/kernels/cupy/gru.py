"""The recurrent part of gru for CuPy; see `cupy_recurrent`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnx.backends.base import Array
from nnx.kernels import kernel
from nnx.kernels.cupy.activations import FUNCTIONS
from nnx.kernels.cupy.code_generation import CUPY, Elementwise, is_floating
from nnx.kernels.cupy.products import column_sums, product
from nnx.kernels.cupy.recurrent import (
    HELD,
    MASK,
    PLACE,
    STEP,
    TOTAL,
    cotangents_of,
    from_first,
    kernel_cotangent,
    masking_of,
    own,
    wanted,
)
from nnx.kernels.cupy.windows import contiguous
from nnx.kernels.recurrent import is_plain_gru
from nnx.pullbacks import SKIP, Pullback

_GATES = """
    long long first = t * 3 * n + (long long)row * 3 * units + unit, second = first + units, third = second + units;
"""
# The three parts of `inner` come from the GEMM, and leave as update, reset and the inner part of the candidate.
_STEP = Elementwise(
    "gru_step",
    f"raw T z, raw T bias, bool biased, {MASK}, {STEP}",
    "raw T inner, raw T candidates, raw T states",
    PLACE
    + HELD
    + _GATES
    + """
    W a = inner[first], b = inner[second], kept = inner[third], before = states[at];
    if (biased) { a += (W)bias[unit]; b += (W)bias[unit + units]; kept += (W)bias[unit + 2 * units]; }
    W update = logistic<W>(a + (W)z[first]), reset = logistic<W>(b + (W)z[second]);
    W candidate = tanh((W)z[third] + reset * kept);
    inner[first] = update; inner[second] = reset; inner[third] = kept;
    candidates[at] = candidate;
    states[after] = held ? before : update * before + ((W)1 - update) * candidate;
    """,
    FUNCTIONS,
)
_STEP_PULLBACK = Elementwise(
    "gru_step_pullback",
    f"raw T inner, raw T candidates, raw T states, raw T dstates, bool given, raw T dh, {MASK}, {STEP}",
    "raw T dheld, raw T dz, raw T dinner",
    PLACE
    + HELD
    + TOTAL
    + _GATES
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


def _accepts(z: Array, h: Array, *arguments: Any, **options: Any) -> bool:
    return is_floating(z) and h.size > 0 and is_plain_gru(z, h, *arguments, **options)


@kernel(CUPY, accepts=_accepts)
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
    time, z, masking = z.shape[0], contiguous(z), masking_of(mask, z)
    biasing = (z, False) if bias is None else (contiguous(bias), True)
    states, inner = from_first(h, time), CUPY.xp.empty_like(z)
    candidates = CUPY.xp.empty((time, *h.shape), dtype=z.dtype, device=z.device)
    for t in range(time):
        product(states[t], recurrent_kernel, inner[t])
        _STEP(z, *biasing, *masking, t, h.size, h.shape[1], inner, candidates, states, size=h.size)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dz, dinner, dstates = CUPY.xp.empty_like(z), CUPY.xp.empty_like(z), cotangents_of(dy[0], z)
        dh, dheld = own(dy[1], h), own(None, h)
        for t in reversed(range(time)):
            kept = (inner, candidates, states, *dstates, dh)
            _STEP_PULLBACK(*kept, *masking, t, h.size, h.shape[1], dheld, dz, dinner, size=h.size)
            if t > 0 or out[1] is not SKIP:
                product(dinner[t], recurrent_kernel.T, dh)
        dh = None if out[1] is SKIP else dh + dheld
        cotangents = (wanted(dz, out[0]), dh, kernel_cotangent(states, dinner, out[2]))
        if bias is None:
            return cotangents
        return *cotangents, None if out[3] is SKIP else column_sums(dinner.reshape(time * h.shape[0], -1), out[3])

    return (states[1:], states[-1]), pullback
