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
    """Mean squared error, over all samples.

        result = mean((y_pred - y_true)**2)

    y_true, y_pred : numbers (n, ...). ValueError for different shapes.

    >>> float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]))
    2.0
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


@registry.register("rmse")
class RootMeanSquaredError(MeanOfSamples):
    """Root mean squared error, in the unit of the targets.

        result = sqrt(mean((y_pred - y_true)**2)),   the mean over all samples

    y_true, y_pred : numbers (n, ...). ValueError for different shapes.

    >>> float(RootMeanSquaredError()([[0.0, 1.0]], [[4.0, 5.0]]))
    4.0
    """

    direction = "min"

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: str | None = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        _, y_true, y_pred = as_matching_arrays("root_mean_squared_error", y_true, y_pred)
        error = y_pred - y_true
        self.accumulate(error * error, sample_weight)

    def result(self) -> Array:
        mean = super().result()
        return array_namespace(mean).sqrt(mean)


@registry.register("mae")
class MeanAbsoluteError(MeanMetricWrapper):
    """Mean absolute error, over all samples.

        result = mean(|y_pred - y_true|)

    y_true, y_pred : numbers (n, ...). ValueError for different shapes.

    >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]))
    1.0
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


@registry.register("mape")
class MeanAbsolutePercentageError(MeanMetricWrapper):
    """Mean absolute percentage error: errors in per cent of the targets.

        result = 100 * mean(|y_pred - y_true| / max(|y_true|, 1e-7))

    y_true, y_pred : numbers (n, ...). ValueError for different shapes.

    >>> round(float(MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])), 3)
    37.5
    """

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


@registry.register("msle")
class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """Mean squared logarithmic error: relative errors of numbers that are not negative.

        result = mean((log(1 + max(y_pred, 1e-7)) - log(1 + max(y_true, 1e-7)))**2)

    y_true, y_pred : numbers from 0, (n, ...). ValueError for different shapes.

    >>> round(float(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]])), 3)
    0.24
    """

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: str | None = None) -> None:
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


@registry.register("logcosh")
class LogCoshError(MeanMetricWrapper):
    """Mean logarithm of the hyperbolic cosine of the error, a smooth absolute error.

        result = mean(log(cosh(y_pred - y_true)))

    y_true, y_pred : numbers (n, ...). ValueError for different shapes.

    >>> round(float(LogCoshError()([[0.0, 1.0]], [[1.0, 1.0]])), 3)
    0.217
    """

    def __init__(self, name: str | None = "logcosh", dtype: str | None = None) -> None:
        super().__init__(losses.log_cosh, name, dtype)


@registry.register("huber_loss")
class Huber(MeanMetricWrapper):
    """Mean of Huber's loss: squared up to an error of `delta`, linear beyond.

        result = mean(e**2 / 2                      where |e| <= delta,
                      delta * |e| - delta**2 / 2    elsewhere),   e = y_pred - y_true

    Huber, "Robust estimation of a location parameter", 1964.

    y_true, y_pred : numbers (n, ...). ValueError for different shapes.
    delta : positive.

    >>> round(float(Huber()([[0.0, 1.0]], [[3.0, 1.5]])), 4)  # 2.5 and 0.125
    1.3125
    """

    def __init__(self, delta: float = 1.0, name: str | None = "huber", dtype: str | None = None) -> None:
        super().__init__(losses.huber, name, dtype, delta=delta)


@registry.register()
class Poisson(MeanMetricWrapper):
    """Mean Poisson loss, of counts and their predicted rates.

        result = mean(y_pred - y_true * log(y_pred + 1e-7))

    y_true, y_pred : counts and positive rates, (n, ...). ValueError for different shapes.

    >>> round(float(Poisson()([[2.0, 0.0]], [[2.0, 1.0]])), 3)
    0.807
    """

    def __init__(self, name: str | None = "poisson", dtype: str | None = None) -> None:
        super().__init__(losses.poisson, name, dtype)


