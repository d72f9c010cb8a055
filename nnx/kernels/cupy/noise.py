"""Noise for CuPy: one launch, in which the random numbers are made and used.

As in `nnx.functional.noise`, normal numbers come in pairs from two words; the first of them are in the first half of
the array and the second in the other half. Noise that multiplies is made again in the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, is_floating
from nnx.kernels.cupy.dropout import DROPOUT, has_a_word_for_each
from nnx.kernels.cupy.random import DRAW, PHILOX, blocks, each_word, words_of
from nnx.kernels.cupy.table import KERNELS
from nnx.pullbacks import Pullback
from nnx.random import Draw

_SATURATION = -1.7580993408473766  # of SELU: -alpha * scale


def _each_normal(statement: str) -> str:
    """A statement for each element `e` of `n` with its normal number; a thread makes the pairs of a block of words.

    The second words of its pairs begin in the middle of a block. Words move down in their arrays until the next one is
    the first: an index that is not known before would keep the arrays in memory instead of registers.
    """
    return f"""
    unsigned int left[8], right[16];
    auto next = [](unsigned int* words, int n) {{ for (int k = 1; k < n; ++k) words[k - 1] = words[k]; }};
    long long pair = 8 * (long long)i, other = half + pair;
    nnx_words(left, i, c0, c1, c2, c3, k0, k1);
    nnx_words(right, other / 8, c0, c1, c2, c3, k0, k1);
    if (other % 8) nnx_words(right + 8, other / 8 + 1, c0, c1, c2, c3, k0, k1);
    #pragma unroll 1
    for (int j = other % 8; j > 0; --j) next(right, 16);
    #pragma unroll 1
    for (int j = 0; j < 8 && pair + j < half; ++j) {{
        W sine, cosine, radius = sqrt((W)-2 * log1p(-(W)(left[0] >> 8) * (W)5.9604644775390625e-8));
        W angle = (W)6.283185307179586 * ((W)(right[0] >> 8) * (W)5.9604644775390625e-8);
        sincos(angle, &sine, &cosine);
        next(left, 8);
        next(right, 16);
        long long e = pair + j;
        W normal = radius * cosine;
        {statement}
        e += half;
        normal = radius * sine;
        if (e < n) {{ {statement} }}
    }}
    """


_ADD = ElementwiseKernel(
    "gaussian_noise",
    f"{DRAW}, int64 n, int64 half, float64 stddev, raw T x",
    "raw T y",
    _each_normal("y[e] = (W)x[e] + (W)stddev * normal;"),
    PHILOX,
)
_MULTIPLY = ElementwiseKernel(
    "gaussian_dropout",
    f"{DRAW}, int64 n, int64 half, float64 stddev, raw T x",
    "raw T y",
    _each_normal("y[e] = (W)x[e] * ((W)1 + (W)stddev * normal);"),
    PHILOX,
)
_SATURATE = ElementwiseKernel(
    "alpha_dropout",
    f"{DRAW}, int64 n, uint64 threshold, float64 keep, float64 saturation, float64 scale, raw T x",
    "raw T y",
    each_word("""
        W shifted = (W)x[e] - (W)saturation;
        y[e] = (shifted * (word < threshold ? (W)0 : (W)keep) + (W)saturation) * (W)scale;
    """),
    PHILOX,
)


def _has_words_for_pairs(x: Array, deviation: float, draw: Draw) -> bool:
    return is_floating(x) and draw.size == x.size + x.size % 2


def _with_noise(kernel: ElementwiseKernel, x: Array, stddev: float, draw: Draw) -> Array:
    y = CUPY.xp.empty(x.shape, dtype=x.dtype, device=x.device)
    if x.size:
        *words, _ = words_of(draw)
        kernel(*words, x.size, draw.size // 2, stddev, x, y, size=blocks(draw.size // 2))
    return y


@backend_kernel(KERNELS, accepts=_has_words_for_pairs)
def gaussian_noise(x: Array, stddev: float, draw: Draw) -> tuple[Array, Pullback]:
    return _with_noise(_ADD, x, stddev, draw), lambda dy: dy


@backend_kernel(KERNELS, accepts=_has_words_for_pairs)
def gaussian_dropout(x: Array, rate: float, draw: Draw) -> tuple[Array, Pullback]:
    stddev = math.sqrt(rate / (1.0 - rate))
    return _with_noise(_MULTIPLY, x, stddev, draw), lambda dy: _with_noise(_MULTIPLY, dy, stddev, draw)


def _accepts_alpha_dropout(x: Array, rate: float, draw: Draw, noise_shape: Sequence[int | None] | None = None) -> bool:
    return rate < 1.0 and has_a_word_for_each(x, rate, draw, noise_shape)


@backend_kernel(KERNELS, accepts=_accepts_alpha_dropout)
def alpha_dropout(
    x: Array, rate: float, draw: Draw, noise_shape: Sequence[int | None] | None = None
) -> tuple[Array, Pullback]:
    scale = (1.0 - rate) * ((1.0 - rate) * (1.0 + rate * _SATURATION**2)) ** -0.5
    keep, threshold = 1.0 / (1.0 - rate), round(rate * 2.0**32)

    def drop(kernel: ElementwiseKernel, values: Array, *numbers: float) -> Array:
        y = CUPY.xp.empty(values.shape, dtype=values.dtype, device=values.device)
        if draw.size:
            kernel(*words_of(draw), threshold, *numbers, values, y, size=blocks(draw.size))
        return y

    return drop(_SATURATE, x, keep, _SATURATION, scale), lambda dy: drop(DROPOUT, dy, keep * scale)
