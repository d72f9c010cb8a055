"""Dropout for CuPy: one launch, in which the random words are made and used.

The mask is not kept: the pullback makes the same words again.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, is_floating
from nnx.kernels.cupy.random import DRAW, PHILOX, blocks, each_word, words_of
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import Pullback
from nnx.random import Draw

DROPOUT = ElementwiseKernel(
    "dropout",
    f"{DRAW}, int64 n, uint64 threshold, float64 scale, raw T x",
    "raw T y",
    each_word("y[e] = word < threshold ? (W)x[e] * (W)0 : (W)x[e] * (W)scale;"),
    PHILOX,
)


def has_a_word_for_each(x: Array, rate: float, draw: Draw, noise_shape: Sequence[int | None] | None = None) -> bool:
    whole = noise_shape is None or tuple(noise_shape) == x.shape
    return is_floating(x) and whole and 0.0 <= rate <= 1.0 and draw.size == x.size


@backend_kernel(KERNELS, accepts=has_a_word_for_each)
def dropout(
    x: Array, rate: float, draw: Draw, noise_shape: Sequence[int | None] | None = None
) -> tuple[Array, Pullback]:
    if rate == 1.0:
        return CUPY.xp.zeros_like(x), CUPY.xp.zeros_like
    options = (*words_of(draw), round(rate * 2.0**32), 1.0 / (1.0 - rate))

    def drop(values: Array) -> Array:
        y = CUPY.xp.empty_like(values)
        if draw.size:
            DROPOUT(*options, values, y, size=blocks(draw.size))
        return y

    return drop(x), drop