def _cosine(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    return -losses.cosine_similarity(y_true, y_pred, axis)


@registry.register("cosine", "cosine_proximity")
class CosineSimilarity(MeanMetricWrapper):
    """Mean cosine of the angle between y_true and y_pred: 1 is best. (The loss of this name has the other sign.)

        result = mean of sum(y_true / max(|y_true|, 1e-7) * y_pred / max(|y_pred|, 1e-7)),   |y| = sqrt(sum(y**2))

    y_true, y_pred : vectors along `axis`, (n, ..., m). ValueError for different shapes. The similarity to a vector of
        zeros is 0.
    axis : by default the last.

    >>> round(float(CosineSimilarity()([[1.0, 0.0]], [[1.0, 1.0]])), 3)
    0.707
    """

    direction = "max"

    def __init__(self, name: str | None = "cosine_similarity", dtype: str | None = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


@registry.register()
class Hinge(MeanMetricWrapper):
    """Mean hinge: how far scores are from being at least 1 on the side of their label.

        result = mean(max(1 - y_true * y_pred, 0))

    y_true : labels -1 and 1, (n, ...), or 0 and 1, which are taken for them where a batch has no others.
    y_pred : scores of that shape, of any size.

    >>> float(Hinge()([[-1, 1]], [[0.5, 0.75]]))  # 1.5 and 0.25
    0.875
    """

    def __init__(self, name: str | None = "hinge", dtype: str | None = None) -> None:
        super().__init__(losses.hinge, name, dtype)


@registry.register()
class SquaredHinge(MeanMetricWrapper):
    """Mean squared hinge: the square of how far scores are from being at least 1 on the side of their label.

        result = mean(max(1 - y_true * y_pred, 0)**2)

    y_true : labels -1 and 1, (n, ...), or 0 and 1, which are taken for them where a batch has no others.
    y_pred : scores of that shape, of any size.

    >>> float(SquaredHinge()([[-1, 1]], [[0.5, 0.5]]))  # 2.25 and 0.25
    1.25
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: str | None = None) -> None:
        super().__init__(losses.squared_hinge, name, dtype)


@registry.register()
class CategoricalHinge(MeanMetricWrapper):
    """Mean categorical hinge of one-hot labels: how far the true class's score is from 1 above the highest other.

        result = mean of max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)

    Inside, maximum and sum are over the classes, the last axis.

    y_true : one-hot labels (n, ..., classes).
    y_pred : scores (n, ..., classes). ValueError for different shapes.

    >>> float(CategoricalHinge()([[0, 1, 0]], [[0.25, 0.5, 0.25]]))
    0.75
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: str | None = None) -> None:
        super().__init__(losses.categorical_hinge, name, dtype)


@registry.register("kld", "kullback_leibler_divergence")
class KLDivergence(MeanMetricWrapper):
    """Mean Kullback-Leibler divergence of the predicted from the true distribution, along the last axis.

        result = mean of sum(y_true * log(y_true / y_pred)),   both clipped to [1e-7, 1]

    y_true, y_pred : probabilities (n, ..., classes). ValueError for different shapes.

    >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 3)
    0.144
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: str | None = None) -> None:
        super().__init__(losses.kl_divergence, name, dtype)


@registry.register()
class Dice(MeanMetricWrapper):
    """Mean of Dice's loss of masks; with axis=None it is one value for each batch.

        result = mean of 1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred) + 1e-7)

    Sums are over `axis`; see `nnx.losses.Dice`.

    y_true, y_pred : masks, from 0 to 1, of one shape; ValueError for different ones.
    axis : an axis or several; None for all.

    >>> round(float(Dice()([[1, 1, 0, 0]], [[1.0, 0.0, 0.0, 0.0]])), 3)
    0.333
    """

    def __init__(self, name: str | None = "dice", dtype: str | None = None, axis: Axes = None) -> None:
        super().__init__(losses.dice, name, dtype, axis=axis)


@registry.register()
class Tversky(MeanMetricWrapper):
    """Mean of Tversky's loss of masks; with axis=None it is one value for each batch.

        result = mean of 1 - overlap / (overlap + alpha * missed + beta * invented + 1e-7)
        overlap = sum(y_true * y_pred)
        missed = sum(y_true * (1 - y_pred))
        invented = sum((1 - y_true) * y_pred)

    Sums are over `axis`; see `nnx.losses.Tversky`.

    y_true, y_pred : masks, from 0 to 1, of one shape; ValueError for different ones.
    alpha, beta : the weights of what is missed and of what is invented.
    axis : an axis or several; None for all.

    >>> round(float(Tversky(alpha=0.7, beta=0.3)([[1, 1, 0, 0]], [[1.0, 0.0, 0.0, 0.0]])), 3)  # 1 - 1 / 1.7
    0.412
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        name: str | None = "tversky",
        dtype: str | None = None,
        axis: Axes = None,
    ) -> None:
        super().__init__(losses.tversky, name, dtype, alpha=alpha, beta=beta, axis=axis)


