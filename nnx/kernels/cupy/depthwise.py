"""Depthwise correlation for CuPy: a launch for the value and one for each gradient."""

from __future__ import annotations

from typing import Any

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.matrix_products import column_sums
from nnx.kernels.cupy.table import KERNELS
from nnx.kernels.cupy.window_geometry import (
    GEOMETRY,
    PIXEL_PLACE,
    WINDOW_PLACE,
    fits,
    geometry,
    over_taps,
    over_windows,
)
from nnx.pullbacks import SKIP, Pullback
from nnx.windows import Windows

_THREADS = 1 << 17
"""Threads that share the sums of the kernel's gradient: enough for a large GPU, and few partial sums to add up."""

_VALUE = """
    int from = channel / m, depth = c / m;
    W sum = 0;
""" + over_taps("sum += (W)x[((image * h + row) * w + column) * depth + from] * (W)kernel[(a * kw + b) * c + channel];")
_CORRELATE = ElementwiseKernel(
    "correlate_depthwise",
    f"raw T x, raw T kernel, {GEOMETRY}, int32 c, int32 m",
    "T y",
    f"{WINDOW_PLACE} {_VALUE} y = sum;",
)
_IMAGES_PULLBACK = ElementwiseKernel(
    "correlate_depthwise_images",
    f"raw T dy, raw T kernel, {GEOMETRY}, int32 c, int32 m",
    "T x",
    PIXEL_PLACE
    + "W sum = 0;"
    + over_windows("""
            int there = (((image * oh + down) * ow + across) * c + channel) * m;
            int tap = ((a * kw + b) * c + channel) * m;
            for (int feature = 0; feature < m; ++feature) sum += (W)dy[there + feature] * (W)kernel[tap + feature];
    """)
    + "x = sum;",
)
# A row of partial sums for each of `share` positions, one after the other: (rows, taps * c), where c counts features.
_KERNEL_PULLBACK = {
    wide: ElementwiseKernel(
        f"correlate_depthwise_kernel_{wide}",
        f"raw T x, raw T dy, {GEOMETRY}, int32 c, int32 m, int32 positions, int32 share",
        f"{wide} partial",
        """
        unsigned int rest = i;
        int channel = rest % c; rest /= c;
        int b = rest % kw; rest /= kw;
        int a = rest % kh;
        int first = rest / kh * share, last = share < positions - first ? first + share : positions;
        int from = channel / m, depth = c / m;
        W sum = 0;
        for (int position = first; position < last; ++position) {
            int across = position % ow, down = position / ow % oh, image = position / ow / oh;
            int row = down * sh + a * dh - bh, column = across * sw + b * dw - bw;
            if (row >= 0 && row < h && column >= 0 && column < w)
                sum += (W)x[((image * h + row) * w + column) * depth + from] * (W)dy[position * c + channel];
        }
        partial = sum;
        """,
    )
    for wide in ("float32", "float64")
}


def _accepts(x: Array, kernel: Array, windows: Windows) -> bool:
    return is_floating(x, kernel) and fits(x.shape[0], windows, x.shape[3] * kernel.shape[3])


@backend_kernel(KERNELS, accepts=_accepts)
def correlate_depthwise(x: Array, kernel: Array, windows: Windows) -> tuple[Array, Pullback]:
    c, m = kernel.shape[2:]
    x, filters, axes = contiguous(x), contiguous(kernel), geometry(windows)
    positions = x.shape[0] * windows.counts[0] * windows.counts[1]
    y = CUPY.xp.empty((x.shape[0], *windows.counts, c * m), dtype=x.dtype, device=x.device)
    _CORRELATE(x, filters, *axes, c * m, m, y)

    def kernel_cotangent(dy: Array, out: Any) -> Array:
        share = max(1, -(-positions * filters.size // _THREADS))
        rows = -(-positions // share)
        wide = "float64" if x.dtype == "float64" else "float32"
        partial = CUPY.xp.empty((rows, filters.size), dtype=wide, device=x.device)
        _KERNEL_PULLBACK[wide](x, dy, *axes, c * m, m, positions, share, partial)
        usable = out is not None and out.dtype == wide
        return column_sums(partial, out if usable else None).astype(x.dtype, copy=False).reshape(filters.shape)

    def pullback(dy: Array, out: Any = (None, None)) -> tuple[Array | None, ...]:
        dy = contiguous(dy)
        dx = dkernel = None
        if out[0] is not SKIP:
            dx = CUPY.xp.empty(x.shape, dtype=x.dtype, device=x.device)
            _IMAGES_PULLBACK(dy, filters, *axes, c, m, dx)
        if out[1] is not SKIP:
            dkernel = kernel_cotangent(dy, out[1])
        return dx, dkernel

    return y, pullback
