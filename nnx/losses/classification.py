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
    """Hinge: how far scores are from being at least 1 on the side of their label.

        value = mean(max(1 - y_true * y_pred, 0))

    y_true : labels -1 and 1, (n, ..., m), or 0 and 1, which are taken for them where there are no others; `fit` raises
        ValueError for any other label.
    y_pred : scores of that shape, of any size, as from a last layer without an activation; values are (n, ...).
    reduction, name, dtype : as for `Loss`.

    >>> float(Hinge()([[-1, 1]], [[0.5, 0.75]]))  # 1.5 and 0.25
    0.875
    """

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "hinge", dtype: str | None = None
    ) -> None:
        super().__init__(functional.hinge, reduction, name, dtype)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        super().check_targets(y_true, output_shape)
        require_signs(self.name, y_true)


hinge = loss_values(functional.hinge, Hinge)


@registry.register()
class SquaredHinge(LossFunctionWrapper):
    """Squared hinge: the square of how far scores are from being at least 1 on the side of their label.

        value = mean(max(1 - y_true * y_pred, 0)**2)

    y_true : labels -1 and 1, (n, ..., m), or 0 and 1, which are taken for them where there are no others; `fit` raises
        ValueError for any other label.
    y_pred : scores of that shape, of any size, as from a last layer without an activation; values are (n, ...).
    reduction, name, dtype : as for `Loss`.

    >>> float(SquaredHinge()([[-1, 1]], [[0.5, 0.5]]))  # 2.25 and 0.25
    1.25
    """

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "squared_hinge", dtype: str | None = None
    ) -> None:
        super().__init__(functional.squared_hinge, reduction, name, dtype)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        super().check_targets(y_true, output_shape)
        require_signs(self.name, y_true)


squared_hinge = loss_values(functional.squared_hinge, SquaredHinge)


@registry.register()
class CategoricalHinge(LossFunctionWrapper):
    """Categorical hinge: how far the score of the true class is from being 1 above the highest other.

        value = max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)

    Maximum and sum are over the classes, the last axis. The highest is that of the others and of 0, which stands where
    the true class is.

    y_true : one-hot labels (n, ..., classes). `fit` raises ValueError for numbers of classes.
    y_pred : scores (n, ..., classes), for values (n, ...).
    reduction, name, dtype : as for `Loss`.

    >>> float(CategoricalHinge()([[0, 1, 0]], [[0.25, 0.5, 0.25]]))
    0.75
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.categorical_hinge, reduction, name, dtype)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_one_hot_shape(self.name, y_true, output_shape)


categorical_hinge = loss_values(functional.categorical_hinge, CategoricalHinge)


@registry.register("kld", "kullback_leibler_divergence")
class KLDivergence(LossFunctionWrapper):
    """Kullback-Leibler divergence of the predicted from the true distribution, along the last axis.

        value = sum(y_true * log(y_true / y_pred)),   both clipped to [1e-7, 1]

    Kullback and Leibler, "On information and sufficiency", 1951. It is the categorical cross-entropy without the
    entropy of the targets.

    y_true, y_pred : probabilities (n, ..., classes), for values (n, ...). `fit` raises ValueError for numbers of
        classes.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 3)
    0.144
    """

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "kl_divergence", dtype: str | None = None
    ) -> None:
        super().__init__(functional.kl_divergence, reduction, name, dtype)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_one_hot_shape(self.name, y_true, output_shape)


kl_divergence = kullback_leibler_divergence = kld = KLD = loss_values(functional.kl_divergence, KLDivergence)


@registry.register()
class Dice(LossFunctionWrapper):
    """Dice loss of masks: 1 minus twice their overlap, over the sum of their areas.

        value = 1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + 1e-7)

    It is 0 for equal masks of 0 and 1, and 1 for those that do not overlap. Sums are over `axis`. After the coefficient
    of Dice, "Measures of the amount of ecologic association between species", 1945; for segmentation Milletari et al.,
    "V-Net", arXiv:1606.04797, whose sums below the line are of squares.

    y_true, y_pred : masks, from 0 to 1, of one shape; ValueError for different ones.
    reduction, name, dtype : as for `Loss`.
    axis : an axis or several, which the values lack; None for all, and so one value for a whole batch.

    >>> round(float(Dice()([[1, 1, 0, 0]], [[1.0, 0.0, 0.0, 0.0]])), 3)
    0.333
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axes = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.dice, reduction, name, dtype, axis=axis)


dice = loss_values(functional.dice, Dice)


@registry.register()
class Tversky(LossFunctionWrapper):
    """Tversky loss of masks: Dice's with weights for what is missed and for what is invented.

        value = 1 - overlap / (overlap + alpha * missed + beta * invented + 1e-7)
        overlap = sum(y_true * y_pred)
        missed = sum(y_true * (1 - y_pred))
        invented = sum((1 - y_true) * y_pred)

    Sums are over `axis`. Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep
    networks", arXiv:1706.05721, where alpha and beta have changed places: here they are as in what Keras computes.

    y_true, y_pred : masks, from 0 to 1, of one shape; ValueError for different ones.
    alpha : the weight of what is missed, false negatives.
    beta : the weight of what is invented, false positives. With 0.5 for both the loss is that of Dice.
    reduction, name, dtype : as for `Loss`.
    axis : an axis or several, which the values lack; None for all, and so one value for a whole batch.

    >>> round(float(Tversky(alpha=0.7, beta=0.3)([[1, 1, 0, 0]], [[1.0, 0.0, 0.0, 0.0]])), 3)  # 1 - 1 / 1.7
    0.412
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axes = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)


tversky = loss_values(functional.tversky, Tversky)
