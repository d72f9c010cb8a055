"""Geometry of windows for CuPy: positions are computed in the kernel, so there are no tables of indices.

A thread makes one element. What windows do to an image is written in gather form: each element of the result collects
what belongs to it, so nothing is added atomically and equal inputs give equal results.
"""

from __future__ import annotations

import functools

from nnx.backends.base import Array
from nnx.kernels.cupy.cuda_kernels import is_floating
from nnx.windows import Windows

GEOMETRY = ", ".join(f"int32 {name}{axis}" for axis in "hw" for name in ("", "k", "s", "d", "b", "o"))
"""The parameters that `geometry` gives: of rows h, kh, sh, dh, bh, oh, which are size, window, stride, dilation, before
and count; of columns the same with w."""

PIXEL_PLACE = """
    unsigned int rest = i;
    int channel = rest % c; rest /= c;
    int column = rest % w; rest /= w;
    int row = rest % h;
    int image = rest / h;
"""
"""The place of element i of images (n, h, w, c)."""

WINDOW_PLACE = """
    unsigned int rest = i;
    int channel = rest % c; rest /= c;
    int across = rest % ow; rest /= ow;
    int down = rest % oh;
    int image = rest / oh;
"""
"""The place of element i of what windows give (n, oh, ow, c)."""

_MOST = 2**31
"""Indices are 32-bit numbers in kernels, whose division costs a fraction of that of 64-bit ones."""


def over_taps(statement: str) -> str:
    """A loop over the taps a, b of window (down, across) that lie inside the image, at (row, column)."""
    return f"""
    for (int a = 0; a < kh; ++a) {{
        int row = down * sh + a * dh - bh;
        if (row < 0 || row >= h) continue;
        for (int b = 0; b < kw; ++b) {{
            int column = across * sw + b * dw - bw;
            if (column < 0 || column >= w) continue;
            {statement}
        }}
    }}
    """


def over_windows(statement: str) -> str:
    """A loop over the windows (down, across) that hold the position (row, column), as their tap a, b."""
    return f"""
    for (int a = 0; a < kh; ++a) {{
        int y_offset = row + bh - a * dh, down = y_offset / sh;
        if (y_offset < 0 || down >= oh || down * sh != y_offset) continue;
        for (int b = 0; b < kw; ++b) {{
            int x_offset = column + bw - b * dw, across = x_offset / sw;
            if (x_offset < 0 || across >= ow || across * sw != x_offset) continue;
            {statement}
        }}
    }}
    """


@functools.lru_cache(maxsize=1024)
def geometry(windows: Windows) -> tuple[int, ...]:
    """The arguments for `GEOMETRY`."""
    axes = (windows.rows, windows.columns)
    return tuple(n for a in axes for n in (a.size, a.window, a.stride, a.dilation, a.before, a.count))


def fits(n: int, windows: Windows, c: int) -> bool:
    """Whether kernels can count the elements of n images, and those of their windows' positions, of c channels each."""
    pixels, positions = windows.rows.size * windows.columns.size, windows.counts[0] * windows.counts[1]
    return n * max(pixels, positions) * c < _MOST


def columns_fit(windows: Windows, c: int) -> bool:
    """Whether kernels can count the elements of the windows of one image."""
    return windows.counts[0] * windows.counts[1] * windows.taps * c < _MOST


def accepts_images(x: Array, windows: Windows) -> bool:
    return is_floating(x) and fits(x.shape[0], windows, x.shape[3])
