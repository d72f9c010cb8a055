"""Random numbers for CuPy, made on the device: Philox4x64-10 in the kernel, bit for bit what NumPy's generator gives.

A thread makes a block, which is eight 32-bit words, and uses all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends.base import Array
from nnx.kernels import backend_kernel
from nnx.kernels.cupy.cuda_kernels import CUPY, ElementwiseKernel, is_floating
from nnx.kernels.cupy.table import KERNELS
from nnx.random import Draw

PHILOX = """
__device__ void nnx_philox(unsigned long long* c, unsigned long long k0, unsigned long long k1) {
    const unsigned long long m0 = 0xD2E7470EE14C6C93ull, m1 = 0xCA5A826395121157ull;
    for (int round = 0; round < 10; ++round) {
        unsigned long long h0 = __umul64hi(m0, c[0]), l0 = m0 * c[0], h1 = __umul64hi(m1, c[2]), l1 = m1 * c[2];
        c[0] = h1 ^ c[1] ^ k0; c[1] = l1; c[2] = h0 ^ c[3] ^ k1; c[3] = l0;
        k0 += 0x9E3779B97F4A7C15ull; k1 += 0xBB67AE8584CAA73Bull;
    }
}
__device__ void nnx_words(unsigned int* words, unsigned long long offset, unsigned long long c0, unsigned long long c1,
                          unsigned long long c2, unsigned long long c3, unsigned long long k0, unsigned long long k1) {
    unsigned long long c[4] = {c0 + offset, c1, c2, c3};
    if (c[0] < offset && ++c[1] == 0 && ++c[2] == 0) ++c[3];
    nnx_philox(c, k0, k1);
    for (int j = 0; j < 4; ++j) { words[2 * j] = (unsigned int)c[j]; words[2 * j + 1] = (unsigned int)(c[j] >> 32); }
}
"""
DRAW = "uint64 c0, uint64 c1, uint64 c2, uint64 c3, uint64 k0, uint64 k1"
_WORDS = "unsigned int words[8]; nnx_words(words, i, c0, c1, c2, c3, k0, k1);"


def each_word(statement: str) -> str:
    """A statement for every element `e` that a thread makes, of `n`, with its word."""
    return f"""
    {_WORDS}
    for (int j = 0; j < 8; ++j) {{
        long long e = 8 * (long long)i + j;
        if (e < n) {{ unsigned int word = words[j]; {statement} }}
    }}
    """


_BELOW = ElementwiseKernel(
    "words_below",
    f"{DRAW}, int64 n, uint64 threshold",
    "raw bool y",
    each_word("y[e] = word < threshold;"),
    PHILOX,
)
_UNIFORM = ElementwiseKernel(
    "uniform",
    f"{DRAW}, int64 n",
    "raw T y",
    each_word("y[e] = (W)(word >> 8) * (W)5.9604644775390625e-8;"),
    PHILOX,
)
_WORD = (1 << 64) - 1


def words_of(draw: Draw) -> tuple[Any, ...]:
    """The counter and the key of a draw as 64-bit words, low ones first, and how many 32-bit words are wanted."""
    counter = [np.uint64(draw.counter >> 64 * j & _WORD) for j in range(4)]
    key = [np.uint64(draw.key >> 64 * j & _WORD) for j in range(2)]
    return (*counter, *key, draw.size)


def blocks(words: int) -> int:
    """Number of threads that make so many words."""
    return -(-words // 8)


@backend_kernel(KERNELS)
def words_below(like: Array, draw: Draw, threshold: int) -> Array:
    y = CUPY.xp.empty(like.shape, dtype=bool, device=like.device)
    if draw.size:
        _BELOW(*words_of(draw), threshold, y, size=blocks(draw.size))
    return y


@backend_kernel(KERNELS, accepts=lambda like, draw: is_floating(like))
def uniform_beside(like: Array, draw: Draw) -> Array:
    y = CUPY.xp.empty(like.shape, dtype=like.dtype, device=like.device)
    if draw.size:
        _UNIFORM(*words_of(draw), y, size=blocks(draw.size))
    return y
