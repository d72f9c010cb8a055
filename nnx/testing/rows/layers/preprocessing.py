"""Examples of layers: scaling of features, and random changes of images."""

from __future__ import annotations

from nnx.layers.feature_normalization import Normalization
from nnx.layers.random_flip import RandomFlip
from nnx.layers.random_transforms import RandomRotation, RandomTranslation, RandomZoom
from nnx.layers.rescaling import Rescaling
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.one_input


_layer("Rescaling", lambda: Rescaling(0.5, -1), 4, 5)
_layer("Rescaling of channels", lambda: Rescaling([0.5, 2.0, 0.1], [[1.0, 0.0, -1.0]]), 2, 3, 4, 3)
_layer("Normalization", lambda: Normalization(), 4, 5)
_layer("Normalization of everything", lambda: Normalization(axis=None), 3, 4, 5)
_layer("Normalization of pixels", lambda: Normalization(axis=[1, -2]), 2, 3, 4, 2)
_layer("Normalization inverted", lambda: Normalization(invert=True), 4, 5)
_layer("Normalization given", lambda: Normalization(mean=[0.5, -1.0, 2.0], variance=[4.0, 1.0, 0.0625]), 2, 4, 3)
_layer("Normalization given once", lambda: Normalization(axis=1, mean=0.5, variance=4.0, invert=True), 2, 4, 3)
_layer("RandomFlip", lambda: RandomFlip(seed=3), 6, 4, 3, 2)
_layer("RandomFlip horizontal", lambda: RandomFlip("horizontal", seed=3), 6, 2, 5, 1)
_layer("RandomFlip vertical channels first", lambda: RandomFlip("vertical", 3, "channels_first"), 6, 2, 3, 4)
_layer("RandomTranslation", lambda: RandomTranslation(0.3, 0.4, seed=3), 4, 5, 6, 2)
_layer("RandomTranslation wrap", lambda: RandomTranslation((0.1, 0.6), 0.0, "wrap", seed=3), 3, 6, 4, 1)
_layer("RandomTranslation nearest", lambda: RandomTranslation(0.5, 0.5, "nearest", "nearest", seed=3), 3, 5, 7, 2)
_layer("RandomRotation", lambda: RandomRotation(0.2, seed=3), 4, 5, 6, 2)
_layer(
    "RandomRotation channels first",
    lambda: RandomRotation((0.1, 0.3), "constant", fill_value=0.7, seed=3, data_format="channels_first"),
    *(3, 2, 6, 5),
)
_layer("RandomZoom", lambda: RandomZoom(0.4, seed=3), 4, 5, 6, 2)
_layer("RandomZoom of both sides", lambda: RandomZoom((0.2, 0.5), (-0.6, -0.2), "constant", seed=3), 4, 6, 5, 1)
