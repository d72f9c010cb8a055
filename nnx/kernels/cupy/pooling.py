"""Pooling for CuPy: one launch for the value and one for the pullback.

The maximum also keeps which tap of a window it was: a byte for each window, where finding it again would read all
windows that hold a pixel. The gradient goes to the first of several largest, and to the first NaN of a window with NaN.
"""

from __future__ import annotations

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, contiguous, is_floating
from nnx.kernels.cupy.table import KERNELS
from nnx.kernels.cupy.window_geometry import (
    GEOMETRY,
    PIXEL_PLACE,
    WINDOW_PLACE,
    accepts_images,
    geometry,
    over_taps,
    over_windows,
)
from nnx.pullbacks import Pullback
from nnx.windows import Windows

_BYTE = 255  # taps that a byte can number, with one number left for "none"

_LARGEST = {
    number: ElementwiseKernel(
        f"largest_of_windows_{number}",
        f"raw T x, {GEOMETRY}, int32 c",
        f"T y, {number} tap",
        WINDOW_PLACE
        + "W largest = -1.0 / 0.0; int first = -1;"
        + over_taps("""
            W value = x[((image * h + row) * w + column) * c + channel];
            if (first < 0 || value > largest || (value != value && largest == largest)) {
                largest = value;
                first = a * kw + b;
            }
        """)
        + "y = largest; tap = first;",
    )
    for number in ("uint8", "int32")
}
_TO_LARGEST = {
    number: ElementwiseKernel(
        f"largest_of_windows_pullback_{number}",
        f"raw T dy, raw {number} tap, {GEOMETRY}, int32 c",
        "T dx",
        PIXEL_PLACE
        + "W sum = 0;"
        + over_windows("""
            int there = ((image * oh + down) * ow + across) * c + channel;
            if (tap[there] == a * kw + b) sum += (W)dy[there];
        """)
        + "dx = sum;",
    )
    for number in ("uint8", "int32")
}
_SHARE_OUT = ElementwiseKernel("share_out", "T y, float64 share", "T x", "x = (W)y * (W)share;")
_SUM = ElementwiseKernel(
    "sum_of_windows",
    f"raw T x, {GEOMETRY}, int32 c",
    "T y",
    WINDOW_PLACE
    + "W sum = 0;"
    + over_taps("sum += (W)x[((image * h + row) * w + column) * c + channel];")
    + "y = sum;",
)
_TO_ALL = ElementwiseKernel(
    "sum_of_windows_pullback",
    f"raw T dy, {GEOMETRY}, int32 c",
    "T dx",
    PIXEL_PLACE
    + "W sum = 0;"
    + over_windows("sum += (W)dy[((image * oh + down) * ow + across) * c + channel];")
    + "dx = sum;",
)
# Without dilation, which pooling does not have.
_INSIDE = """
    auto inside = [](int start, int k, int size) {
        return (start + k < size ? start + k : size) - (start > 0 ? start : 0);
    };
"""
_MEAN = ElementwiseKernel(
    "mean_of_windows",
    f"raw T x, {GEOMETRY}, int32 c",
    "T y",
    WINDOW_PLACE
    + _INSIDE
    + "W sum = 0;"
    + over_taps("sum += (W)x[((image * h + row) * w + column) * c + channel];")
    + "y = sum / (inside(down * sh - bh, kh, h) * inside(across * sw - bw, kw, w));",
)
_TO_ALL_OF_MEAN = ElementwiseKernel(
    "mean_of_windows_pullback",
    f"raw T dy, {GEOMETRY}, int32 c",
    "T dx",
    PIXEL_PLACE
    + _INSIDE
    + "W sum = 0;"
    + over_windows("""
        int taps = inside(down * sh - bh, kh, h) * inside(across * sw - bw, kw, w);
        sum += (W)dy[((image * oh + down) * ow + across) * c + channel] / taps;
    """)
    + "dx = sum;",
)


@backend_kernel(KERNELS, accepts=accepts_images)
def largest_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    shape, axes, c = x.shape, geometry(windows), x.shape[3]
    number = "uint8" if windows.taps <= _BYTE else "int32"
    y, tap = (CUPY.xp.empty((shape[0], *windows.counts, c), dtype=t, device=x.device) for t in (x.dtype, number))
    _LARGEST[number](contiguous(x), *axes, c, y, tap)

    def pullback(dy: Array) -> Array:
        dx = CUPY.xp.empty(shape, dtype=dy.dtype, device=dy.device)
        _TO_LARGEST[number](contiguous(dy), tap, *axes, c, dx)
        return dx

    return y, pullback


@backend_kernel(KERNELS, accepts=accepts_images)
def mean_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    return _reduce(_MEAN, _TO_ALL_OF_MEAN, x, windows)


@backend_kernel(KERNELS, accepts=accepts_images)
def sum_of_windows(x: Array, windows: Windows) -> tuple[Array, Pullback]:
    return _reduce(_SUM, _TO_ALL, x, windows)


def _reduce(
    forward: ElementwiseKernel, backward: ElementwiseKernel, x: Array, windows: Windows
) -> tuple[Array, Pullback]:
    shape, axes, c = x.shape, geometry(windows), x.shape[3]
    y = CUPY.xp.empty((shape[0], *windows.counts, c), dtype=x.dtype, device=x.device)
    forward(contiguous(x), *axes, c, y)

    def pullback(dy: Array) -> Array:
        dx = CUPY.xp.empty(shape, dtype=dy.dtype, device=dy.device)
        backward(contiguous(dy), *axes, c, dx)
        return dx

    return y, pullback


@backend_kernel(KERNELS, accepts=lambda y, share, shape: is_floating(y))
def share_out(y: Array, share: float, shape: tuple[int, ...]) -> Array:
    return _SHARE_OUT(CUPY.xp.broadcast_to(y, shape), share)  # not a view: what comes next would copy it
