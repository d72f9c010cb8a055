"""Examples of layers: normalisation."""

from __future__ import annotations

from nnx.layers import Conv2D, Dense
from nnx.layers.batch_normalization import BatchNormalization
from nnx.layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from nnx.layers.spectral_normalization import SpectralNormalization
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.one_input


_layer("BatchNormalization", lambda: BatchNormalization(), 4, 5)
_layer("BatchNormalization of sequences", lambda: BatchNormalization(epsilon=1e-2, momentum=0.7), 3, 4, 5)
_layer("BatchNormalization of images", lambda: BatchNormalization(), 2, 5, 3, 4)
_layer("BatchNormalization channels first", lambda: BatchNormalization(axis=1), 2, 4, 5, 3)
_layer("BatchNormalization of an axis inside", lambda: BatchNormalization(axis=[-2]), 3, 2, 4, 5)
_layer("BatchNormalization without scale", lambda: BatchNormalization(scale=False), 4, 5)
_layer("BatchNormalization without center", lambda: BatchNormalization(center=False), 4, 5)
_layer("BatchNormalization alone", lambda: BatchNormalization(center=False, scale=False), 4, 5)
_layer("BatchNormalization frozen", lambda: BatchNormalization(trainable=False), 4, 5)
_layer(
    "BatchNormalization regularised",
    lambda: BatchNormalization(
        gamma_initializer="uniform",
        beta_initializer="normal",
        gamma_regularizer="l2",
        beta_regularizer="l1",
        gamma_constraint="non_neg",
        beta_constraint="max_norm",
    ),
    *(4, 5),
)
_layer("BatchNormalization of many features", lambda: BatchNormalization(), 2, 3, 37, 41)
_layer("LayerNormalization", lambda: LayerNormalization(), 4, 5)
_layer("LayerNormalization of sequences", lambda: LayerNormalization(epsilon=1e-6), 2, 3, 6)
_layer("LayerNormalization of two axes", lambda: LayerNormalization(axis=[-2, -1]), 2, 3, 4)
_layer("LayerNormalization of an axis inside", lambda: LayerNormalization(axis=1), 2, 5, 3)
_layer("LayerNormalization of distant axes", lambda: LayerNormalization(axis=(3, 1)), 2, 3, 4, 5)
_layer("LayerNormalization without scale", lambda: LayerNormalization(scale=False), 4, 5)
_layer("LayerNormalization without center", lambda: LayerNormalization(center=False), 4, 5)
_layer("LayerNormalization alone", lambda: LayerNormalization(center=False, scale=False), 4, 5)
_layer("LayerNormalization rms_scaling", lambda: LayerNormalization(rms_scaling=True), 4, 5)
_layer("LayerNormalization of many rows", lambda: LayerNormalization(), 3, 97, 31)
_layer("GroupNormalization", lambda: GroupNormalization(groups=2), 4, 6)
_layer("GroupNormalization of images", lambda: GroupNormalization(groups=3, epsilon=1e-5), 2, 5, 3, 6)
_layer("GroupNormalization channels first", lambda: GroupNormalization(groups=2, axis=1), 2, 6, 3, 4)
_layer("GroupNormalization of one group", lambda: GroupNormalization(groups=1), 2, 3, 4)
_layer("GroupNormalization of instances", lambda: GroupNormalization(groups=-1), 2, 7, 4)
_layer("GroupNormalization without scale", lambda: GroupNormalization(groups=2, scale=False), 2, 5, 4)
_layer("GroupNormalization without center", lambda: GroupNormalization(groups=2, center=False), 2, 5, 4)
_layer("GroupNormalization alone", lambda: GroupNormalization(groups=2, center=False, scale=False), 2, 5, 4)
_layer("RMSNormalization", lambda: RMSNormalization(), 4, 5)
_layer("RMSNormalization of two axes", lambda: RMSNormalization(axis=(-1, -2), epsilon=1e-3), 2, 3, 4)
_layer("RMSNormalization of an axis inside", lambda: RMSNormalization(axis=1), 2, 5, 3)
_layer("UnitNormalization", lambda: UnitNormalization(), 4, 5)
_layer("UnitNormalization of two axes", lambda: UnitNormalization(axis=[1, 2]), 2, 3, 4)
_layer("SpectralNormalization", lambda: SpectralNormalization(Dense(3, "tanh"), 200), 4, 5)
_layer("SpectralNormalization of images", lambda: SpectralNormalization(Conv2D(3, 2, use_bias=False), 200), 2, 3, 4, 2)
