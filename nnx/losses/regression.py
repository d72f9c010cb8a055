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
    """Mean squared error, the usual loss of regression.

        value = mean((y_pred - y_true)**2)

    y_true, y_pred : numbers, (n, ..., m), for values (n, ...). ValueError for different shapes.
    reduction, name, dtype : as for `Loss`.

    >>> float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]))
    2.0
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.mean_squared_error, reduction, name, dtype)


mean_squared_error = mse = MSE = loss_values(functional.mean_squared_error, MeanSquaredError)


@registry.register("mae")
class MeanAbsoluteError(LossFunctionWrapper):
    """Mean absolute error, on which outliers pull less than on the squared one.

        value = mean(|y_pred - y_true|)

    y_true, y_pred : numbers, (n, ..., m), for values (n, ...). ValueError for different shapes.
    reduction, name, dtype : as for `Loss`.

    The gradient is the sign of the error, 0 where there is none.

    >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]))
    1.0
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.mean_absolute_error, reduction, name, dtype)


mean_absolute_error = mae = MAE = loss_values(functional.mean_absolute_error, MeanAbsoluteError)


@registry.register("mape")
class MeanAbsolutePercentageError(LossFunctionWrapper):
    """Mean absolute percentage error: errors in per cent of the targets.

        value = 100 * mean(|y_pred - y_true| / max(|y_true|, 1e-7))

    y_true, y_pred : numbers, (n, ..., m), for values (n, ...). ValueError for different shapes. Targets near 0 have
        errors of millions of per cent.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])), 3)
    37.5
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.mean_absolute_percentage_error, reduction, name, dtype)


mean_absolute_percentage_error = mape = MAPE = loss_values(
    functional.mean_absolute_percentage_error, MeanAbsolutePercentageError
)


@registry.register("msle")
class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """Mean squared logarithmic error: relative errors of numbers that are not negative.

        value = mean((log(1 + max(y_pred, 1e-7)) - log(1 + max(y_true, 1e-7)))**2)

    y_true, y_pred : numbers from 0, (n, ..., m), for values (n, ...). ValueError for different shapes. Predictions
        below 1e-7 have no gradient.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]])), 3)
    0.24
    """

    def __init__(
        self,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.mean_squared_logarithmic_error, reduction, name, dtype)


mean_squared_logarithmic_error = msle = MSLE = loss_values(
    functional.mean_squared_logarithmic_error, MeanSquaredLogarithmicError
)


@registry.register()
class LogCosh(LossFunctionWrapper):
    """Logarithm of the hyperbolic cosine of the error, a smooth absolute error.

        value = mean(log(cosh(y_pred - y_true)))

    It is about e**2 / 2 for small errors e, and |e| - log(2) for large ones, of which nothing overflows.

    y_true, y_pred : numbers, (n, ..., m), for values (n, ...). ValueError for different shapes.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(LogCosh()([[0.0, 1.0]], [[1.0, 1.0]])), 3)
    0.217
    """

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "log_cosh", dtype: str | None = None
    ) -> None:
        super().__init__(functional.log_cosh, reduction, name, dtype)


log_cosh = logcosh = loss_values(functional.log_cosh, LogCosh)


@registry.register("huber_loss")
class Huber(LossFunctionWrapper):
    """Huber's loss: squared up to an error of `delta`, linear beyond.

        value = mean(e**2 / 2                      where |e| <= delta,
                     delta * |e| - delta**2 / 2    elsewhere),   e = y_pred - y_true

    Huber, "Robust estimation of a location parameter", 1964.

    y_true, y_pred : numbers, (n, ..., m), for values (n, ...). ValueError for different shapes.
    delta : positive; also the largest slope.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(Huber()([[0.0, 1.0]], [[3.0, 1.5]])), 4)  # 2.5 and 0.125
    1.3125
    """

    def __init__(
        self,
        delta: float = 1.0,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.huber, reduction, name, dtype, delta=delta)


huber = loss_values(functional.huber, Huber)


@registry.register()
class Poisson(LossFunctionWrapper):
    """Poisson loss, of counts and their predicted rates.

        value = mean(y_pred - y_true * log(y_pred + 1e-7))

    The negative logarithm of a Poisson distribution's probability, without the part that depends on the targets alone.

    y_true, y_pred : counts and positive rates, (n, ..., m), for values (n, ...). ValueError for different shapes.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(Poisson()([[2.0, 0.0]], [[2.0, 1.0]])), 3)
    0.807
    """

    def __init__(
        self, reduction: Reduction = "sum_over_batch_size", name: str | None = "poisson", dtype: str | None = None
    ) -> None:
        super().__init__(functional.poisson, reduction, name, dtype)


poisson = loss_values(functional.poisson, Poisson)


@registry.register("cosine", "cosine_proximity", "cosine_loss")
class CosineSimilarity(LossFunctionWrapper):
    """Cosine similarity, negated: -1 for equal directions, 0 for orthogonal ones, 1 for opposite ones.

        value = -sum(y_true / max(|y_true|, 1e-7) * y_pred / max(|y_pred|, 1e-7)),   |y| = sqrt(sum(y**2))

    y_true, y_pred : vectors along `axis`, (n, ..., m), for values of that shape without the axis. ValueError for
        different shapes. The similarity to a vector of zeros is 0.
    axis : by default the last.
    reduction, name, dtype : as for `Loss`.

    >>> round(float(CosineSimilarity()([[1.0, 0.0]], [[1.0, 1.0]])), 3)
    -0.707
    """

    def __init__(
        self,
        axis: int = -1,
        reduction: Reduction = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: str | None = None,
    ) -> None:
        super().__init__(functional.cosine_similarity, reduction, name, dtype, axis=axis)


cosine_similarity = cosine_proximity = loss_values(functional.cosine_similarity, CosineSimilarity)
