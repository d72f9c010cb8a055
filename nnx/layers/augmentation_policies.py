"""Several augmentations one after another or beside each other, chosen at random, for training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nnx.arguments import integers, non_negative_number
from nnx.backends import Array
from nnx.functional.images import INTERPOLATIONS
from nnx.layers.augmentation import Augmentation, Factor, limits_of, one_of
from nnx.layers.image_layer import ImageLayer
from nnx.layers.layer import registry
from nnx.layers.random_colours import RandomBrightness, RandomColorDegeneration, RandomContrast
from nnx.layers.random_filters import RandomSharpness
from nnx.layers.random_transforms import RandomRotation, RandomShear, RandomTranslation
from nnx.layers.tones import AutoContrast, Equalization, RandomPosterization, Solarization
from nnx.layers.value_range import ValueRange
from nnx.shapes import Shape


class _Policy(Augmentation):
    """An augmentation that chooses among others."""

    def __init__(self, *, value_range: Sequence[float], factor: Factor, interpolation: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range, self.factor = value_range, factor
        self.interpolation = one_of(f"{self.name}: interpolation", interpolation, INTERPOLATIONS)
        self._range = ValueRange.read(self.name, value_range)
        limits = limits_of(f"{self.name}: factor", factor, least=0.0)
        moving: dict[str, Any] = {"interpolation": interpolation, "data_format": self.data_format, "name": self.name}
        valued: dict[str, Any] = {"value_range": value_range, "data_format": self.data_format, "name": self.name}
        self.choices: list[ImageLayer] = [
            RandomShear(limits, limits, **moving),
            RandomTranslation(limits, limits, **moving),
            RandomRotation(limits, **moving),
            RandomPosterization(max(1, int(8 * limits[1])), **valued),
            Solarization(limits, limits, **valued),
            AutoContrast(**valued),
            Equalization(**valued),
            RandomBrightness(limits, **valued),
            RandomColorDegeneration(limits, **valued),
            RandomContrast(limits, **valued),
            RandomSharpness(limits, **valued),
        ]

    def draw_choices(self, x: Array, count: int, nothing: bool = False) -> list[tuple[ImageLayer, Any]]:
        """So many of the augmentations, each with what it draws for the batch; `nothing` is one more to choose."""
        known = len(self.choices) + nothing
        places = [math.floor(known * number) for number in self.draw_for_batch(count)]
        chosen = [self.choices[place] for place in places if place < len(self.choices)]
        return [(layer, self.draw_for(layer, x)) for layer in chosen]

    def shape_of_images(self, shape: Shape) -> Shape:
        for layer in self.choices:
            layer.shape_of_images(shape)
        return shape


def _in_turn(x: Array, steps: Sequence[tuple[ImageLayer, Any]]) -> Array:
    for layer, factors in steps:
        x = layer.transform(x, factors)
    return x


@registry.register()
class RandAugment(_Policy):
    """Images changed by a few augmentations in turn, in training, which are chosen at random for each batch.

    They are chosen among `RandomShear`, `RandomTranslation`, `RandomRotation`, `RandomBrightness`,
    `RandomColorDegeneration`, `RandomContrast`, `RandomSharpness`, `RandomPosterization`, `Solarization`,
    `AutoContrast` and `Equalization`; each draws what it does for every image.

    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    num_ops : how many in turn, by default 2.
    factor : that of all of them: one number, by default 0.5, means between 0 and it. From 0 to 1. Of eight bits
        `RandomPosterization` leaves this share.
    interpolation : "bilinear" (default) or "nearest".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, with one or three channels, output of its shape; with training=False the input itself.
    ValueError for factors out of range.

    Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", 2019,
    arXiv:1909.13719.

    >>> import numpy as np
    >>> RandAugment(seed=1)(np.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    changes = ("segmentation_masks",)

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_ops: int = 2,
        factor: Factor = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            value_range=value_range,
            factor=factor,
            interpolation=interpolation,
            seed=seed,
            data_format=data_format,
            **kwargs,
        )
        self.num_ops = integers(f"{self.name}: num_ops", num_ops, 1, least=0)[0]

    def draw_factors(self, x: Array) -> list[tuple[ImageLayer, Any]]:
        return self.draw_choices(x, self.num_ops)

    def transform(self, x: Array, factors: list[tuple[ImageLayer, Any]]) -> Array:
        return _in_turn(x, factors)

    def transform_masks(self, masks: Array, factors: list[tuple[ImageLayer, Any]]) -> Array:
        for layer, drawn in factors:
            masks = layer.transform_masks(masks, drawn)
        return masks


@registry.register()
class AugMix(_Policy):
    """Images mixed with several versions of themselves, in training, each of which a chain of augmentations made.

        y = w * x + (1 - w) * sum(v_i * chain_i(x))

    with w from the distribution beta(alpha, alpha) and v from that of Dirichlet, drawn for each batch.

    value_range : the lowest and the highest value of a pixel, by default (0, 255).
    num_chains, chain_depth : how many chains, and of how many augmentations each, by default 3 and 3. They are chosen
        at random for each batch, nothing at all among them.
    factor : that of all of them: one number, by default 0.3, means between 0 and it. From 0 to 1.
    alpha : of the distributions, by default 1.0.
    all_ops : whether `RandomBrightness`, `RandomColorDegeneration`, `RandomContrast` and `RandomSharpness` are among
        the augmentations, by default True, besides `RandomShear`, `RandomTranslation`, `RandomRotation`,
        `RandomPosterization`, `Solarization`, `AutoContrast` and `Equalization`.
    interpolation : "bilinear" (default) or "nearest".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or one, with one or three channels, output of its shape, with values in their range; with
    training=False the input itself. ValueError for factors out of range.

    Hendrycks et al., "AugMix: a simple data processing method to improve robustness and uncertainty", 2019,
    arXiv:1912.02781.

    >>> import numpy as np
    >>> AugMix(seed=1)(np.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Factor = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            value_range=value_range,
            factor=factor,
            interpolation=interpolation,
            seed=seed,
            data_format=data_format,
            **kwargs,
        )
        self.num_chains = integers(f"{self.name}: num_chains", num_chains, 1)[0]
        self.chain_depth = integers(f"{self.name}: chain_depth", chain_depth, 1, least=0)[0]
        self.all_ops = all_ops
        if not all_ops:
            del self.choices[-4:]
        self.alpha = non_negative_number(f"{self.name}: alpha", alpha, zero=False)

    def draw_factors(self, x: Array) -> tuple[float, list[tuple[float, list[tuple[ImageLayer, Any]]]]]:
        """The weight of the images themselves, and the chains with theirs."""
        chance = self.stream.numpy_generator()
        weights = chance.dirichlet([self.alpha] * self.num_chains).tolist()
        chains = [self.draw_choices(x, self.chain_depth, nothing=True) for _ in weights]
        return float(chance.beta(self.alpha, self.alpha)), list(zip(weights, chains, strict=True))

    def transform(self, x: Array, factors: tuple[float, list[tuple[float, list[tuple[ImageLayer, Any]]]]]) -> Array:
        weight, chains = factors
        mixed = x * weight
        for share, chain in chains:
            mixed = mixed + _in_turn(x, chain) * ((1.0 - weight) * share)
        return self._range.limited(mixed)
