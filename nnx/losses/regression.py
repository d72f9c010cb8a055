"""Losses of regression as classes. The formulas are in `nnx.functional`."""

from __future__ import annotations

from nnx import functional
from nnx.losses.base import LossFunctionWrapper, Reduction, loss_values, registry

__all__ = [
    "MAE",
    "MAPE",
    "MSE",
    "MSLE",
    "CosineSimilarity",
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "cosine_proximity",
    "cosine_similarity",
    "huber",
    "log_cosh",
    "logcosh",
    "mae",
    "mape",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "mse",
    "msle",
    "poisson",
]


@registry.register("mse")
class MeanSquaredError(LossFunctionWrapper):
    """Mean squared error: mean((y_pred - y_true)**2). Targets of the shape of the predictions."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "mean_squared_error") -> None:
        super().__init__(functional.mean_squared_error, reduction, name)


mean_squared_error = mse = MSE = loss_values(functional.mean_squared_error, MeanSquaredError)


@registry.register("mae")
class MeanAbsoluteError(LossFunctionWrapper):
    """Mean absolute error: mean(|y_pred - y_true|). Targets of the shape of the predictions."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "mean_absolute_error") -> None:
        super().__init__(functional.mean_absolute_error, reduction, name)


mean_absolute_error = mae = MAE = loss_values(functional.mean_absolute_error, MeanAbsoluteError)


@registry.register("mape")
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """Mean absolute percentage error, 100 * mean(|y_pred - y_true| / max(|y_true|, 1e-7)), of one shape."""

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "mean_absolute_percentage_error"
    ) -> None:
        super().__init__(functional.mean_absolute_percentage_error, reduction, name)


mean_absolute_percentage_error = mape = MAPE = loss_values(
    functional.mean_absolute_percentage_error, MeanAbsolutePercentageError
)


@registry.register("msle")
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """Mean squared logarithmic error: mean((log(1 + y_pred) - log(1 + y_true))**2), both at least 1e-7.

    Targets of the shape of the predictions.
    """

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "mean_squared_logarithmic_error"
    ) -> None:
        super().__init__(functional.mean_squared_logarithmic_error, reduction, name)


mean_squared_logarithmic_error = msle = MSLE = loss_values(
    functional.mean_squared_logarithmic_error, MeanSquaredLogarithmicError
)


@registry.register()
class LogCosh(LossFunctionWrapper):
    """Logarithm of the hyperbolic cosine: mean(log(cosh(y_pred - y_true))), a smooth absolute error, of one shape."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "log_cosh") -> None:
        super().__init__(functional.log_cosh, reduction, name)


log_cosh = logcosh = loss_values(functional.log_cosh, LogCosh)


@registry.register("huber_loss")
class Huber(LossFunctionWrapper):
    """Huber loss (1964): squared up to an error of `delta`, linear beyond. Targets of the shape of the predictions."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "huber_loss",
    ) -> None:
        super().__init__(functional.huber, reduction, name, delta=delta)


huber = loss_values(functional.huber, Huber)


@registry.register()
class Poisson(LossFunctionWrapper):
    """Poisson loss: mean(y_pred - y_true * log(y_pred + 1e-7)), of counts and their predicted rates, of one shape."""

    def __init__(self, reduction: Reduction = "sum_over_batch_size", name: str | None = "poisson") -> None:
        super().__init__(functional.poisson, reduction, name)


poisson = loss_values(functional.poisson, Poisson)


@registry.register("cosine", "cosine_proximity", "cosine_loss")
class CosineSimilarity(LossFunctionWrapper):
    """Cosine similarity, negated: minus the cosine of the angle between y_true and y_pred along `axis`, -1 is best."""

    def __init__(
        self,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
    ) -> None:
        super().__init__(functional.cosine_similarity, reduction, name, axis=axis)


cosine_similarity = cosine_proximity = loss_values(functional.cosine_similarity, CosineSimilarity)
