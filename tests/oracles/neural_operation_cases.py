"""Calls of operations of neural networks, linear algebra, segments, control flow and images: they mean Keras' too.

Functions among the arguments are called with the `ops` that is tried, and return the argument.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnx.random import Generator
from tests.oracles.operation_cases import Case


def f(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32 numbers."""
    return Generator(seed + 1).normal(shape).astype(np.float32)


def u(*shape: int, seed: int = 0) -> np.ndarray:
    """float32 numbers between 0.05 and 0.95."""
    return Generator(seed + 1).uniform(shape, 0.05, 0.95).astype(np.float32)


def i(*shape: int, below: int = 5, seed: int = 0) -> np.ndarray:
    """int32 numbers from 0 to below - 1."""
    return np.floor(Generator(seed + 1).uniform(shape, 0.0, float(below))).astype(np.int32)


def spd(n: int, *batch: int) -> np.ndarray:
    """Symmetric positive definite matrices."""
    a = f(*batch, n, n, seed=5)
    return (a @ np.swapaxes(a, -1, -2) + n * np.eye(n)).astype(np.float32)


def shares(*shape: int, seed: int = 0) -> np.ndarray:
    """Probabilities along the last axis."""
    numbers = u(*shape, seed=seed)
    return (numbers / numbers.sum(axis=-1, keepdims=True)).astype(np.float32)


def row(name: str, *args: Any, **options: Any) -> Case:
    return Case(name, args, options)


X = np.concatenate([np.linspace(-6.1, 6.3, 21), [0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 30.0, -30.0]]).astype(np.float32)
INTS = np.asarray([-3, -1, 0, 1, 2, 7], np.int32)
TIES = np.asarray([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 0.0]], np.float32)
NANS = np.asarray([1.0, math.nan, 3.0, -math.inf, math.inf], np.float32)

