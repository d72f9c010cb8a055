"""The recurrent part of gru for NumPy; see `numpy_recurrent`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backends.base import Array, find_backend
from nnx.kernels import kernel
from nnx.kernels.numpy.recurrent import from_first, hold, kernel_cotangent, own, release, split, wanted
from nnx.kernels.recurrent import is_plain_gru
from nnx.pullbacks import SKIP, Pullback


@kernel(find_backend("numpy"), accepts=is_plain_gru)
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
    states = from_first(h, time)
    gates = np.empty((time, h.shape[0], both), z.dtype)
    inner, candidates = (np.empty((time, *h.shape), z.dtype) for _ in range(2))
    half_kernel, kernel_h = recurrent_kernel[:, :both] * 0.5, np.ascontiguousarray(recurrent_kernel[:, both:])
    row = np.zeros(3 * units, z.dtype) if bias is None else bias
    half_bias, bias_h = row[:both] * 0.5, row[both:]
    spare = np.empty_like(gates[0])
    for t in range(time):
        every, candidate, new = gates[t], candidates[t], states[t + 1]
        np.dot(states[t], half_kernel, out=every)
        every += np.multiply(z[t, :, :both], 0.5, out=spare)
        every += half_bias
        np.tanh(every, out=every)
        every *= 0.5
        every += 0.5
        update, reset = split(every, units)
        np.dot(states[t], kernel_h, out=inner[t])
        inner[t] += bias_h
        np.multiply(reset, inner[t], out=candidate)
        candidate += z[t, :, both:]
        np.tanh(candidate, out=candidate)
        np.subtract(states[t], candidate, out=new)
        new *= update
        new += candidate
        hold(skipped, t, states)

    def pullback(dy: Sequence[Any], out: Sequence[Any] = (None,) * 4) -> tuple[Array | None, ...]:
        dstates, dh = dy[0], own(dy[1], h)
        dz, dinner = (np.empty(z.shape, z.dtype) for _ in range(2))
        small, large = np.empty_like(dh), np.empty_like(gates[0])
        transposed = np.ascontiguousarray(recurrent_kernel.T)
        for t in reversed(range(time)):
            if dstates is not None:
                dh += dstates[t]
            dheld = release(skipped, t, dh)
            update, reset = split(gates[t], units)
            dupdate, dreset, dkept = split(dinner[t], units)
            dcandidate = dz[t, :, both:]
            np.subtract(1.0, update, out=dcandidate)
            dcandidate *= dh
            np.multiply(candidates[t], candidates[t], out=small)
            dcandidate *= np.subtract(1.0, small, out=small)
            np.subtract(states[t], candidates[t], out=dupdate)
            dupdate *= dh
            np.multiply(dcandidate, inner[t], out=dreset)
            np.subtract(1.0, gates[t], out=large)
            large *= gates[t]
            np.multiply(dinner[t, :, :both], large, out=dz[t, :, :both])
            dinner[t, :, :both] = dz[t, :, :both]
            np.multiply(dcandidate, reset, out=dkept)
            np.dot(dinner[t], transposed, out=small)
            dh *= update
            dh += small
            if dheld is not None:
                dh += dheld
        cotangents = (wanted(dz, out[0]), wanted(dh, out[1]), kernel_cotangent(states, dinner, out[2]))
        if bias is None:
            return cotangents
        return *cotangents, None if out[3] is SKIP else np.add.reduce(dinner, axis=(0, 1))

    return (states[1:], states[-1]), pullback
