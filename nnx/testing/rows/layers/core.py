"""Examples of layers: dense layers, activations, dropout, shapes."""

from __future__ import annotations

from typing import Any

from nnx import layers
from nnx.layers.operation import ActivationWithOptions
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.one_input


def scale_by_three(x: Any) -> Any:
    """A function for `Lambda`: x * 3, and its pullback."""
    return x * 3.0, lambda dy: dy * 3.0


_layer("Dense", lambda: layers.Dense(3), 4, 5)
_layer("Dense relu", lambda: layers.Dense(3, activation="relu"), 4, 5)
_layer("Dense softmax", lambda: layers.Dense(3, activation="softmax"), 4, 5)
_layer("Dense without bias", lambda: layers.Dense(3, "tanh", use_bias=False), 4, 5)
_layer("Dense of sequences", lambda: layers.Dense(3, "sigmoid"), 2, 4, 5)
_layer("Dense of one sample", lambda: layers.Dense(1), 1, 1)
_layer(
    "Dense regularised",
    lambda: layers.Dense(3, kernel_regularizer="l2", bias_regularizer="l1", activity_regularizer="l2"),
    4,
    5,
)
_layer("Dense constrained", lambda: layers.Dense(3, kernel_constraint="max_norm", bias_constraint="non_neg"), 4, 5)
_layer("Activation", lambda: layers.Activation("gelu"), 4, 5)
_layer("ActivationWithOptions", lambda: ActivationWithOptions("leaky_relu", {"negative_slope": 0.1}), 4, 5)
_layer("Activation linear", lambda: layers.Activation(None), 4, 5)
_layer("ReLU", lambda: layers.ReLU(), 4, 5)
_layer("ReLU bounded", lambda: layers.ReLU(max_value=1.0, negative_slope=0.1, threshold=0.2), 4, 5)
_layer("LeakyReLU", lambda: layers.LeakyReLU(), 4, 5)
_layer("ELU", lambda: layers.ELU(0.7), 4, 5)
_layer("PReLU", lambda: layers.PReLU("glorot_uniform"), 4, 5)
_layer("PReLU shared", lambda: layers.PReLU("ones", shared_axes=[1]), 2, 4, 5)
_layer("Softmax", lambda: layers.Softmax(), 4, 5)
_layer("Softmax of another axis", lambda: layers.Softmax(axis=1), 2, 4, 5)
_layer("Dropout", lambda: layers.Dropout(0.4, seed=3), 4, 5)
_layer("Dropout of features", lambda: layers.Dropout(0.4, noise_shape=(None, 1, None), seed=3), 2, 4, 5)
_layer("Dropout of nothing", lambda: layers.Dropout(0.0), 4, 5)
_layer("Identity", lambda: layers.Identity(), 4, 5)
_layer("Flatten", lambda: layers.Flatten(), 2, 4, 5)
_layer("Flatten vectors", lambda: layers.Flatten(), 2, 4)
_layer("Reshape", lambda: layers.Reshape((5, -1)), 2, 4, 5)
_layer("Lambda", lambda: layers.Lambda(scale_by_three), 4, 5)
_layer("InputLayer", lambda: layers.InputLayer(shape=(5,)), 4, 5)
_layer("EinsumDense", lambda: layers.EinsumDense("ab,bc->ac", 3), 4, 5)
_layer("EinsumDense of sequences", lambda: layers.EinsumDense("abc,cd->abd", (None, 3), "tanh", "bd"), 2, 4, 5)
_layer("EinsumDense of heads", lambda: layers.EinsumDense("...x,xhd->...hd", (2, 3), bias_axes="h"), 2, 4, 5)
_layer("EinsumDense at the end", lambda: layers.EinsumDense("ab...,bc->ac...", 3, bias_axes="c"), 2, 5, 4)
