"""Rows of the functions of `nnx.functional`: arguments for comparing the pullback of each with the derived one.

A new function that returns a pullback needs its name here. Activations have rows of their own, of which these are made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx import functional
from nnx.random import Draw
from nnx.testing.rows.activations import ACTIVATIONS


class Constant:
    """An array of which the pullback has no cotangent."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)


Example = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments, arrays on the host among them, and options."""


@functools.cache
def function_rows() -> dict[str, list[Example]]:
    """For each function by name its examples. Floating arrays are float64, and away from kinks."""
    rows: dict[str, list[Example]] = {name: [] for name in ACTIVATIONS}
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape)

    def positive(*shape: int) -> np.ndarray:
        return random.uniform(0.1, 1.0, shape)

    def add(name: str, *arguments: Any, **options: Any) -> None:
        rows.setdefault(name, []).append((arguments, options))

    for name, row in ACTIVATIONS.items():
        for options in row.options:
            add(name, normal(3, 4), **options)
    _add_losses(add, normal, positive, random)
    _add_layers(add, normal, positive, random)
    _add_windows(add, normal)
    _add_recurrent(add, normal)
    return rows


Add = Callable[..., None]
Draws = Callable[..., np.ndarray]


def _add_losses(add: Add, normal: Draws, positive: Draws, random: np.random.Generator) -> None:
    for name in ("huber", "log_cosh", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_error"):
        add(name, Constant(normal(3, 4)), normal(3, 4))
    add("huber", Constant(normal(3, 4)), normal(3, 4), delta=0.3)
    for name in ("mean_squared_logarithmic_error", "poisson", "kl_divergence"):
        add(name, Constant(positive(3, 4)), positive(3, 4))
    add("cosine_similarity", Constant(normal(3, 4)), normal(3, 4))
    add("cosine_similarity", Constant(normal(3, 4)), normal(3, 4), axis=0)
    signs = Constant(np.sign(normal(3, 4)))
    add("hinge", signs, normal(3, 4))
    add("squared_hinge", signs, normal(3, 4))
    one_hot = Constant(np.eye(4)[random.integers(4, size=3)])
    add("categorical_hinge", one_hot, normal(3, 4))
    add("dice", one_hot, positive(3, 4))
    add("tversky", one_hot, positive(3, 4), alpha=0.3, beta=0.6)
    bits = Constant(random.integers(2, size=(3, 4)).astype(np.float64))
    shares = positive(3, 4) / 1.1
    shares = shares / shares.sum(axis=-1, keepdims=True)
    for smoothing in (0.0, 0.1):
        add("binary_crossentropy", bits, 0.9 * positive(3, 4), label_smoothing=smoothing)
        add("binary_crossentropy", bits, normal(3, 4), from_logits=True, label_smoothing=smoothing)
        add("categorical_crossentropy", one_hot, shares, label_smoothing=smoothing)
        add("categorical_crossentropy", one_hot, normal(3, 4), from_logits=True, label_smoothing=smoothing)
    add("binary_focal_crossentropy", bits, 0.9 * positive(3, 4), apply_class_balancing=True)
    add("binary_focal_crossentropy", bits, normal(3, 4), from_logits=True)
    add("categorical_focal_crossentropy", one_hot, shares)
    add("categorical_focal_crossentropy", one_hot, normal(3, 4), from_logits=True)
    labels = Constant([2, 0, 3])
    add("sparse_categorical_crossentropy", labels, shares)
    add("sparse_categorical_crossentropy", labels, normal(3, 4), from_logits=True)
    add("sparse_categorical_crossentropy", labels, normal(3, 4), from_logits=True, ignore_class=2)
    add("categorical_generalized_cross_entropy", labels, shares, q=0.3)
    add("circle", Constant([0, 1, 0, 1]), 0.5 * normal(4, 3), gamma=2.0)
    add("ctc", Constant([[1, 2, 2], [3, 0, 0]]), normal(2, 7, 4))


def _add_layers(add: Add, normal: Draws, positive: Draws, random: np.random.Generator) -> None:
    for name in ("add", "average", "concatenate", "maximum", "minimum", "multiply"):
        add(name, normal(3, 4), normal(3, 4), normal(3, 4))
    add("subtract", normal(3, 4), normal(3, 4))
    add("dot", normal(3, 4, 2), normal(3, 5, 2), axes=2)
    add("dot", normal(3, 4), normal(3, 4), axes=1, normalize=True)
    add("dense", normal(3, 4), normal(4, 2), normal(2))
    add("dense", normal(2, 3, 4), normal(4, 2), normal(2), functional.tanh)
    add("dense", normal(3, 4), normal(4, 2), None, functional.softmax)
    add("embedding", np.asarray([[2, 0], [2, 1]]), normal(3, 4))
    add("flatten", normal(2, 3, 4))
    add("permute", normal(2, 3, 4), (0, 2, 1))
    add("reshape", normal(2, 3, 4), (2, 4, 3))
    add("repeat_vector", normal(2, 3), 4)
    add("rescale", normal(2, 3), 2.0, 0.5)
    add("standardize", normal(2, 3), Constant(normal(3)), Constant(positive(3)))
    add("mask_steps", normal(2, 3, 4))
    add("prelu", normal(3, 4), normal(4))
    draw = Draw(7, 2**64, 12)
    for name in ("alpha_dropout", "dropout", "gaussian_dropout", "gaussian_noise"):
        add(name, normal(3, 4), 0.4, draw)
    for name in ("layer_normalization", "group_normalization"):
        add(name, normal(3, 5, 4), normal(4), normal(4), **({"groups": 2} if name.startswith("group") else {}))
        add(name, normal(3, 5, 4), **({"groups": 2} if name.startswith("group") else {}))
    add("rms_normalization", normal(3, 4), normal(4))
    add("deviation_normalization", normal(3, 4), normal(4))
    add("unit_normalization", normal(3, 4))
    add("batch_normalization", normal(5, 4), normal(4), normal(4))
    add("batch_normalization", normal(2, 3, 4), normal(3), normal(3), axis=1)
    add("batch_normalization_inference", normal(5, 4), Constant(normal(4)), Constant(positive(4)), normal(4), normal(4))
    add("dot_product_attention", normal(2, 3, 2, 4), normal(2, 5, 2, 4), normal(2, 5, 2, 3))
    add("dot_product_attention", *(normal(2, 3, 2, 4) for _ in range(3)), causal=True)


def _add_windows(add: Add, normal: Draws) -> None:
    for name in ("average_pool", "max_pool"):
        add(name, normal(2, 5, 6, 3), 2)
        add(name, normal(2, 7, 3), 3, 2, "same")
    for name in ("global_average_pool", "global_max_pool"):
        add(name, normal(2, 4, 5, 3))
        add(name, normal(2, 4, 3), keepdims=True)
    add("conv", normal(2, 5, 6, 4), normal(3, 2, 4, 5), normal(5))
    add("conv", normal(2, 7, 4), normal(3, 2, 6), normal(6), strides=2, padding="same", groups=2)
    add("conv", normal(2, 7, 4), normal(3, 4, 2), None, padding="causal", dilation=2)
    add("conv", normal(2, 5, 4), normal(2, 4, 3), normal(3), activate=functional.tanh)
    add("conv_transpose", normal(2, 4, 3, 4), normal(3, 2, 5, 4), normal(5), strides=2, padding="same")
    add("depthwise_conv", normal(2, 5, 6, 3), normal(3, 2, 3, 2), normal(6))
    add("separable_conv", normal(2, 5, 6, 3), normal(3, 2, 3, 2), normal(1, 1, 6, 4), normal(4))
    add("crop", normal(2, 5, 6, 3), ((1, 2), (0, 1)))
    add("zero_pad", normal(2, 5, 3), ((1, 2),))
    for interpolation in ("nearest", "bilinear"):
        add("upsample", normal(2, 3, 4, 2), 2, interpolation)
    turned = Constant([[[0.9, 0.2, 0.3], [-0.1, 1.1, 0.2]], [[1.0, 0.0, 0.7], [0.0, 1.0, 0.4]]])
    add("affine_transform", normal(2, 4, 5, 3), turned)


def _add_recurrent(add: Add, normal: Draws) -> None:
    gates = {"simple_rnn": 1, "gru": 3, "lstm": 4}
    for name, count in gates.items():
        units = 3
        states = [normal(2, units) for _ in range(2 if name == "lstm" else 1)]
        bias = normal(2, count * units) if name == "gru" else normal(count * units)
        weights = (normal(4, count * units), normal(units, count * units), bias)
        mask = np.asarray([[True, True, False, True, False], [True] * 5])
        add(name, normal(2, 5, 4), *states, *weights)
        add(name, normal(2, 5, 4), *states, *weights, mask, go_backwards=True)
