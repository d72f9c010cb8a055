"""Examples of layers: noise, masks, axes and penalties."""

from __future__ import annotations

from nnx.layers.activity_regularization import ActivityRegularization
from nnx.layers.dropout import AlphaDropout, GaussianDropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D
from nnx.layers.masking import Masking
from nnx.layers.noise import GaussianNoise
from nnx.layers.reshaping import Permute, RepeatVector
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.one_input


_layer("GaussianNoise", lambda: GaussianNoise(0.3, seed=3), 4, 5)
_layer("GaussianNoise of an odd number", lambda: GaussianNoise(2.0, seed=3), 3, 3, 5)
_layer("GaussianNoise of nothing", lambda: GaussianNoise(0.0), 4, 5)
_layer("GaussianDropout", lambda: GaussianDropout(0.4, seed=3), 4, 5)
_layer("GaussianDropout of nothing", lambda: GaussianDropout(0.0), 4, 5)
_layer("AlphaDropout", lambda: AlphaDropout(0.3, seed=3), 4, 5)
_layer("AlphaDropout of features", lambda: AlphaDropout(0.3, noise_shape=(None, 1, None), seed=3), 2, 4, 5)
_layer("AlphaDropout of nothing", lambda: AlphaDropout(0), 4, 5)
_layer("SpatialDropout1D", lambda: SpatialDropout1D(0.4, seed=3), 3, 4, 5)
_layer("SpatialDropout2D", lambda: SpatialDropout2D(0.4, seed=3), 3, 2, 4, 5)
_layer("SpatialDropout3D", lambda: SpatialDropout3D(0.4, seed=3), 3, 2, 2, 3, 5)
_layer("SpatialDropout2D channels first", lambda: SpatialDropout2D(0.4, "channels_first", seed=3), 3, 5, 2, 4)
_layer("Permute", lambda: Permute((2, 1)), 2, 3, 4)
_layer("Permute of three", lambda: Permute([3, 1, 2]), 2, 3, 4, 5)
_layer("RepeatVector", lambda: RepeatVector(3), 4, 5)
_layer("ActivityRegularization", lambda: ActivityRegularization(l1=0.01, l2=0.02), 4, 5)
_layer("ActivityRegularization of nothing", lambda: ActivityRegularization(), 4, 5)
_layer("Masking", lambda: Masking(), 3, 4, 2)
_layer("Masking of another value", lambda: Masking(-1.5), 2, 3, 5)
