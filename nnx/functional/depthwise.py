"""The correlation of each channel of an image with filters of its own."""

from __future__ import annotations

from typing import Any

from nnx.backends import Array, array_namespace
from nnx.functional.unfolding import fold, unfold
from nnx.kernels import accelerated
from nnx.protocol import SKIP, Pullback
from nnx.windows import Windows


@accelerated
def correlate_depthwise(x: Array, kernel: Array, bias: Array | None, windows: Windows) -> tuple[Array, Pullback]:
    """x (n, rows, columns, c), kernel (kh, kw, c, m), bias (c * m,) or None  ->  y (n, *windows.counts, c * m)

    pullback(dy) -> (dx, dkernel, dbias), or (dx, dkernel) without a bias
    """
    xp = array_namespace(x)
    n, (down, across), taps = x.shape[0], windows.counts, windows.taps
    c, m = kernel.shape[2:]
    filters = xp.reshape(kernel, (taps, c, m))
    elements = unfold(x, windows)[..., None]  # (n, windows, taps, c, 1)
    y = xp.reshape(xp.sum(elements * filters, axis=2), (n, down, across, c * m))
    if bias is not None:
        y = y + bias

    def pullback(dy: Array, out: Any = (None, None, None)) -> tuple[Array | None, ...]:
        split = xp.reshape(dy, (n, down * across, 1, c, m))
        dx = dkernel = None
        if out[0] is not SKIP:
            dx = fold(xp.sum(split * filters, axis=4), windows)
        if out[1] is not SKIP:
            dkernel = xp.reshape(xp.sum(unfold(x, windows)[..., None] * split, axis=(0, 1)), kernel.shape)
        if bias is None:
            return dx, dkernel
        return dx, dkernel, None if out[2] is SKIP else xp.sum(xp.reshape(dy, (n * down * across, c * m)), axis=0)

    return y, pullback
