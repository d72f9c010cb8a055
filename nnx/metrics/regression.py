"""Metrics of regression beyond the losses: the coefficient of determination and relative errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnx.backends import Array, array_namespace, get_backend
from nnx.losses.arrays import asarray_like
from nnx.losses.base import fit_weights
from nnx.metrics.base import MeanOfSamples, Metric, registry
from nnx.metrics.tally import Tally
from nnx.metrics.targets import as_matching_arrays, has_no_rows, require_matching_shapes, shape_text
from nnx.metrics.thresholds import ratio
from nnx.precision import wide
from nnx.shapes import Shape
from nnx.user_warnings import warn_user

__all__ = ["MeanRelativeError", "R2Score"]

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@registry.register()
class R2Score(Metric):
    """Coefficient of determination of each output, or their mean: 1 is best, 0 as good as the mean of the targets.

        score = 1 - sum((y_true - y_pred)**2) / sum((y_true - mean(y_true))**2)
        adjusted = 1 - (1 - score) * (n - 1) / (n - num_regressors - 1)

    A constant target has the score 0, or 1 if it is predicted exactly, as in scikit-learn.

    y_true, y_pred : numbers (n, outputs), or (n,). ValueError for other shapes.
    class_aggregation : None for one value for each output, "uniform_average" for their mean,
        "variance_weighted_average" for the mean weighted by the variances of the targets.
    num_regressors : that of the adjusted score, where as in Keras n counts every number of the targets; 0 for the plain
        score, which is also the result, with a warning, where n is too small.

    ValueError for other arguments.

    >>> float(R2Score()([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]))
    0.5
    """

    direction = "max"

    running = ("_tally", "_origin", "_size")

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: str | None = None,
    ) -> None:
        super().__init__(dtype, name)
        if class_aggregation not in _AGGREGATIONS:
            known = ", ".join(map(repr, _AGGREGATIONS))
            raise ValueError(f"class_aggregation must be one of {known}; got {class_aggregation!r}")
        if num_regressors < 0:
            raise ValueError(f"num_regressors must not be negative, got {num_regressors}")
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.reset_state()

    def reset_state(self) -> None:
        self._tally = Tally()
        self._origin: Array | None = None  # the first target: sums of squares around it keep their digits
        self._size = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if has_no_rows(y_pred):
            self._tally.add(0)
            return
        xp, y_true, y_pred = as_matching_arrays(self.name, y_true, y_pred)
        self._check_shape(y_pred.shape)
        y_true, y_pred = (wide(y if len(y.shape) == 2 else y[:, None]) for y in (y_true, y_pred))
        if self._origin is None:
            self._origin = y_true[:1, :]
        offset, error = y_true - self._origin, y_true - y_pred
        weight = xp.ones_like(y_true) if sample_weight is None else fit_weights(sample_weight, y_true)
        terms = xp.stack([offset * weight, offset * offset * weight, error * error * weight, offset * 0.0 + weight])
        self._tally.add(xp.sum(terms, axis=1))
        self._size += y_true.shape[0] * y_true.shape[1]

    def together(self, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Sums around the origin of the first rank that has one."""
        origins = [state["_origin"] for state in states if state["_origin"] is not None]
        if not origins:
            return super().together(states)
        around = [_around(origins[0], state) for state in states if state["_origin"] is not None]
        return {**super().together(around), "_origin": origins[0]}

    def result(self) -> Array:
        if self._tally.has_only_numbers:
            return self.undefined()
        sums = self._tally.value()
        if sums is None:
            return get_backend().zeros(())
        xp = array_namespace(sums)
        offset, squares, residual, count = sums[0, :], sums[1, :], sums[2, :], sums[3, :]
        total = xp.maximum(squares - ratio(offset * offset, count), 0.0)
        constant = xp.astype((residual == 0.0) & (count > 0.0), total.dtype)
        scores = xp.where(total > 0.0, 1.0 - ratio(residual, total), constant)
        if self.class_aggregation == "uniform_average":
            scores = xp.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ratio(xp.sum(total * scores), xp.sum(total))
        return self._adjusted(scores)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_matching_shapes(self.name, y_true.shape, output_shape)
        self._check_shape(output_shape)

    def _adjusted(self, scores: Array) -> Array:
        n, p = self._size, self.num_regressors
        if p == 0:
            return scores
        if p >= n - 1:
            warn_user(
                f"the adjusted R2 of {p} regressors needs more than {p + 1} numbers, got {n}: this is the plain R2",
                UserWarning,
            )
            return scores
        return 1.0 - (1.0 - scores) * ((n - 1.0) / (n - p - 1.0))

    def _check_shape(self, output_shape: Shape) -> None:
        if len(output_shape) not in (1, 2):
            raise ValueError(
                f"metric {self.name!r} expects predictions (n, outputs) or (n,), got {shape_text(output_shape)}"
            )


def _around(origin: np.ndarray, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a `R2Score` on the host with its sums of offsets and of their squares around another origin."""
    shift = (state["_origin"] - origin)[0, :]
    offset, squares, residual, count = state["_tally"]["sums"][0]
    sums = np.stack([offset + shift * count, squares + shift * (2.0 * offset + shift * count), residual, count])
    return {**state, "_tally": {**state["_tally"], "sums": np.stack([sums, np.zeros_like(sums)])}}


@registry.register()
class MeanRelativeError(MeanOfSamples):
    """Mean relative error: errors in units of given numbers.

        result = mean(|y_pred - y_true| / normalizer),   0 where the normalizer is 0

    y_true, y_pred : numbers (n, ...). ValueError for different shapes.
    normalizer : numbers of the shape of the predictions, or of one that broadcasts to it.

    >>> float(MeanRelativeError([1, 3, 2, 3])([1, 3, 2, 3], [2, 4, 6, 8]))
    1.25
    """

    def __init__(self, normalizer: Any, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.normalizer = normalizer

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if has_no_rows(y_pred):
            self.count.add(0)
            return
        xp, y_true, y_pred = as_matching_arrays(self.name, y_true, y_pred)
        normalizer = asarray_like(np.asarray(self.normalizer, dtype=np.float64), y_pred)
        error = xp.abs(y_pred - y_true)
        self.accumulate(ratio(error, xp.broadcast_to(normalizer, error.shape)), sample_weight)

    def check_targets(self, y_true: np.ndarray, output_shape: Shape) -> None:
        require_matching_shapes(self.name, y_true.shape, output_shape)
