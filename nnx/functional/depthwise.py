"""Depthwise correlation: each channel of an image with filters of its own."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.unfolding import fold, unfold
from nnx.kernels import accelerated
from nnx.precision import narrow, wide_sum
from nnx.pullbacks import SKIP, Pullback
from nnx.windows import Windows

__all__ = ["correlate_depthwise"]


@accelerated
def correlate_depthwise(x: Array, kernel: Array, windows: Windows) -> tuple[Array, Pullback]:
    """Depthwise correlation: x (n, rows, columns, c), kernel (kh, kw, c, m)  ->  new (n, *windows.counts, c * m)

    pullback(dy) -> (dx, dkernel)
    """
    xp = array_namespace(x)
    n, (down, across), taps = x.shape[0], windows.counts, windows.taps
    c, m = kernel.shape[2:]
    filters = xp.reshape(kernel, (taps, c, m))
    elements = unfold(x, windows)[..., None]  # (n, windows, taps, c, 1)
    y = xp.reshape(narrow(wide_sum(elements * filters, axis=2), x), (n, down, across, c * m))

    def pullback(dy: Array, out: Any = (None, None)) -> tuple[Array | None, ...]:
        split = xp.reshape(dy, (n, down * across, 1, c, m))
        dx = dkernel = None
        if out[0] is not SKIP:
            dx = fold(narrow(wide_sum(split * filters, axis=4), dy), windows)
        if out[1] is not SKIP:
            sums = wide_sum(unfold(x, windows)[..., None] * split, axis=(0, 1))
            dkernel = xp.reshape(narrow(sums, kernel), kernel.shape)
        return dx, dkernel

    return y, pullback
