"""Examples of layers that change images: sizes, colours, filters, mixtures, and several of them together."""

from __future__ import annotations

from nnx.layers.augmentation_policies import AugMix, RandAugment
from nnx.layers.image_mixing import CutMix, MixUp
from nnx.layers.pipeline import Pipeline
from nnx.layers.random_colours import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from nnx.layers.random_distortions import RandomElasticTransform, RandomPerspective
from nnx.layers.random_erasing import RandomErasing
from nnx.layers.random_filters import RandomGaussianBlur, RandomSharpness
from nnx.layers.random_flip import RandomFlip
from nnx.layers.random_transforms import RandomShear
from nnx.layers.rescaling import Rescaling
from nnx.layers.resizing import CenterCrop, RandomCrop, Resizing
from nnx.layers.tones import AutoContrast, Equalization, RandomInvert, RandomPosterization, Solarization
from nnx.testing.rows.layer_case import LayerRows

LAYERS = LayerRows()
_layer = LAYERS.one_input
_NORMAL = (-6.0, 6.0)
"""A range in which normal numbers lie."""


_layer("Resizing", lambda: Resizing(3, 7), 2, 5, 4, 2)
_layer(
    "Resizing antialias", lambda: Resizing(3, 2, "bicubic", antialias=True, data_format="channels_first"), 2, 1, 7, 5
)
_layer("CenterCrop", lambda: CenterCrop(2, 3), 2, 5, 4, 2)
_layer("CenterCrop of small images", lambda: CenterCrop(6, 3), 2, 5, 4, 2)
_layer("RandomCrop", lambda: RandomCrop(2, 3, seed=3), 3, 5, 6, 2)
_layer("RandomBrightness", lambda: RandomBrightness(0.3, _NORMAL, seed=3), 4, 3, 2, 2)
_layer("RandomContrast", lambda: RandomContrast((0.2, 0.7), _NORMAL, seed=3), 4, 3, 2, 2)
_layer("RandomSaturation", lambda: RandomSaturation((0.2, 0.7), _NORMAL, seed=3), 4, 3, 2, 3)
_layer("RandomHue", lambda: RandomHue(0.7, _NORMAL, "channels_first", seed=3), 4, 3, 2, 4)
_layer("RandomColorDegeneration", lambda: RandomColorDegeneration(0.7, _NORMAL, seed=3), 4, 3, 2, 3)
_layer("RandomGrayscale", lambda: RandomGrayscale(seed=3), 4, 3, 2, 3)
_layer("RandomColorJitter", lambda: RandomColorJitter(_NORMAL, 0.1, 0.2, 0.4, 0.3, seed=3), 4, 3, 2, 3)
_layer("RandomInvert", lambda: RandomInvert(0.9, _NORMAL, seed=3), 4, 3, 2, 2)
_layer("RandomPosterization", lambda: RandomPosterization((2, 5), _NORMAL, seed=3), 4, 3, 2, 2)
_layer("Solarization", lambda: Solarization(0.2, (0.4, 0.6), _NORMAL, seed=3), 4, 3, 2, 2)
_layer("AutoContrast", lambda: AutoContrast(_NORMAL), 4, 3, 2, 2)
_layer("Equalization", lambda: Equalization(_NORMAL, 32), 4, 3, 2, 2)
_layer("RandomGaussianBlur", lambda: RandomGaussianBlur(0.9, (3, 5), 1.0, _NORMAL, seed=3), 4, 5, 6, 2)
_layer("RandomSharpness", lambda: RandomSharpness(0.9, _NORMAL, seed=3), 4, 5, 4, 2)
_layer("RandomShear", lambda: RandomShear(0.4, (0.1, 0.3), seed=3), 4, 5, 6, 2)
_layer("RandomPerspective", lambda: RandomPerspective((0.8, 0.9), 0.6, fill_value=0.3, seed=3), 4, 5, 6, 2)
_layer("RandomElasticTransform", lambda: RandomElasticTransform((0.8, 0.9), value_range=_NORMAL, seed=3), 4, 8, 9, 2)
_layer("RandomErasing", lambda: RandomErasing((0.8, 0.9), fill_value=[0.1, 0.2], seed=3), 4, 5, 6, 2)
_layer("RandomErasing by noise", lambda: RandomErasing((0.8, 0.9), (0.2, 0.5), value_range=_NORMAL, seed=3), 4, 5, 6, 1)
_layer("MixUp", lambda: MixUp(0.8, seed=3), 5, 3, 2, 2)
_layer("CutMix", lambda: CutMix((0.8, 0.9), seed=3), 5, 6, 5, 2)
_layer("RandAugment", lambda: RandAugment(_NORMAL, 3, seed=3), 4, 5, 6, 3)
_layer("AugMix", lambda: AugMix(_NORMAL, seed=4), 4, 5, 6, 3)
_layer("Pipeline", lambda: Pipeline([Resizing(3, 4), RandomFlip(seed=3), Rescaling(0.5)]), 4, 5, 6, 2)
