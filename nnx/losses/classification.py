"""Losses of classification and segmentation that are no cross-entropies, as classes. Formulas: `nnx.functional`."""

from __future__ import annotations

import numpy as np

from nnx import functional
from nnx.functional.classification_losses import Axes
from nnx.losses.base import LossFunctionWrapper, Reduction, loss_values, registry
from nnx.losses.targets import require_one_hot_shape, require_signs
from nnx.shapes import Shape

__all__ = [
    "KLD",
    "CategoricalHinge",
    "Dice",
    "Hinge",
    "KLDivergence",
    "SquaredHinge",
    "Tversky",
    "categorical_hinge",
    "dice",
    "hinge",
    "kl_divergence",
    "kld",
    "kullback_leibler_divergence",
    "squared_hinge",
    "tversky",
]


@registry.register("hinge_loss")
class Hinge(LossFunctionWrapper):
    """Hinge: mean(max(1 - y_true * y_pred, 0)), labels -1 and 1, or 0 and 1."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "hinge") -> None:
        super().__init__(functional.hinge, reduction, name)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        super().check_targets(y_true, output_shape)
        require_signs(self.name, y_true)


hinge = loss_values(functional.hinge, Hinge)


@registry.register()
class SquaredHinge(LossFunctionWrapper):
    """Squared hinge: mean(max(1 - y_true * y_pred, 0)**2), labels -1 and 1, or 0 and 1."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "squared_hinge") -> None:
        super().__init__(functional.squared_hinge, reduction, name)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        super().check_targets(y_true, output_shape)
        require_signs(self.name, y_true)


squared_hinge = loss_values(functional.squared_hinge, SquaredHinge)


@registry.register()
class CategoricalHinge(LossFunctionWrapper):
    """Categorical hinge: max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0), one-hot labels."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "categorical_hinge") -> None:
        super().__init__(functional.categorical_hinge, reduction, name)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_one_hot_shape(self.name, y_true, output_shape)


categorical_hinge = loss_values(functional.categorical_hinge, CategoricalHinge)


@registry.register("kld", "kullback_leibler_divergence")
class KLDivergence(LossFunctionWrapper):
    """Kullback-Leibler divergence of two distributions along the last axis: sum(y_true * log(y_true / y_pred))."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "kl_divergence") -> None:
        super().__init__(functional.kl_divergence, reduction, name)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_one_hot_shape(self.name, y_true, output_shape)


kl_divergence = kullback_leibler_divergence = kld = KLD = loss_values(functional.kl_divergence, KLDivergence)


@registry.register()
class Dice(LossFunctionWrapper):
    """Dice loss of masks: 1 - 2 * |overlap| / (|y_true| + |y_pred|), summed over the axes `axis`, by default all."""

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axes = None,
    ) -> None:
        super().__init__(functional.dice, reduction, name, axis=axis)


dice = loss_values(functional.dice, Dice)


@registry.register()
class Tversky(LossFunctionWrapper):
    """Tversky loss: Dice's with a weight for what is missed (alpha) and for what is invented (beta), arXiv:1706.05721.

    axis : the axes that are summed over, by default all.
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axes = None,
    ) -> None:
        super().__init__(functional.tversky, reduction, name, alpha=alpha, beta=beta, axis=axis)


tversky = loss_values(functional.tversky, Tversky)
