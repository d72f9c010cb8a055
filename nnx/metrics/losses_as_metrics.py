"""Losses as metrics: their mean over all samples, whatever the reduction of the loss that is trained."""

from __future__ import annotations

from typing import Any

from nnx import losses
from nnx.backends import Array, array_namespace
from nnx.functional.classification_losses import Axes
from nnx.losses.arrays import as_arrays
from nnx.losses.base import VALUES_FUNCTIONS, fit_weights
from nnx.metrics.base import MeanMetricWrapper, MeanOfSamples, functions, registry
from nnx.metrics.targets import as_matching_arrays

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
]

for _function in VALUES_FUNCTIONS.values():
    functions.register()(_function)


@registry.register("mse")
class MeanSquaredError(MeanMetricWrapper):
    """Mean squared error: the mean of (y_pred - y_true)**2."""

    def __init__(self, name: str | None = "mean_squared_error") -> None:
        super().__init__(losses.mean_squared_error, name)


@registry.register("rmse")
class RootMeanSquaredError(MeanOfSamples):
    """Root mean squared error: the square root of the mean of (y_pred - y_true)**2 over all samples."""

    direction = "min"

    def __init__(self, name: str | None = "root_mean_squared_error") -> None:
        super().__init__(name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        _, y_true, y_pred = as_matching_arrays("root_mean_squared_error", y_true, y_pred)
        error = y_pred - y_true
        self.accumulate(error * error, sample_weight)

    def result(self) -> Array:
        mean = super().result()
        return array_namespace(mean).sqrt(mean)


@registry.register("mae")
class MeanAbsoluteError(MeanMetricWrapper):
    """Mean absolute error: the mean of |y_pred - y_true|."""

    def __init__(self, name: str | None = "mean_absolute_error") -> None:
        super().__init__(losses.mean_absolute_error, name)


@registry.register("mape")
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean absolute percentage error: the mean of 100 * |y_pred - y_true| / |y_true|."""

    def __init__(self, name: str | None = "mean_absolute_percentage_error") -> None:
        super().__init__(losses.mean_absolute_percentage_error, name)


@registry.register("msle")
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean squared logarithmic error: the mean of (log(1 + y_pred) - log(1 + y_true))**2."""

    def __init__(self, name: str | None = "mean_squared_logarithmic_error") -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name)


@registry.register("logcosh")
class LogCoshError(MeanMetricWrapper):
    """Mean logarithm of the hyperbolic cosine: of log(cosh(y_pred - y_true))."""

    def __init__(self, name: str | None = "logcosh") -> None:
        super().__init__(losses.log_cosh, name)


@registry.register("huber_loss")
class Huber(MeanMetricWrapper):
    """Mean of Huber's loss: squared up to an error of delta, linear beyond."""

    def __init__(self, delta: float = 1.0, name: str | None = "huber") -> None:
        super().__init__(losses.huber, name, delta=delta)


@registry.register()
class Poisson(MeanMetricWrapper):
    """Mean Poisson loss: of y_pred - y_true * log(y_pred)."""

    def __init__(self, name: str | None = "poisson") -> None:
        super().__init__(losses.poisson, name)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    return -losses.cosine_similarity(y_true, y_pred, axis)


@registry.register("cosine", "cosine_proximity")
class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between y_true and y_pred: 1 is best. (The loss of this name has the other sign.)"""

    direction = "max"

    def __init__(self, name: str | None = "cosine_similarity", axis: int = -1) -> None:
        super().__init__(_cosine, name, axis=axis)


@registry.register()
class Hinge(MeanMetricWrapper):
    """Mean hinge: of max(1 - y_true * y_pred, 0), labels -1 and 1, or 0 and 1."""

    def __init__(self, name: str | None = "hinge") -> None:
        super().__init__(losses.hinge, name)


@registry.register()
class SquaredHinge(MeanMetricWrapper):
    """Mean squared hinge: of max(1 - y_true * y_pred, 0)**2, labels -1 and 1, or 0 and 1."""

    def __init__(self, name: str | None = "squared_hinge") -> None:
        super().__init__(losses.squared_hinge, name)


@registry.register()
class CategoricalHinge(MeanMetricWrapper):
    """Mean categorical hinge of one-hot labels."""

    def __init__(self, name: str | None = "categorical_hinge") -> None:
        super().__init__(losses.categorical_hinge, name)


@registry.register("kld", "kullback_leibler_divergence")
class KLDivergence(MeanMetricWrapper):
    """Mean Kullback-Leibler divergence: of sum(y_true * log(y_true / y_pred))."""

    def __init__(self, name: str | None = "kl_divergence") -> None:
        super().__init__(losses.kl_divergence, name)


@registry.register()
class Dice(MeanMetricWrapper):
    """Mean of Dice's loss; with axis=None it is one value for each batch."""

    def __init__(self, name: str | None = "dice", axis: Axes = None) -> None:
        super().__init__(losses.dice, name, axis=axis)


@registry.register()
class Tversky(MeanMetricWrapper):
    """Mean of Tversky's loss; with axis=None it is one value for each batch."""

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, name: str | None = "tversky", axis: Axes = None) -> None:
        super().__init__(losses.tversky, name, alpha=alpha, beta=beta, axis=axis)


@registry.register("bce")
class BinaryCrossentropy(MeanMetricWrapper):
    """Mean binary cross-entropy. Arguments as for the loss."""

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(losses.binary_crossentropy, name, from_logits=from_logits, label_smoothing=label_smoothing)


@registry.register()
class BinaryFocalCrossentropy(MeanMetricWrapper):
    """Mean binary focal cross-entropy. Arguments as for the loss."""

    def __init__(
        self,
        name: str | None = "binary_focal_crossentropy",
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            losses.binary_focal_crossentropy,
            name,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@registry.register()
class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean categorical cross-entropy of one-hot labels. Arguments as for the loss."""

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy,
            name,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registry.register()
class CategoricalFocalCrossentropy(MeanMetricWrapper):
    """Mean categorical focal cross-entropy of one-hot labels. Arguments as for the loss."""

    def __init__(
        self,
        name: str | None = "categorical_focal_crossentropy",
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_focal_crossentropy,
            name,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registry.register()
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean categorical cross-entropy of integer labels. Arguments as for the loss.

    ignore_class : samples with this label have the value 0; as in Keras they are left out of the number that the mean
        divides by only where there are weights.
    """

    ignore_class: int | None
    axis: int

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if sample_weight is not None and self.ignore_class is not None:
            y_true, y_pred = as_arrays(y_true, y_pred)
            xp = array_namespace(y_pred)
            counted = xp.astype(y_true != self.ignore_class, y_pred.dtype)
            if len(y_true.shape) == len(y_pred.shape):
                counted = xp.squeeze(counted, axis=self.axis)
            sample_weight = counted * fit_weights(sample_weight, counted)
        super().update_state(y_true, y_pred, sample_weight)
