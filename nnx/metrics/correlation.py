"""Correlation of targets and predictions, along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnx.backends import Array, Namespace
from nnx.functional.loss_functions import EPSILON
from nnx.metrics.base import MeanMetricWrapper, functions, registry
from nnx.metrics.targets import as_matching_arrays, require_matching_shapes, shape_text
from nnx.metrics.thresholds import ratio
from nnx.shapes import Shape

__all__ = ["ConcordanceCorrelation", "PearsonCorrelation", "concordance_correlation", "pearson_correlation"]

Axis = int | tuple[int, ...]


@functions.register()
def pearson_correlation(y_true: Any, y_pred: Any, axis: Axis = -1) -> Array:
    """Pearson's coefficient of correlation along an axis, from -1 to 1; 0 where either is constant.

        value = mean((y - mean(y)) * (p - mean(p))) / (std(y) * std(p))

    Pearson, "Note on regression and inheritance in the case of two parents", 1895.

    y_true, y_pred : numbers (n, ..., m), y and p of the formula, for values of that shape without the axis.
    axis : an axis or several; by default the last, 0 for the samples of a batch. ValueError where it has one number.

    >>> round(float(pearson_correlation([[1.0, 2.0, 3.0]], [[1.0, 3.0, 2.0]])[0]), 3)
    0.5
    """
    xp, y_true, y_pred = as_matching_arrays("pearson_correlation", y_true, y_pred)
    _check_axis("pearson_correlation", y_pred.shape, axis)
    true, predicted = (_centred(xp, y, axis) for y in (y_true, y_pred))
    spread = xp.sqrt(xp.mean(true * true, axis=axis)) * xp.sqrt(xp.mean(predicted * predicted, axis=axis))
    return ratio(xp.mean(true * predicted, axis=axis), spread)


@functions.register()
def concordance_correlation(y_true: Any, y_pred: Any, axis: Axis = -1) -> Array:
    """Lin's coefficient of concordance along an axis, from -1 to 1: how near the pairs are to the line y_pred = y_true.

        value = 2 * cov(y, p) / (var(y) + var(p) + (mean(y) - mean(p))**2 + 1e-7)

    Lin, "A concordance correlation coefficient to evaluate reproducibility", 1989.

    y_true, y_pred : numbers (n, ..., m), y and p of the formula, for values of that shape without the axis.
    axis : an axis or several; by default the last, 0 for the samples of a batch. ValueError where it has one number.

    >>> round(float(concordance_correlation([[1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0]])[0]), 3)
    0.571
    """
    xp, y_true, y_pred = as_matching_arrays("concordance_correlation", y_true, y_pred)
    _check_axis("concordance_correlation", y_pred.shape, axis)
    true, predicted = (_centred(xp, y, axis) for y in (y_true, y_pred))
    between = xp.mean(y_true - y_pred, axis=axis)
    spread = xp.mean(true * true, axis=axis) + xp.mean(predicted * predicted, axis=axis) + between * between
    return 2.0 * xp.mean(true * predicted, axis=axis) / (spread + EPSILON)


def _centred(xp: Namespace, y: Array, axis: Axis) -> Array:
    return y - xp.mean(y, axis=axis, keepdims=True)


def _check_axis(metric: str, shape: Shape, axis: Axis) -> None:
    """ValueError where there is one number along the axis, and so nothing to correlate."""
    axes = (axis,) if isinstance(axis, int) else axis
    if any(not -len(shape) <= each < len(shape) for each in axes):
        raise ValueError(f"metric {metric!r}: predictions of shape {shape_text(shape)} have no axis {axis}")
    if all(shape[each] == 1 for each in axes):
        raise ValueError(
            f"metric {metric!r} correlates along axis {axis}, where predictions of shape {shape_text(shape)} have one "
            "number; use axis=0 to correlate over the samples of a batch"
        )


class _Correlation(MeanMetricWrapper):
    direction = "max"

    axis: Axis

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_matching_shapes(self.name, y_true.shape, output_shape)
        _check_axis(self.name, output_shape, self.axis)


@registry.register()
class PearsonCorrelation(_Correlation):
    """Mean of Pearson's coefficient of correlation of each sample.

        result = mean of mean((y - mean(y)) * (p - mean(p))) / (std(y) * std(p))

    y_true, y_pred : numbers (n, ..., m), y and p of the formula; a constant one has the coefficient 0.
    axis : along which targets and predictions are correlated: their last; 0 for the samples of a batch, and the mean
        over batches. ValueError where it has one number.

    >>> round(float(PearsonCorrelation()([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], [[1.0, 3.0, 2.0], [1.0, 2.0, 3.0]])), 3)
    0.75
    """

    def __init__(self, name: str | None = "pearson_correlation", dtype: str | None = None, axis: Axis = -1) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis if isinstance(axis, int) else tuple(axis))


@registry.register()
class ConcordanceCorrelation(_Correlation):
    """Mean of Lin's coefficient of concordance of each sample.

        result = mean of 2 * cov(y, p) / (var(y) + var(p) + (mean(y) - mean(p))**2 + 1e-7)

    Lin, "A concordance correlation coefficient to evaluate reproducibility", 1989.

    y_true, y_pred : numbers (n, ..., m), y and p of the formula.
    axis : as for `PearsonCorrelation`.

    >>> round(float(ConcordanceCorrelation()([[1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0]])), 3)
    0.571
    """

    def __init__(self, name: str | None = "concordance_correlation", dtype: str | None = None, axis: Axis = -1) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis if isinstance(axis, int) else tuple(axis))