POINTWISE = (
    *("celu", "elu", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu"),
    *("log_sigmoid", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softplus", "softsign", "sparse_plus"),
    *("sparse_sigmoid", "squareplus", "swish", "tanh_shrink"),
)

ACTIVATIONS = [
    *[row(name, X) for name in POINTWISE],
    *[row(name, [[-1.0, 2.0], [0.5, -0.25]]) for name in POINTWISE],
    *[row(name, INTS) for name in ("relu", "relu6", "elu", "softplus", "gelu", "leaky_relu")],
    row("relu", np.asarray([True, False])),
    row("celu", X, alpha=2.0),
    row("elu", X, alpha=0.5),
    row("gelu", X, approximate=False),
    row("leaky_relu", X, negative_slope=0.01),
    row("hard_shrink", X, threshold=1.0),
    row("soft_shrink", X, 1.0),
    row("threshold", X, 0.5, -7.0),
    row("threshold", X, -0.5, 0.0),
    row("squareplus", X, b=1),
    row("glu", f(3, 4)),
    row("glu", f(4, 3), axis=0),
    row("softmax", f(3, 4)),
    row("softmax", f(3, 4), axis=0),
    row("softmax", f(2, 3, 4), axis=(0, 2)),
    row("softmax", f(3), -1),
    row("softmax", 100.0 * f(3, 4)),
    row("log_softmax", f(3, 4)),
    row("log_softmax", f(3, 4), axis=0),
    row("log_softmax", f(2, 3, 4), axis=(1, 2)),
    row("log_softmax", 100.0 * f(3, 4)),
]

CONVOLUTIONS = [
    row("conv", f(2, 7, 3), f(3, 3, 4)),
    row("conv", f(2, 7, 3), f(3, 3, 4), strides=2, padding="same"),
    row("conv", f(2, 7, 3), f(2, 3, 4), dilation_rate=2, padding="same"),
    row("conv", f(2, 6, 7, 3), f(3, 2, 3, 5)),
    row("conv", f(2, 6, 7, 3), f(3, 2, 3, 5), 2, "same"),
    row("conv", f(2, 6, 7, 3), f(3, 2, 3, 5), strides=(1, 2)),
    row("conv", f(2, 6, 7, 4), f(3, 3, 2, 6), padding="same"),
    row("conv", f(2, 3, 6, 7), f(3, 3, 3, 4), data_format="channels_first"),
    row("conv_transpose", f(2, 5, 3), f(3, 4, 3)),
    row("conv_transpose", f(2, 5, 3), f(3, 4, 3), strides=2, padding="same"),
    row("conv_transpose", f(2, 4, 5, 3), f(3, 3, 2, 3), strides=2),
    row("conv_transpose", f(2, 4, 5, 3), f(3, 3, 2, 3), strides=2, padding="same", output_padding=1),
    row("depthwise_conv", f(2, 7, 3), f(3, 3, 2)),
    row("depthwise_conv", f(2, 6, 7, 3), f(3, 2, 3, 2), padding="same"),
    row("depthwise_conv", f(2, 6, 7, 3), f(3, 3, 3, 1), strides=2),
    row("separable_conv", f(2, 7, 3), f(3, 3, 2), f(1, 6, 4)),
    row("separable_conv", f(2, 6, 7, 3), f(3, 3, 3, 2), f(1, 1, 6, 4), strides=2, padding="same"),
    row("max_pool", f(2, 7, 3), 2, 2),
    row("max_pool", f(2, 7, 3), 3, strides=2, padding="same"),
    row("max_pool", f(2, 6, 7, 3), 2, 2),
    row("max_pool", f(2, 6, 7, 3), (2, 3), (1, 2), padding="same"),
    row("max_pool", f(2, 3, 6, 7), 2, 2, data_format="channels_first"),
    row("average_pool", f(2, 7, 3), 2, 2),
    row("average_pool", f(2, 7, 3), 3, strides=2, padding="same"),
    row("average_pool", f(2, 6, 7, 3), (2, 3), (1, 2), padding="same"),
    row("average_pool", f(2, 3, 6, 7), 2, 2, data_format="channels_first"),
    row("adaptive_average_pool", f(2, 7, 3), 3),
    row("adaptive_average_pool", f(2, 6, 8, 3), (3, 4)),
    row("adaptive_average_pool", f(2, 7, 5, 3), (3, 2)),
    row("adaptive_average_pool", f(2, 3, 6, 8), 2, data_format="channels_first"),
    row("adaptive_max_pool", f(2, 8, 3), 4),
    row("adaptive_max_pool", f(2, 6, 8, 3), 2),
    row("unfold", f(2, 3, 6, 7), 2),
    row("unfold", f(2, 3, 6, 7), (2, 3), padding=1, stride=2),
    row("unfold", f(2, 3, 6, 7), 2, dilation=2),
    row("fold", f(2, 12, 30), (6, 7), 2),
    row("fold", f(2, 12, 9), (6, 6), 2, stride=2),
    row("fold", f(2, 12, 16), (6, 6), 2, padding=1, stride=2),
    row("depth_to_space", f(2, 3, 4, 12), 2),
    row("depth_to_space", f(2, 12, 3, 4), 2, data_format="channels_first"),
    row("space_to_depth", f(2, 4, 6, 3), 2),
    row("space_to_depth", f(2, 3, 4, 6), 2, data_format="channels_first"),
]

ENCODINGS = [
    row("one_hot", i(4), 5),
    row("one_hot", i(2, 3), 5),
    row("one_hot", i(2, 3), 5, axis=0),
    row("one_hot", i(2, 3), 5, axis=1),
    row("one_hot", np.asarray([-1, 0, 7]), 3),
    row("one_hot", [0, 2], 3, dtype="int32"),
    row("one_hot", 1, 3),
    row("multi_hot", i(4), 5),
    row("multi_hot", i(2, 3), 5),
    row("multi_hot", np.asarray([[-1, 0], [7, 2]]), 3),
    row("multi_hot", i(2, 3), 5, dtype="int32"),
]

LABELS = np.asarray([[1, 2, 2], [3, 1, 0]], np.int32)
LOSSES = [
    row("binary_crossentropy", i(3, 4, below=2).astype(np.float32), u(3, 4)),
    row("binary_crossentropy", u(3, 4, seed=1), u(3, 4)),
    row("binary_crossentropy", u(3, 4, seed=1), 5.0 * f(3, 4), from_logits=True),
    row("binary_crossentropy", [0.0, 1.0], [0.0, 1.0]),
    row("categorical_crossentropy", shares(3, 4), shares(3, 4, seed=2)),
    row("categorical_crossentropy", shares(3, 4), u(3, 4, seed=2)),
    row("categorical_crossentropy", shares(3, 4), f(3, 4), from_logits=True),
    row("categorical_crossentropy", shares(3, 4).T.copy(), u(4, 3), axis=0),
    row("sparse_categorical_crossentropy", i(3, below=4), shares(3, 4)),
    row("sparse_categorical_crossentropy", i(3, 1, below=4), u(3, 4)),
    row("sparse_categorical_crossentropy", i(2, 3, below=4), f(2, 3, 4), from_logits=True),
    row("ctc_loss", LABELS, f(2, 7, 5), np.asarray([3, 2]), np.asarray([7, 6])),
    row("ctc_decode", 3.0 * f(2, 6, 4), np.asarray([6, 4])),
    row("ctc_decode", 3.0 * f(2, 6, 4), np.asarray([6, 4]), merge_repeated=False),
    row("ctc_decode", 3.0 * f(2, 6, 4), np.asarray([6, 4]), mask_index=3),
    row("ctc_decode", 3.0 * f(2, 4, 3), np.asarray([4, 3]), strategy="beam_search", beam_width=8, top_paths=2),
    row("psnr", f(2, 3), f(2, 3, seed=1), 2.0),
    row("psnr", f(4), f(4, seed=1), 255),
]

NORMALIZATIONS = [
    row("moments", f(3, 4), 0),
    row("moments", f(3, 4, 5), (0, 2)),
    row("moments", f(3, 4), [1], keepdims=True),
    row("moments", np.asarray([500.0, 502.0], np.float16), 0),
    row("batch_normalization", f(3, 4), f(4, seed=1), u(4), -1),
    row("batch_normalization", f(3, 4, 2), f(4, seed=1), u(4), 1, f(4, seed=2), f(4, seed=3), 1e-2),
    row("batch_normalization", f(3, 4), f(4, seed=1), u(4), axis=-1, scale=f(4)),
    row("layer_normalization", f(3, 4)),
    row("layer_normalization", f(3, 4), f(4, seed=1), f(4, seed=2), epsilon=1e-3),
    row("layer_normalization", f(3, 4, 5), axis=(1, 2)),
    row("rms_normalization", f(3, 4)),
    row("rms_normalization", f(3, 4), f(4, seed=1), epsilon=1e-3),
    row("normalize", f(3, 4)),
    row("normalize", f(3, 4), axis=0),
    row("normalize", f(3, 4), order=1),
    row("normalize", f(3, 4), order=3),
    row("normalize", [[0.0, 0.0], [3.0, 4.0]]),
]

Q, K, V = f(2, 4, 4, 8), f(2, 5, 4, 8, seed=1), f(2, 5, 4, 8, seed=2)
MASK = i(2, 1, 4, 5, below=2).astype(bool)
ATTENTIONS = [
    row("dot_product_attention", Q, K, V),
    row("dot_product_attention", Q, K, V, scale=0.5),
    row("dot_product_attention", Q, K, V, bias=f(2, 4, 4, 5, seed=3)),
    row("dot_product_attention", Q, K, V, mask=MASK),
    row("dot_product_attention", Q, K, V, mask=np.zeros((2, 4, 4, 5), bool)),
    row("dot_product_attention", Q, Q, Q, is_causal=True),
    row("dot_product_attention", Q, K[:, :, :2], V[:, :, :2]),
]

LINALG = [
    row("cholesky", spd(3)),
    row("cholesky", spd(3, 2)),
    row("cholesky", spd(3), upper=True),
    row("cholesky_inverse", np.tril(spd(3))),
    row("cholesky_inverse", np.triu(spd(3)), upper=True),
    row("det", f(3, 3)),
    row("det", f(2, 3, 3)),
    row("logdet", spd(3)),
    row("logdet", f(2, 3, 3)),
    row("inv", spd(3)),
    row("inv", spd(3, 2)),
    row("lstsq", f(5, 3), f(5)),
    row("lstsq", f(5, 3), f(5, 2)),
    row("lstsq", f(3, 5), f(3, 2)),
    row("lu_factor", f(4, 4)),
    row("lu_factor", f(2, 3, 3)),
    row("lu_factor", f(2, 4, 3)),
    row("lu_factor", f(3, 5)),
    row("matrix_rank", np.ones((3, 3), np.float32)),
    row("matrix_rank", spd(3, 2)),
    row("matrix_rank", np.diag([3.0, 1.0, 0.01]).astype(np.float32), tol=0.1),
    row("pinv", f(3, 5)),
    row("pinv", f(2, 5, 3)),
    row("solve", spd(3), f(3)),
    row("solve", spd(3), f(3, 2)),
    row("solve", spd(3, 2), f(2, 3, 4)),
    row("solve_triangular", spd(3), f(3)),
    row("solve_triangular", spd(3), f(3, 2), lower=True),
    row("svd", f(4, 3), compute_uv=False),
    row("norm", f(4)),
    row("norm", f(3, 4)),
    row("norm", f(2, 3, 4)),
    row("norm", INTS),
    *[row("norm", f(4), ord=o) for o in (1, 2, 3, 0, -1, math.inf, -math.inf)],
    *[row("norm", f(3, 4), ord=o) for o in (1, -1, 2, -2, math.inf, -math.inf, "fro", "nuc")],
    row("norm", f(3, 4), axis=1),
    row("norm", f(3, 4), ord=1, axis=0, keepdims=True),
    row("norm", f(2, 3, 4), axis=(1, 2)),
    row("norm", f(2, 3, 4), ord=2, axis=(0, 2), keepdims=True),
    row("norm", f(2, 3, 4), ord="nuc", axis=(2, 0)),
    row("norm", np.zeros((3,), np.float32)),
    row("jvp", lambda ops: lambda x: ops.sum(x * x), (f(3),), (f(3, seed=1),)),
    row("jvp", lambda ops: lambda x, y: x * y + ops.exp(x), (f(3), f(3)), (f(3, seed=1), f(3, seed=2))),
    row("jvp", lambda ops: lambda x: (ops.sigmoid(x), ops.sum(x)), (f(3),), (f(3, seed=1),), has_aux=True),
]

MATH = [
    row("cdist", f(4, 3), f(5, 3, seed=1)),
    row("cdist", f(2, 4, 3), f(2, 5, 3, seed=1)),
    *[row(name, X / 3.0) for name in ("erf", "erfc")],
    row("erfinv", np.linspace(-0.999, 0.999, 25).astype(np.float32)),
    row("erfinv", np.asarray([-1.0, 0.0, 1.0, 1e-6, 0.9999999, 2.0], np.float32)),
    row("rsqrt", u(5)),
    row("logsumexp", f(3, 4)),
    row("logsumexp", f(3, 4), axis=0),
    row("logsumexp", f(3, 4, 2), axis=(0, 2), keepdims=True),
    row("logsumexp", 1000.0 * f(3, 4), axis=-1),
    row("logsumexp", np.full((2, 2), -np.inf, np.float32), axis=1),
    row("logsumexp", np.asarray([np.inf, 1.0], np.float32)),
    row("in_top_k", i(4), f(4, 5), 2),
    row("in_top_k", np.asarray([1, 3, 0]), np.concatenate([TIES, TIES[:1]]), 1),
    row("top_k", f(3, 6), 2),
    row("top_k", TIES, 3),
    row("top_k", i(2, 6), 4),
    row("top_k", NANS, 3),
    row("extract_sequences", f(10), 4, 2),
    row("extract_sequences", f(2, 3, 10), 3, 3),
    row("segment_sum", f(6), i(6, below=4), 4),
    row("segment_sum", f(6, 2, 3), i(6, below=4), 5),
    row("segment_sum", i(6), i(6, below=4, seed=2), num_segments=4),
    row("segment_sum", f(3), np.asarray([-1, 1, 9]), 3),
    row("segment_max", f(6), i(6, below=4), 4),
    row("segment_max", f(6, 2, 3), i(6, below=4), 6),
    row("segment_max", i(6), i(6, below=4, seed=2), 6),
    row("segment_min", f(6), i(6, below=4), 4),
    row("segment_min", f(6, 2), i(6, below=4), 6),
    row("segment_min", i(6), i(6, below=4, seed=2), 6),
    row("segment_prod", f(6), i(6, below=4), 5),
    row("segment_prod", f(6, 2), i(6, below=4), 4),
    row("fft", (f(8), f(8, seed=1))),
    row("fft", (f(2, 7), f(2, 7, seed=1))),
    row("fft2", (f(4, 6), f(4, 6, seed=1))),
    row("ifft2", (f(2, 4, 5), f(2, 4, 5, seed=1))),
    row("rfft", f(8)),
    row("rfft", f(2, 7)),
    row("rfft", f(2, 7), fft_length=10),
    row("rfft", f(2, 7), 5),
    row("irfft", (f(5), f(5, seed=1))),
    row("irfft", (f(2, 5), f(2, 5, seed=1)), fft_length=9),
    row("irfft", (f(2, 5), f(2, 5, seed=1)), 6),
    row("irfft", (f(2, 5), f(2, 5, seed=1)), 12),
    row("stft", f(40), 16, 8, 16),
    row("stft", f(2, 40), 12, 4, 16, window="hamming"),
    row("stft", f(2, 40), 12, 4, 16, window=None, center=False),
    row("stft", f(40), 8, 4, 8, window=u(8)),
    row("istft", (f(6, 9), f(6, 9, seed=1)), 16, 8, 16),
    row("istft", (f(2, 6, 9), f(2, 6, 9, seed=1)), 12, 4, 16, window="hamming"),
    row("istft", (f(6, 9), f(6, 9, seed=1)), 16, 8, 16, length=30),
    row("view_as_complex", f(3, 2)),
    row("view_as_real", (f(3) + 1j * f(3, seed=1)).astype(np.complex64)),
    row("polar", u(4), f(4)),
]

CORE = [
    row("cast", [1.7, -1.7], "int32"),
    row("cast", INTS, "float16"),
    row("cast", INTS, "bool"),
    row("cast", np.asarray([True, False]), "float32"),
    row("saturate_cast", np.asarray([-7.5, 2.5, 300.0], np.float32), "uint8"),
    row("saturate_cast", np.asarray([1e20, -1e20, 5.0], np.float32), "int32"),
    row("saturate_cast", np.asarray([-300, 5, 300], np.int32), "int8"),
    row("saturate_cast", np.asarray([1e6, 1.0], np.float32), "float16"),
    row("convert_to_tensor", [1.0, 2.0]),
    row("convert_to_tensor", [1, 2]),
    row("convert_to_tensor", 3.0),
    row("convert_to_tensor", [True, False]),
    row("convert_to_tensor", INTS, dtype="float32"),
    row("convert_to_numpy", f(3)),
    row("is_tensor", 1.0),
    row("is_tensor", [1.0]),
    row("shape", f(2, 3)),
    row("stop_gradient", f(3)),
    row("unstack", f(3, 2)),
    row("unstack", f(3, 2), axis=1),
    row("unstack", f(3, 2), 2, -1),
    row("slice", INTS, [5], [2]),
    row("slice", f(4, 5), [1, 2], [2, 3]),
    row("slice", f(4, 5), [1, 2], [-1, 2]),
    row("slice", f(4, 5), np.asarray([3, 3]), (2, 2)),
    row("slice_update", f(4, 5), [1, 2], f(2, 3, seed=1)),
    row("slice_update", f(4, 5), [3, 4], f(2, 2, seed=1)),
    row("slice_update", INTS, [1], np.asarray([20, 30], np.int32)),
    row("scatter", np.asarray([[0], [2], [0]]), np.asarray([1.0, 2.0, 4.0], np.float32), (3,)),
    row("scatter", i(5, 1), f(5, 3), (6, 3)),
    row("scatter", i(4, 2, below=3), f(4), (3, 3)),
    row("scatter", i(4, 2, below=3), i(4), (3, 4)),
    row("scatter", i(2, 2, 1, below=3), f(2, 2, 3), (3, 3)),
    row("scatter_update", f(4), [[0], [2]], [9.0, 8.0]),
    row("scatter_update", f(4, 3), [[1], [3]], f(2, 3, seed=1)),
    row("scatter_update", f(4, 3), [[1, 2], [3, 0]], [9.0, 8.0]),
    *[
        row("scatter_update", f(4), np.asarray([[1], [3], [1]]), f(3, seed=1), reduction=reduction)
        for reduction in ("add", "max", "min", "mul")
    ],
    row("cond", True, lambda ops: lambda: ops.sum(f(3)), lambda ops: lambda: ops.max(f(3))),
    row("cond", False, lambda ops: lambda: ops.sum(f(3)), lambda ops: lambda: ops.max(f(3))),
    *[row("switch", n, lambda ops: [lambda x: x + 1.0, lambda x: x * 2.0, ops.exp], f(3)) for n in (0, 1, 2, 7, -2)],
    row("while_loop", lambda ops: lambda n: n < 10, lambda ops: lambda n: n * 2, 1),
    row("while_loop", lambda ops: lambda n, x: n < 3, lambda ops: lambda n, x: (n + 1, x * 2.0), (0, f(3))),
    row("while_loop", lambda ops: lambda n: n < 10, lambda ops: lambda n: n * 2, 1, maximum_iterations=2),
    row("fori_loop", 0, 4, lambda ops: lambda n, x: x + n, f(3)),
    row("scan", lambda ops: lambda c, x: (c + x, c * x), np.float32(0.0), f(4)),
    row("scan", lambda ops: lambda c, x: (c + x, c * x), f(3), f(4, 3), reverse=True),
    row("scan", lambda ops: lambda c, x: (c + x[0] * x[1], x[0]), np.float32(0.0), (f(4), f(4, seed=1))),
    row("map", lambda ops: lambda x: ops.sum(x), f(4, 3)),
    row("map", lambda ops: lambda x: (x * 2.0, ops.exp(x)), f(4, 3)),
    row("vectorized_map", lambda ops: lambda x: ops.max(x), f(4, 3)),
    row("associative_scan", lambda ops: lambda a, b: a + b, f(7)),
    row("associative_scan", lambda ops: lambda a, b: a * b, f(3, 6), axis=1),
    row("associative_scan", lambda ops: lambda a, b: a + b, f(7), reverse=True),
    row("associative_scan", lambda ops: lambda a, b: a @ b, f(5, 2, 2)),
    row("associative_scan", lambda ops: lambda a, b: a @ b, f(5, 2, 2), reverse=True),
]

RGB = u(2, 6, 7, 3)
BYTES = i(5, 6, 3, below=256).astype(np.uint8)
MAPS = np.asarray([[1.0, 0.1, -0.5, 0.2, 0.9, 0.3, 0.0, 0.0], [0.8, 0.0, 1.0, 0.0, 1.1, -1.0, 0.0, 0.0]], np.float32)
CORNERS = np.asarray([[0.0, 0.0], [6.0, 0.0], [0.0, 5.0], [6.0, 5.0]], np.float32)
MOVED = CORNERS + np.asarray([[0.5, 0.2], [-0.4, 0.3], [0.3, -0.6], [-0.7, -0.2]], np.float32)
KERNELS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
MODES = ("constant", "nearest", "reflect", "mirror", "wrap")
PLACES = np.asarray([[-1.3, 0.4, 2.0, 3.6, 5.2], [0.0, 1.5, -2.2, 4.1, 3.3]], np.float32)

IMAGES = [
    *[
        row("image.resize", RGB, (9, 5), interpolation=k)
        for k in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")
    ],
    *[row("image.resize", RGB, (3, 4), interpolation=k, antialias=True) for k in ("bilinear", "bicubic")],
    row("image.resize", RGB[0], (12, 12)),
    row("image.resize", RGB, (8, 4), crop_to_aspect_ratio=True),
    row("image.resize", RGB, (8, 4), pad_to_aspect_ratio=True, fill_value=0.5),
    row("image.resize", RGB, (4, 8), pad_to_aspect_ratio=True),
    row("image.resize", RGB, (5, 5), data_format="channels_first"),
    row("image.resize", BYTES, (4, 4), "nearest"),
    row("image.resize", BYTES, (7, 8), "bilinear"),
    row("image.scale_and_translate", RGB, (2, 8, 9, 3), [1.2, 1.1], [0.5, -0.5], (1, 2), "linear"),
    row("image.scale_and_translate", RGB, (2, 4, 4, 3), [0.5, 0.6], [0.0, 0.2], (1, 2), "cubic"),
    row("image.scale_and_translate", RGB, (2, 4, 4, 3), [0.5, 0.6], [0.0, 0.2], (1, 2), "lanczos3", antialias=False),
    row("image.crop_images", RGB, 1, 2, 1, 1),
    row("image.crop_images", RGB[0], top_cropping=1, left_cropping=2, target_height=3, target_width=4),
    row("image.crop_images", RGB, bottom_cropping=1, right_cropping=2, target_height=3, target_width=4),
    row("image.pad_images", RGB, 1, 2, 0, 1),
    row("image.pad_images", RGB[0], top_padding=1, left_padding=2, target_height=9, target_width=10),
    row("image.pad_images", RGB, 1, 2, 0, 1, data_format="channels_first"),
    row("image.rgb_to_grayscale", RGB),
    row("image.rgb_to_grayscale", RGB[0]),
    row("image.rgb_to_grayscale", BYTES),
    row("image.rgb_to_grayscale", u(2, 3, 4, 5), data_format="channels_first"),
    row("image.rgb_to_hsv", RGB),
    row("image.rgb_to_hsv", np.zeros((2, 2, 3), np.float32)),
    row("image.rgb_to_hsv", u(2, 3, 4, 5), data_format="channels_first"),
    row("image.hsv_to_rgb", RGB),
    row("image.hsv_to_rgb", u(2, 3, 4, 5), data_format="channels_first"),
    *[row("image.map_coordinates", f(4, 5), PLACES, 1, fill_mode=mode) for mode in MODES],
    *[row("image.map_coordinates", f(4, 5), PLACES, 0, fill_mode=mode) for mode in MODES],
    row("image.map_coordinates", f(4, 5), PLACES, 1, fill_value=2.0),
    row("image.map_coordinates", i(4, 5, below=100), PLACES, 1, "nearest"),
    row("image.map_coordinates", f(6), PLACES[:1].reshape(1, 5, 1), 1, "nearest"),
    *[row("image.affine_transform", RGB, MAPS, fill_mode=mode) for mode in MODES],
    row("image.affine_transform", RGB, MAPS, interpolation="nearest", fill_value=0.25),
    row("image.affine_transform", RGB[0], MAPS[0]),
    row("image.perspective_transform", RGB[0], CORNERS, MOVED),
    row("image.perspective_transform", RGB, np.stack([CORNERS, MOVED]), np.stack([MOVED, CORNERS]), fill_value=0.5),
    row("image.gaussian_blur", RGB, data_format="channels_last"),
    row("image.gaussian_blur", RGB[0], (5, 5), (2.0, 2.0), data_format="channels_last"),
    row("image.gaussian_blur", u(2, 3, 6, 7), (3, 3), (0.7, 0.7), data_format="channels_first"),
    row("image.sobel_edges", RGB),
    row("image.sobel_edges", u(2, 3, 6, 7), data_format="channels_first"),
    row("image.ssim", u(2, 16, 16, 3), u(2, 16, 16, 3, seed=1)),
    row("image.ssim", u(14, 14, 1), u(14, 14, 1, seed=1), filter_size=7, filter_sigma=1.0),
    row("image.extract_patches", RGB, 2),
    row("image.extract_patches", RGB, (3, 2), strides=1, padding="same"),
    row("image.extract_patches", RGB, 2, strides=1, dilation_rate=2),
    row("image.extract_patches", RGB[0], 3),
    row("image.extract_patches_3d", f(2, 4, 5, 6, 2), 2),
    row("image.extract_patches_3d", f(2, 4, 5, 6, 2), (2, 3, 2), strides=1, padding="same"),
    row("image.extract_patches_3d", f(4, 5, 6, 2), 2, strides=(2, 1, 2)),
]

ROWS: list[Case] = [
    *ACTIVATIONS,
    *CONVOLUTIONS,
    *ENCODINGS,
    *LOSSES,
    *NORMALIZATIONS,
    *ATTENTIONS,
    *LINALG,
    *MATH,
    *CORE,
    *IMAGES,
]