@registry.register("bce")
class BinaryCrossentropy(MeanMetricWrapper):
    """Mean binary cross-entropy, for labels that are right or wrong each by itself.

        result = mean(-y_true * log(p) - (1 - y_true) * log(1 - p))
        p = y_pred, clipped to [1e-7, 1 - 1e-7], or sigmoid(y_pred), without a clip, from logits

    y_true, y_pred, from_logits, label_smoothing : as for `nnx.losses.BinaryCrossentropy`.

    >>> round(float(BinaryCrossentropy()([[1, 0]], [[0.8, 0.4]])), 3)
    0.367
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            losses.binary_crossentropy, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing
        )


@registry.register()
class BinaryFocalCrossentropy(MeanMetricWrapper):
    """Mean binary focal cross-entropy, in which labels that are predicted well count less.

        result = mean(weight * (1 - q)**gamma * (-y_true * log(p) - (1 - y_true) * log(1 - p)))
        p = y_pred, or sigmoid(y_pred) from logits; in logarithms clipped to [1e-7, 1 - 1e-7], but not from logits
        q = y_true * p + (1 - y_true) * (1 - p), the probability of the true label
        weight = alpha * y_true + (1 - alpha) * (1 - y_true) if apply_class_balancing, else 1

    Lin et al., arXiv:1708.02002. Targets, predictions and arguments are those of `nnx.losses.BinaryFocalCrossentropy`.

    >>> round(float(BinaryFocalCrossentropy()([[1, 0]], [[0.8, 0.4]])), 3)
    0.045
    """

    def __init__(
        self,
        name: str | None = "binary_focal_crossentropy",
        dtype: str | None = None,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            losses.binary_focal_crossentropy,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )


@registry.register()
class CategoricalCrossentropy(MeanMetricWrapper):
    """Mean categorical cross-entropy of one-hot labels.

        result = mean of -sum(y_true * log(p))
        p = y_pred / sum(y_pred), clipped to [1e-7, 1 - 1e-7], or softmax(y_pred), without a clip, from logits

    Targets, predictions and arguments are those of `nnx.losses.CategoricalCrossentropy`.

    >>> round(float(CategoricalCrossentropy()([[0, 1, 0]], [[0.1, 0.7, 0.2]])), 3)
    0.357
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registry.register()
class CategoricalFocalCrossentropy(MeanMetricWrapper):
    """Mean categorical focal cross-entropy of one-hot labels, in which classes that are predicted well count less.

        result = mean of -sum(alpha * (1 - p)**gamma * y_true * log(p))
        p = y_pred / sum(y_pred), clipped to [1e-7, 1 - 1e-7], or softmax(y_pred), without a clip, from logits

    Lin et al., arXiv:1708.02002. Targets, predictions and arguments are those of
    `nnx.losses.CategoricalFocalCrossentropy`.

    >>> round(float(CategoricalFocalCrossentropy()([[0, 1, 0]], [[0.1, 0.7, 0.2]])), 3)
    0.008
    """

    def __init__(
        self,
        name: str | None = "categorical_focal_crossentropy",
        dtype: str | None = None,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.categorical_focal_crossentropy,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


@registry.register()
class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """Mean categorical cross-entropy of integer labels.

        result = mean of -log(p[y_true])
        p = y_pred / sum(y_pred), clipped to [1e-7, 1 - 1e-7], or softmax(y_pred), without a clip, from logits

    y_true, y_pred, from_logits, axis : as for `nnx.losses.SparseCategoricalCrossentropy`.
    ignore_class : samples with this label have the value 0; as in Keras they are left out of the number that the mean
        divides by only where there are weights.

    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.1, 0.7, 0.2]])), 3)
    0.357
    """

    ignore_class: int | None
    axis: int

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            losses.sparse_categorical_crossentropy,
            name,
            dtype,
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
