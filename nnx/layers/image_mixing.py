"""Images mixed with others of their batch, and their labels with them, for training."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.arguments import non_negative_number
from nnx.backends import Array, array_namespace
from nnx.functional.images import inside_boxes
from nnx.layers.augmentation import Augmentation, Factor, limits_of
from nnx.layers.layer import registry
from nnx.ops.operation import beside


class _Mixing(Augmentation):
    """An augmentation of a batch as a whole: each image gets a partner in it."""

    changes = ("labels", "segmentation_masks")

    def draw_partners(self, x: Array) -> Array:
        """The numbers of the partners of the images, which stand in a random order: (batch,)."""
        return beside(x, self.stream.permutation(x.shape[0]))

    def draw_beta(self, x: Array, alpha: float) -> np.ndarray:
        """A number of the distribution beta(alpha, alpha) for each image, (batch,), on the host."""
        numbers: np.ndarray = self.stream.numpy_generator().beta(alpha, alpha, size=x.shape[0])
        return numbers


def _partners_of(x: Array, partners: Array) -> Array:
    return array_namespace(x).take(x, partners, axis=0)


def _mixed(labels: Array, weights: Array, partners: Array) -> Array:
    weights = array_namespace(labels).reshape(weights, (-1, *(1,) * (len(labels.shape) - 1)))
    return labels * weights + _partners_of(labels, partners) * (1.0 - weights)


@registry.register()
class MixUp(_Mixing):
    """Images mixed with others of their batch at random, in training: y = w * x + (1 - w) * partner.

    The weight w is drawn for each image from the distribution beta(alpha, alpha).

    alpha : by default 0.2; the larger, the nearer w is to 1/2.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.

    Input of images, or a dict of "images" and "labels" (batch, classes), which are mixed with the same weights; output
    of the same shapes. With training=False the input itself. ValueError for an alpha that is not above 0.

    Zhang et al., "mixup: beyond empirical risk minimization", 2017, arXiv:1710.09412.

    >>> mixed = MixUp(seed=1)({"images": [[[[0.0]]], [[[1.0]]]], "labels": [[1.0, 0.0], [0.0, 1.0]]})
    >>> bool(abs(mixed["images"].ravel() - mixed["labels"][:, 1]).max() < 1e-6)
    True
    """

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.alpha = non_negative_number(f"{self.name}: alpha", alpha, zero=False)

    def draw_factors(self, x: Array) -> tuple[Array, Array]:
        partners = self.draw_partners(x)
        return self.placed(x, self.draw_beta(x, self.alpha)), partners

    def transform(self, x: Array, factors: tuple[Array, Array]) -> Array:
        return _mixed(x, *factors)

    def transform_masks(self, masks: Array, factors: tuple[Array, Array]) -> Array:
        return _mixed(masks, *factors)

    def transform_labels(self, labels: Array, factors: tuple[Array, Array]) -> Array:
        return _mixed(labels, *factors)


@registry.register()
class CutMix(_Mixing):
    """Images in which a box comes from another of their batch at random, in training.

    The box is 1 - w of the image, with w from the distribution beta(alpha, alpha), drawn for each image.

    factor : alpha, drawn for all images of a batch together: between 0 and one number, by default 1.0, or between those
        of a pair. From 0 to 1.
    seed : for a random stream of this layer's own; by default it is split from the default stream when built.
    data_format : "channels_last" (default), for inputs (batch, height, width, channels), or "channels_first".

    Input of images, or a dict of "images" and "labels" (batch, classes), which are mixed as w says; output of the same
    shapes. With training=False the input itself. ValueError for factors out of range.

    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features", 2019,
    arXiv:1905.04899.

    >>> import numpy as np
    >>> x = np.stack([np.zeros((8, 8, 1)), np.ones((8, 8, 1))])
    >>> sorted(set(CutMix(seed=1)(x).ravel().tolist()))
    [0.0, 1.0]
    """

    def __init__(
        self, factor: Factor = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor
        self._limits = limits_of(f"{self.name}: factor", factor, least=0.0)

    def draw_factors(self, x: Array) -> tuple[Array, Array, Array]:
        """The share of each image that stays, the numbers of the partners, and which pixels come from these."""
        low, high = self._limits
        alpha = low + (high - low) * self.draw_for_batch(1)[0] + 1e-6
        side = np.sqrt(1.0 - self.draw_beta(x, alpha))
        starts = self.draw_on_host(x, 2) * (1.0 - side)[:, None]
        edges = [
            edge * size for start, size in zip(starts.T, x.shape[1:3], strict=True) for edge in (start, start + side)
        ]
        box = inside_boxes(x, *(self.placed(x, edge) for edge in edges))
        return self.placed(x, 1.0 - side**2), self.draw_partners(x), box

    def transform(self, x: Array, factors: tuple[Array, Array, Array]) -> Array:
        _, partners, box = factors
        return array_namespace(x).where(box, _partners_of(x, partners), x)

    def transform_masks(self, masks: Array, factors: tuple[Array, Array, Array]) -> Array:
        return self.transform(masks, factors)

    def transform_labels(self, labels: Array, factors: tuple[Array, Array, Array]) -> Array:
        return _mixed(labels, *factors[:2])
